"""The layers: a family a file, forward and backward side by side."""

# The layers, a family a file; start with `activations`, `dense` and `combinators`:
#
#   dense, embedding                       y = x @ weight + bias; a vector for each whole number
#   conv, conv_transpose                   convolutions along one, two and three axes
#   depthwise, separable                   filters that see one channel each
#   pool, global_pool, adaptive_pool, lp_pool
#                                          windows and whole images reduced
#   norm                                   batch norm, with running statistics
#   layer_norm, group_norm, response_norm, standardized
#                                          the norms without
#   activations, rectifiers, prelu, smooth, hard, gates, softmax_over, elementwise
#                                          element by element, or over an axis
#   squeeze_excite                         channels scaled by what their means say
#   dropout, noise                         random in training
#   reshape, pad, resample                 other shapes, sizes and borders
#   combinators                            serial, repeat; named, shared
#   branches                               add, multiply, concat, residual, fanout, itemwise
#   frozen, checkpointed                   a layer that does not learn, or keeps less
#   fused                                  which neighbours run as one kernel
#
# What several of them are made of:
#
#   _chain, _side_by_side, _joins          the triples of combinators, and how outputs are joined
#   _children                              checks of a combinator's layers and params
#   _sliding                               params and arguments of every convolution
#   _convolution, _transposed              a convolution and its transpose, along any number of axes
#   _composition                           two convolutions as one, for `fused`
#   _example_norm                          formulas, params and triple of layer and group norm

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
