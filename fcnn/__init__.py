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
    from fcnn import data, explain, losses, metrics, optim, plot, testing, train, typing
    from fcnn._derivatives.examples import per_example_gradients
    from fcnn._derivatives.forward import jvp
    from fcnn._derivatives.hessian import hvp
    from fcnn._derivatives.inputs import input_gradient
    from fcnn._derivatives.jacobians import jacobian
    from fcnn._evaluate import evaluate, predict
    from fcnn.train import fit
else:  # a type checker would take any misspelt name for one that this finds
    _MODULES = (
        "data",
        "explain",
        "losses",
        "metrics",
        "optim",
        "plot",
        "testing",
        "train",
        "typing",
    )
    _HOMES = {
        "_derivatives.examples": ("per_example_gradients",),
        "_derivatives.forward": ("jvp",),
        "_derivatives.hessian": ("hvp",),
        "_derivatives.inputs": ("input_gradient",),
        "_derivatives.jacobians": ("jacobian",),
        "_evaluate": ("evaluate", "predict"),
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
    "add",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "data",
    "dense",
    "dropout",
    "errors",
    "evaluate",
    "explain",
    "facts",
    "fanout",
    "fit",
    "flatten",
    "fold_in",
    "fusion",
    "grad",
    "hvp",
    "initializers",
    "input_gradient",
    "itemwise",
    "jacobian",
    "jvp",
    "key",
    "layer",
    "log_softmax",
    "losses",
    "max_pool2d",
    "metrics",
    "multiply",
    "named",
    "optim",
    "parallel",
    "per_example_gradients",
    "plot",
    "predict",
    "relu",
    "reshape",
    "residual",
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
]


def __dir__() -> list[str]:
    return sorted(__all__)
