"""The command line: ``fcnn train``, ``fcnn predict``, ``fcnn check`` and the others."""

from fcnn.cli._main import main

__all__ = ["main"]
