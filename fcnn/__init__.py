"""fcnn: convolutional neural networks as pure functions in plain NumPy.

A layer is an ``(init, apply, vjp)`` triple, parameters are frozen trees, and
`value_and_grad` composes the VJPs of a pipeline and a loss:

>>> import numpy as np, fcnn
>>> from fcnn.losses import softmax_cross_entropy
>>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
>>> params, out_shape = model.init(fcnn.key(0), (28, 28, 1))
>>> loss_and_grad = fcnn.value_and_grad(model, softmax_cross_entropy)
>>> images, labels = np.zeros((2, 28, 28, 1), np.float32), np.array([3, 4])
>>> value, grads = loss_and_grad(params, images, labels, fcnn.training(fcnn.key(1)))
>>> round(value, 3)
2.303
"""

from typing import TYPE_CHECKING, Any

from fcnn import errors, fusion, initializers, parallel, tree
from fcnn._layer import EVAL, Context, Layer, layer, training
from fcnn._summary import summary
from fcnn._walk import facts, walk
from fcnn.autodiff import grad, value_and_grad
from fcnn.layers import (
    BatchNormParams,
    ConvParams,
    DenseParams,
    add,
    avg_pool2d,
    batch_norm,
    concat,
    conv2d,
    dense,
    dropout,
    fanout,
    flatten,
    itemwise,
    log_softmax,
    max_pool2d,
    multiply,
    named,
    relu,
    reshape,
    residual,
    serial,
    shared,
    sigmoid,
    softmax,
    tanh,
)
from fcnn.prng import Key, fold_in, key, split

if TYPE_CHECKING:
    from fcnn import data, losses, metrics, optim, testing, train, typing
    from fcnn._evaluate import evaluate, predict
    from fcnn._freezing import FrozenParams
    from fcnn._value import as_value
    from fcnn.layers.checkpointed import checkpointed
    from fcnn.layers.combinators import repeat
    from fcnn.layers.dropout import spatial_dropout, stochastic_depth
    from fcnn.layers.elementwise import elementwise
    from fcnn.layers.embedding import EmbeddingParams, embedding
    from fcnn.layers.frozen import frozen
    from fcnn.layers.gates import glu
    from fcnn.layers.hard import hard_shrink, hard_sigmoid, hard_swish, hard_tanh, soft_shrink
    from fcnn.layers.noise import alpha_dropout, gaussian_noise
    from fcnn.layers.prelu import PreluParams, prelu
    from fcnn.layers.rectifiers import celu, elu, leaky_relu, relu6, selu
    from fcnn.layers.reshape import transpose
    from fcnn.layers.smooth import gelu, log_sigmoid, mish, silu, softplus, softsign
    from fcnn.layers.softmax_over import log_softmax_over, softmax_over
    from fcnn.layers.squeeze_excite import squeeze_excite
    from fcnn.train import fit
else:  # a type checker would take any misspelt name for one that this finds
    _MODULES = ("data", "losses", "metrics", "optim", "testing", "train", "typing")
    _HOMES = {
        "_evaluate": ("evaluate", "predict"),
        "layers.elementwise": ("elementwise",),
        "layers.gates": ("glu",),
        "layers.hard": ("hard_shrink", "hard_sigmoid", "hard_swish", "hard_tanh", "soft_shrink"),
        "layers.prelu": ("PreluParams", "prelu"),
        "layers.rectifiers": ("celu", "elu", "leaky_relu", "relu6", "selu"),
        "layers.smooth": ("gelu", "log_sigmoid", "mish", "silu", "softplus", "softsign"),
        "layers.softmax_over": ("log_softmax_over", "softmax_over"),
        "layers.dropout": ("spatial_dropout", "stochastic_depth"),
        "layers.noise": ("alpha_dropout", "gaussian_noise"),
        "_value": ("as_value",),
        "layers.embedding": ("EmbeddingParams", "embedding"),
        "layers.reshape": ("transpose",),
        "_freezing": ("FrozenParams",),
        "layers.checkpointed": ("checkpointed",),
        "layers.combinators": ("repeat",),
        "layers.frozen": ("frozen",),
        "layers.squeeze_excite": ("squeeze_excite",),
        "train": ("fit",),
    }

    def __getattr__(name: str) -> Any:
        """Import what a script may do without when it is first named."""
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"fcnn.{name}")
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"fcnn.{home}"), name)
        raise AttributeError(f"module 'fcnn' has no attribute {name!r}")


__version__ = "0.2.0"

__all__ = [
    "EVAL",
    "BatchNormParams",
    "Context",
    "ConvParams",
    "DenseParams",
    "EmbeddingParams",
    "FrozenParams",
    "Key",
    "Layer",
    "PreluParams",
    "add",
    "alpha_dropout",
    "as_value",
    "avg_pool2d",
    "batch_norm",
    "celu",
    "checkpointed",
    "concat",
    "conv2d",
    "data",
    "dense",
    "dropout",
    "elementwise",
    "elu",
    "embedding",
    "errors",
    "evaluate",
    "facts",
    "fanout",
    "fit",
    "flatten",
    "fold_in",
    "frozen",
    "fusion",
    "gaussian_noise",
    "gelu",
    "glu",
    "grad",
    "hard_shrink",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "initializers",
    "itemwise",
    "key",
    "layer",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_over",
    "losses",
    "max_pool2d",
    "metrics",
    "mish",
    "multiply",
    "named",
    "optim",
    "parallel",
    "predict",
    "prelu",
    "relu",
    "relu6",
    "repeat",
    "reshape",
    "residual",
    "selu",
    "serial",
    "shared",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softmax_over",
    "softplus",
    "softsign",
    "spatial_dropout",
    "split",
    "squeeze_excite",
    "stochastic_depth",
    "summary",
    "tanh",
    "testing",
    "train",
    "training",
    "transpose",
    "tree",
    "typing",
    "value_and_grad",
    "walk",
]


def __dir__() -> list[str]:
    return sorted(__all__)
