"""Initializers: ``(key, shape) -> array`` of float32.

The variance-scaling family keeps the variance of activations and gradients about
the same from layer to layer. For a kernel of shape ``(..., n_in, n_out)`` the fan-in is the
product of all axes but the last, the fan-out that of all but the last but one; of groups and of
transposed convolutions, see `variance_scaling`.

Sources: K. He et al., "Delving deep into rectifiers", 2015,
https://arxiv.org/abs/1502.01852; X. Glorot and Y. Bengio, "Understanding the
difficulty of training deep feedforward neural networks", 2010,
https://proceedings.mlr.press/v9/glorot10a.html; Y. LeCun et al., "Efficient
BackProp", 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf.
"""

# The files:
#
#   _initializer  the contract, and the fans of a weight
#   _plain        normal, uniform and fixed numbers
#   _scaled       variance scaling: He, Glorot, LeCun
#   _orthogonal   orthogonal matrices, the identity

from fcnn.initializers._initializer import Initializer, initializer
from fcnn.initializers._orthogonal import delta_orthogonal, identity, orthogonal
from fcnn.initializers._plain import constant, normal, ones, truncated_normal, uniform, zeros
from fcnn.initializers._scaled import (
    glorot_normal,
    glorot_truncated_normal,
    glorot_uniform,
    he_normal,
    he_truncated_normal,
    he_uniform,
    lecun_normal,
    lecun_truncated_normal,
    lecun_uniform,
    variance_scaling,
)

__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_truncated_normal",
    "glorot_uniform",
    "he_normal",
    "he_truncated_normal",
    "he_uniform",
    "identity",
    "initializer",
    "lecun_normal",
    "lecun_truncated_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "zeros",
]
