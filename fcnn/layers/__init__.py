"""The layers: a family a file, forward and backward side by side."""

from fcnn.layers.activations import log_softmax, relu, sigmoid, softmax, tanh
from fcnn.layers.combinators import add, concat, residual, serial
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
    "flatten",
    "log_softmax",
    "max_pool2d",
    "relu",
    "reshape",
    "residual",
    "serial",
    "sigmoid",
    "softmax",
    "tanh",
]
