"""The command line: ``python -m fcnn`` is ``fcnn``."""

from __future__ import annotations

import sys

from fcnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
