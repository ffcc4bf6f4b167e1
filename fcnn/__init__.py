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
    from fcnn.layers.depthwise import DepthwiseConvParams, depthwise_conv2d
    from fcnn.layers.example_norm import (
        NormParams,
        group_norm,
        instance_norm,
        layer_norm,
        rms_norm,
    )
    from fcnn.layers.response_norm import local_response_norm
    from fcnn.layers.separable import separable_conv2d
    from fcnn.layers.standardized import weight_standardized
    from fcnn.train import fit
else:  # a type checker would take any misspelt name for one that this finds
    _MODULES = ("data", "losses", "metrics", "optim", "testing", "train", "typing")
    _HOMES = {
        "_evaluate": ("evaluate", "predict"),
        "layers.depthwise": ("DepthwiseConvParams", "depthwise_conv2d"),
        "layers.example_norm": (
            "NormParams",
            "group_norm",
            "instance_norm",
            "layer_norm",
            "rms_norm",
        ),
        "layers.response_norm": ("local_response_norm",),
        "layers.separable": ("separable_conv2d",),
        "layers.standardized": ("weight_standardized",),
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
    "DepthwiseConvParams",
    "Key",
    "Layer",
    "NormParams",
    "add",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "data",
    "dense",
    "depthwise_conv2d",
    "dropout",
    "errors",
    "evaluate",
    "facts",
    "fanout",
    "fit",
    "flatten",
    "fold_in",
    "fusion",
    "grad",
    "group_norm",
    "initializers",
    "instance_norm",
    "itemwise",
    "key",
    "layer",
    "layer_norm",
    "local_response_norm",
    "log_softmax",
    "losses",
    "max_pool2d",
    "metrics",
    "multiply",
    "named",
    "optim",
    "parallel",
    "predict",
    "relu",
    "reshape",
    "residual",
    "rms_norm",
    "separable_conv2d",
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
    "value_and_grad",
    "walk",
    "weight_standardized",
]


def __dir__() -> list[str]:
    return sorted(__all__)
