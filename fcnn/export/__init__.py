"""Models in formats that other programs read.

`onnx` writes an ONNX file; `rule` registers how layers of your own are written. ``pip install
fcnn[export]`` installs the package onnx, which is imported when a file is written. What engines do
otherwise, and what is done about it, is in ``ENGINES.md`` beside this file.
"""

from fcnn.export._graph import Graph, Tensor
from fcnn.export._onnx import onnx
from fcnn.export._rules import rule
from fcnn.export._to_c import CFile, c

__all__ = ["CFile", "Graph", "Tensor", "c", "onnx", "rule"]
