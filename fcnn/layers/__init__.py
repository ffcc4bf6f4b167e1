"""The layers: a family a file, forward and backward side by side."""

from fcnn.layers import fused as fused
from fcnn.layers.activations import log_softmax, relu, sigmoid, softmax, tanh
from fcnn.layers.branches import add, concat, fanout, itemwise, multiply, residual
from fcnn.layers.combinators import named, serial, shared
from fcnn.layers.conv import ConvParams, conv2d
from fcnn.layers.dense import DenseParams, dense
from fcnn.layers.dropout import dropout
from fcnn.layers.norm import BatchNormParams, batch_norm
from fcnn.layers.pool import avg_pool2d, max_pool2d
from fcnn.layers.reshape import flatten, reshape

__all__ = [
    "BatchNormParams",
    "ConvParams",
    "DenseParams",
    "add",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "dense",
    "dropout",
    "fanout",
    "flatten",
    "itemwise",
    "log_softmax",
    "max_pool2d",
    "multiply",
    "named",
    "relu",
    "reshape",
    "residual",
    "serial",
    "shared",
    "sigmoid",
    "softmax",
    "tanh",
]
