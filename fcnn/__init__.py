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
    from fcnn.layers.adaptive_pool import adaptive_avg_pool, adaptive_max_pool
    from fcnn.layers.conv import conv1d, conv3d
    from fcnn.layers.conv_transpose import (
        conv_transpose1d,
        conv_transpose2d,
        conv_transpose3d,
    )
    from fcnn.layers.global_pool import global_avg_pool, global_max_pool
    from fcnn.layers.lp_pool import lp_pool2d
    from fcnn.layers.pad import crop2d, pad1d, pad2d
    from fcnn.layers.pool import avg_pool1d, avg_pool3d, max_pool1d, max_pool3d
    from fcnn.layers.resample import pixel_shuffle, pixel_unshuffle, resize2d, upsample2d
    from fcnn.train import fit
else:  # a type checker would take any misspelt name for one that this finds
    _MODULES = ("data", "losses", "metrics", "optim", "testing", "train", "typing")
    _HOMES = {
        "_evaluate": ("evaluate", "predict"),
        "layers.adaptive_pool": ("adaptive_avg_pool", "adaptive_max_pool"),
        "layers.global_pool": ("global_avg_pool", "global_max_pool"),
        "layers.lp_pool": ("lp_pool2d",),
        "layers.pad": ("crop2d", "pad1d", "pad2d"),
        "layers.pool": ("avg_pool1d", "avg_pool3d", "max_pool1d", "max_pool3d"),
        "layers.resample": ("pixel_shuffle", "pixel_unshuffle", "resize2d", "upsample2d"),
        "layers.conv": ("conv1d", "conv3d"),
        "layers.conv_transpose": (
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
        ),
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
    "Key",
    "Layer",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "add",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "concat",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "crop2d",
    "data",
    "dense",
    "dropout",
    "errors",
    "evaluate",
    "facts",
    "fanout",
    "fit",
    "flatten",
    "fold_in",
    "fusion",
    "global_avg_pool",
    "global_max_pool",
    "grad",
    "initializers",
    "itemwise",
    "key",
    "layer",
    "log_softmax",
    "losses",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "metrics",
    "multiply",
    "named",
    "optim",
    "pad1d",
    "pad2d",
    "parallel",
    "pixel_shuffle",
    "pixel_unshuffle",
    "predict",
    "relu",
    "reshape",
    "residual",
    "resize2d",
    "serial",
    "shared",
    "sigmoid",
    "softmax",
    "split",
    "summary",
    "tanh",
    "testing",
    "train",
    "training",
    "tree",
    "typing",
    "upsample2d",
    "value_and_grad",
    "walk",
]


def __dir__() -> list[str]:
    return sorted(__all__)
