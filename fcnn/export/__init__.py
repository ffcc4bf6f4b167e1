"""Models in formats that other programs read.

`onnx` writes an ONNX file; `rule` registers how layers of your own are written. ``pip install
fcnn[export]`` installs the package onnx, which is imported when a file is written. What engines do
otherwise, and what is done about it, is in ``ENGINES.md`` beside this file.
"""

# The way from a model to a file:
#
#   _trace            a model as a graph: the rule of every layer, in order
#   _graph            the graph: nodes, weights, tensors with shape and layout
#   _rules            the registry of rules
#   _rules_conv, _rules_norm, _rules_pointwise, _rules_pool, _rules_shape
#                     the rules of fcnn's layers
#   _fold             batch norm merged into the convolution before it
#   _onnx, _write     an ONNX file
#   _quantize, _ranges
#                     with weights and activations of 8 bits
#   _to_c, _c/        a C99 file
#   _whole/           models in whole numbers (`fcnn.quantize`)

from fcnn.export._graph import Graph, Tensor
from fcnn.export._onnx import onnx
from fcnn.export._rules import rule
from fcnn.export._to_c import CFile, c

__all__ = ["CFile", "Graph", "Tensor", "c", "onnx", "rule"]
