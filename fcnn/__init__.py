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
    from fcnn import checkpoint as checkpoint
    from fcnn import data as data
    from fcnn import explain, plot
    from fcnn import export as export
    from fcnn import losses as losses
    from fcnn import metrics as metrics
    from fcnn import models as models
    from fcnn import optim as optim
    from fcnn import runs as runs
    from fcnn import testing as testing
    from fcnn import train as train
    from fcnn import typing as typing
    from fcnn import weights as weights
    from fcnn._derivatives.examples import per_example_gradients
    from fcnn._derivatives.forward import jvp
    from fcnn._derivatives.hessian import hvp
    from fcnn._derivatives.inputs import input_gradient
    from fcnn._derivatives.jacobians import jacobian
    from fcnn._evaluate import evaluate, predict
    from fcnn._folder import experiment
    from fcnn._freezing import FrozenParams
    from fcnn._report import report
    from fcnn._value import as_value
    from fcnn.checkpoint import load, load_info, load_model, save
    from fcnn.layers.adaptive_pool import adaptive_avg_pool, adaptive_max_pool
    from fcnn.layers.checkpointed import checkpointed
    from fcnn.layers.combinators import repeat
    from fcnn.layers.conv import conv1d, conv3d
    from fcnn.layers.conv_transpose import (
        conv_transpose1d,
        conv_transpose2d,
        conv_transpose3d,
    )
    from fcnn.layers.depthwise import DepthwiseConvParams, depthwise_conv2d
    from fcnn.layers.dropout import spatial_dropout, stochastic_depth
    from fcnn.layers.elementwise import elementwise
    from fcnn.layers.embedding import EmbeddingParams, embedding
    from fcnn.layers.example_norm import (
        NormParams,
        group_norm,
        instance_norm,
        layer_norm,
        rms_norm,
    )
    from fcnn.layers.frozen import frozen
    from fcnn.layers.gates import glu
    from fcnn.layers.global_pool import global_avg_pool, global_max_pool
    from fcnn.layers.hard import hard_shrink, hard_sigmoid, hard_swish, hard_tanh, soft_shrink
    from fcnn.layers.lp_pool import lp_pool2d
    from fcnn.layers.noise import alpha_dropout, gaussian_noise
    from fcnn.layers.pad import crop2d, pad1d, pad2d
    from fcnn.layers.pool import avg_pool1d, avg_pool3d, max_pool1d, max_pool3d
    from fcnn.layers.prelu import PreluParams, prelu
    from fcnn.layers.rectifiers import celu, elu, leaky_relu, relu6, selu
    from fcnn.layers.resample import pixel_shuffle, pixel_unshuffle, resize2d, upsample2d
    from fcnn.layers.reshape import transpose
    from fcnn.layers.response_norm import local_response_norm
    from fcnn.layers.separable import separable_conv2d
    from fcnn.layers.smooth import gelu, log_sigmoid, mish, silu, softplus, softsign
    from fcnn.layers.softmax_over import log_softmax_over, softmax_over
    from fcnn.layers.squeeze_excite import squeeze_excite
    from fcnn.layers.standardized import weight_standardized
    from fcnn.runs import compare, reproduce, sweep
    from fcnn.train import fit
else:  # a type checker would take any misspelt name for one that this finds
    _MODULES = (
        "checkpoint",
        "data",
        "data",
        "explain",
        "export",
        "losses",
        "metrics",
        "models",
        "optim",
        "plot",
        "runs",
        "testing",
        "train",
        "typing",
        "weights",
    )
    _HOMES = {
        "_derivatives.examples": ("per_example_gradients",),
        "_derivatives.forward": ("jvp",),
        "_derivatives.hessian": ("hvp",),
        "_derivatives.inputs": ("input_gradient",),
        "_derivatives.jacobians": ("jacobian",),
        "_folder": ("experiment",),
        "_report": ("report",),
        "_evaluate": ("evaluate", "predict"),
        "checkpoint": ("load", "load_info", "load_model", "save"),
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
        "layers.depthwise": ("DepthwiseConvParams", "depthwise_conv2d"),
        "layers.example_norm": (
            "NormParams",
            "group_norm",
            "instance_norm",
            "layer_norm",
            "rms_norm",
        ),
        "layers.response_norm": ("local_response_norm",),
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
        "layers.separable": ("separable_conv2d",),
        "layers.standardized": ("weight_standardized",),
        "runs": ("compare", "reproduce", "sweep"),
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
    "EmbeddingParams",
    "FrozenParams",
    "Key",
    "Layer",
    "NormParams",
    "PreluParams",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "add",
    "alpha_dropout",
    "as_value",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "celu",
    "checkpoint",
    "checkpointed",
    "compare",
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
    "depthwise_conv2d",
    "dropout",
    "elementwise",
    "elu",
    "embedding",
    "errors",
    "evaluate",
    "experiment",
    "explain",
    "export",
    "facts",
    "fanout",
    "fit",
    "flatten",
    "fold_in",
    "frozen",
    "fusion",
    "gaussian_noise",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "glu",
    "grad",
    "group_norm",
    "hard_shrink",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hvp",
    "initializers",
    "input_gradient",
    "instance_norm",
    "itemwise",
    "jacobian",
    "jvp",
    "key",
    "layer",
    "layer_norm",
    "leaky_relu",
    "load",
    "load_info",
    "load_model",
    "local_response_norm",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_over",
    "losses",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "metrics",
    "mish",
    "models",
    "multiply",
    "named",
    "optim",
    "pad1d",
    "pad2d",
    "parallel",
    "per_example_gradients",
    "pixel_shuffle",
    "pixel_unshuffle",
    "plot",
    "predict",
    "prelu",
    "relu",
    "relu6",
    "repeat",
    "report",
    "reproduce",
    "reshape",
    "residual",
    "resize2d",
    "rms_norm",
    "runs",
    "save",
    "selu",
    "separable_conv2d",
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
    "sweep",
    "tanh",
    "testing",
    "train",
    "training",
    "transpose",
    "tree",
    "typing",
    "upsample2d",
    "value_and_grad",
    "walk",
    "weight_standardized",
    "weights",
]


def __dir__() -> list[str]:
    return sorted(__all__)
