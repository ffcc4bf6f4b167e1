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

The source is to be read: ``READING.md`` beside this file says in which order.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcnn import checkpoint as checkpoint
    from fcnn import data as data
    from fcnn import errors as errors
    from fcnn import explain as explain
    from fcnn import export as export
    from fcnn import fusion as fusion
    from fcnn import initializers as initializers
    from fcnn import jax as jax
    from fcnn import losses as losses
    from fcnn import metrics as metrics
    from fcnn import models as models
    from fcnn import optim as optim
    from fcnn import parallel as parallel
    from fcnn import plot as plot
    from fcnn import quantize as quantize
    from fcnn import runs as runs
    from fcnn import sklearn as sklearn
    from fcnn import testing as testing
    from fcnn import train as train
    from fcnn import tree as tree
    from fcnn import typing as typing
    from fcnn import weights as weights
    from fcnn._derivatives.examples import per_example_gradients as per_example_gradients
    from fcnn._derivatives.forward import jvp as jvp
    from fcnn._derivatives.hessian import hvp as hvp
    from fcnn._derivatives.inputs import input_gradient as input_gradient
    from fcnn._derivatives.jacobians import jacobian as jacobian
    from fcnn._evaluate import evaluate as evaluate
    from fcnn._evaluate import predict as predict
    from fcnn._folder import experiment as experiment
    from fcnn._freezing import FrozenParams as FrozenParams
    from fcnn._jit import jit as jit
    from fcnn._layer import EVAL as EVAL
    from fcnn._layer import Context as Context
    from fcnn._layer import Layer as Layer
    from fcnn._layer import layer as layer
    from fcnn._layer import training as training
    from fcnn._report import report as report
    from fcnn._summary import summary as summary
    from fcnn._value import as_value as as_value
    from fcnn._walk import facts as facts
    from fcnn._walk import walk as walk
    from fcnn.autodiff import grad as grad
    from fcnn.autodiff import value_and_grad as value_and_grad
    from fcnn.checkpoint import load as load
    from fcnn.checkpoint import load_info as load_info
    from fcnn.checkpoint import load_model as load_model
    from fcnn.checkpoint import save as save
    from fcnn.layers.activations import log_softmax as log_softmax
    from fcnn.layers.activations import relu as relu
    from fcnn.layers.activations import sigmoid as sigmoid
    from fcnn.layers.activations import softmax as softmax
    from fcnn.layers.activations import tanh as tanh
    from fcnn.layers.adaptive_pool import adaptive_avg_pool as adaptive_avg_pool
    from fcnn.layers.adaptive_pool import adaptive_max_pool as adaptive_max_pool
    from fcnn.layers.branches import add as add
    from fcnn.layers.branches import concat as concat
    from fcnn.layers.branches import fanout as fanout
    from fcnn.layers.branches import itemwise as itemwise
    from fcnn.layers.branches import multiply as multiply
    from fcnn.layers.branches import residual as residual
    from fcnn.layers.checkpointed import checkpointed as checkpointed
    from fcnn.layers.combinators import named as named
    from fcnn.layers.combinators import repeat as repeat
    from fcnn.layers.combinators import serial as serial
    from fcnn.layers.combinators import shared as shared
    from fcnn.layers.conv import ConvParams as ConvParams
    from fcnn.layers.conv import conv1d as conv1d
    from fcnn.layers.conv import conv2d as conv2d
    from fcnn.layers.conv import conv3d as conv3d
    from fcnn.layers.conv_transpose import conv_transpose1d as conv_transpose1d
    from fcnn.layers.conv_transpose import conv_transpose2d as conv_transpose2d
    from fcnn.layers.conv_transpose import conv_transpose3d as conv_transpose3d
    from fcnn.layers.dense import DenseParams as DenseParams
    from fcnn.layers.dense import dense as dense
    from fcnn.layers.depthwise import DepthwiseConvParams as DepthwiseConvParams
    from fcnn.layers.depthwise import depthwise_conv2d as depthwise_conv2d
    from fcnn.layers.dropout import dropout as dropout
    from fcnn.layers.dropout import spatial_dropout as spatial_dropout
    from fcnn.layers.dropout import stochastic_depth as stochastic_depth
    from fcnn.layers.elementwise import elementwise as elementwise
    from fcnn.layers.embedding import EmbeddingParams as EmbeddingParams
    from fcnn.layers.embedding import embedding as embedding
    from fcnn.layers.frozen import frozen as frozen
    from fcnn.layers.gates import glu as glu
    from fcnn.layers.global_pool import global_avg_pool as global_avg_pool
    from fcnn.layers.global_pool import global_max_pool as global_max_pool
    from fcnn.layers.group_norm import group_norm as group_norm
    from fcnn.layers.group_norm import instance_norm as instance_norm
    from fcnn.layers.hard import hard_shrink as hard_shrink
    from fcnn.layers.hard import hard_sigmoid as hard_sigmoid
    from fcnn.layers.hard import hard_swish as hard_swish
    from fcnn.layers.hard import hard_tanh as hard_tanh
    from fcnn.layers.hard import soft_shrink as soft_shrink
    from fcnn.layers.layer_norm import NormParams as NormParams
    from fcnn.layers.layer_norm import layer_norm as layer_norm
    from fcnn.layers.layer_norm import rms_norm as rms_norm
    from fcnn.layers.lp_pool import lp_pool2d as lp_pool2d
    from fcnn.layers.noise import alpha_dropout as alpha_dropout
    from fcnn.layers.noise import gaussian_noise as gaussian_noise
    from fcnn.layers.norm import BatchNormParams as BatchNormParams
    from fcnn.layers.norm import batch_norm as batch_norm
    from fcnn.layers.pad import crop2d as crop2d
    from fcnn.layers.pad import pad1d as pad1d
    from fcnn.layers.pad import pad2d as pad2d
    from fcnn.layers.pool import avg_pool1d as avg_pool1d
    from fcnn.layers.pool import avg_pool2d as avg_pool2d
    from fcnn.layers.pool import avg_pool3d as avg_pool3d
    from fcnn.layers.pool import max_pool1d as max_pool1d
    from fcnn.layers.pool import max_pool2d as max_pool2d
    from fcnn.layers.pool import max_pool3d as max_pool3d
    from fcnn.layers.prelu import PreluParams as PreluParams
    from fcnn.layers.prelu import prelu as prelu
    from fcnn.layers.rectifiers import celu as celu
    from fcnn.layers.rectifiers import elu as elu
    from fcnn.layers.rectifiers import leaky_relu as leaky_relu
    from fcnn.layers.rectifiers import relu6 as relu6
    from fcnn.layers.rectifiers import selu as selu
    from fcnn.layers.resample import pixel_shuffle as pixel_shuffle
    from fcnn.layers.resample import pixel_unshuffle as pixel_unshuffle
    from fcnn.layers.resample import resize2d as resize2d
    from fcnn.layers.resample import upsample2d as upsample2d
    from fcnn.layers.reshape import flatten as flatten
    from fcnn.layers.reshape import reshape as reshape
    from fcnn.layers.reshape import transpose as transpose
    from fcnn.layers.response_norm import local_response_norm as local_response_norm
    from fcnn.layers.separable import separable_conv2d as separable_conv2d
    from fcnn.layers.smooth import gelu as gelu
    from fcnn.layers.smooth import log_sigmoid as log_sigmoid
    from fcnn.layers.smooth import mish as mish
    from fcnn.layers.smooth import silu as silu
    from fcnn.layers.smooth import softplus as softplus
    from fcnn.layers.smooth import softsign as softsign
    from fcnn.layers.softmax_over import log_softmax_over as log_softmax_over
    from fcnn.layers.softmax_over import softmax_over as softmax_over
    from fcnn.layers.squeeze_excite import squeeze_excite as squeeze_excite
    from fcnn.layers.standardized import weight_standardized as weight_standardized
    from fcnn.prng import Key as Key
    from fcnn.prng import fold_in as fold_in
    from fcnn.prng import key as key
    from fcnn.prng import split as split
    from fcnn.runs import compare as compare
    from fcnn.runs import reproduce as reproduce
    from fcnn.runs import sweep as sweep
    from fcnn.train import fit as fit
else:  # a type checker would take any misspelt name for one that this finds
    _MODULES = (
        "checkpoint",
        "data",
        "errors",
        "explain",
        "export",
        "fusion",
        "initializers",
        "jax",
        "losses",
        "metrics",
        "models",
        "optim",
        "parallel",
        "plot",
        "quantize",
        "runs",
        "sklearn",
        "testing",
        "train",
        "tree",
        "typing",
        "weights",
    )
    _HOMES = {
        "_derivatives.examples": ("per_example_gradients",),
        "_derivatives.forward": ("jvp",),
        "_derivatives.hessian": ("hvp",),
        "_derivatives.inputs": ("input_gradient",),
        "_derivatives.jacobians": ("jacobian",),
        "_evaluate": ("evaluate", "predict"),
        "_folder": ("experiment",),
        "_freezing": ("FrozenParams",),
        "_jit": ("jit",),
        "_layer": ("EVAL", "Context", "Layer", "layer", "training"),
        "_report": ("report",),
        "_summary": ("summary",),
        "_value": ("as_value",),
        "_walk": ("facts", "walk"),
        "autodiff": ("grad", "value_and_grad"),
        "checkpoint": ("load", "load_info", "load_model", "save"),
        "layers.activations": ("log_softmax", "relu", "sigmoid", "softmax", "tanh"),
        "layers.adaptive_pool": ("adaptive_avg_pool", "adaptive_max_pool"),
        "layers.branches": ("add", "concat", "fanout", "itemwise", "multiply", "residual"),
        "layers.checkpointed": ("checkpointed",),
        "layers.combinators": ("named", "repeat", "serial", "shared"),
        "layers.conv": ("ConvParams", "conv1d", "conv2d", "conv3d"),
        "layers.conv_transpose": ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        "layers.dense": ("DenseParams", "dense"),
        "layers.depthwise": ("DepthwiseConvParams", "depthwise_conv2d"),
        "layers.dropout": ("dropout", "spatial_dropout", "stochastic_depth"),
        "layers.elementwise": ("elementwise",),
        "layers.embedding": ("EmbeddingParams", "embedding"),
        "layers.frozen": ("frozen",),
        "layers.gates": ("glu",),
        "layers.global_pool": ("global_avg_pool", "global_max_pool"),
        "layers.group_norm": ("group_norm", "instance_norm"),
        "layers.hard": ("hard_shrink", "hard_sigmoid", "hard_swish", "hard_tanh", "soft_shrink"),
        "layers.layer_norm": ("NormParams", "layer_norm", "rms_norm"),
        "layers.lp_pool": ("lp_pool2d",),
        "layers.noise": ("alpha_dropout", "gaussian_noise"),
        "layers.norm": ("BatchNormParams", "batch_norm"),
        "layers.pad": ("crop2d", "pad1d", "pad2d"),
        "layers.pool": (
            "avg_pool1d",
            "avg_pool2d",
            "avg_pool3d",
            "max_pool1d",
            "max_pool2d",
            "max_pool3d",
        ),
        "layers.prelu": ("PreluParams", "prelu"),
        "layers.rectifiers": ("celu", "elu", "leaky_relu", "relu6", "selu"),
        "layers.resample": ("pixel_shuffle", "pixel_unshuffle", "resize2d", "upsample2d"),
        "layers.reshape": ("flatten", "reshape", "transpose"),
        "layers.response_norm": ("local_response_norm",),
        "layers.separable": ("separable_conv2d",),
        "layers.smooth": ("gelu", "log_sigmoid", "mish", "silu", "softplus", "softsign"),
        "layers.softmax_over": ("log_softmax_over", "softmax_over"),
        "layers.squeeze_excite": ("squeeze_excite",),
        "layers.standardized": ("weight_standardized",),
        "prng": ("Key", "fold_in", "key", "split"),
        "runs": ("compare", "reproduce", "sweep"),
        "train": ("fit",),
    }

    def __getattr__(name: str) -> Any:
        """Import a module when one of its names is first asked for."""
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"fcnn.{name}")
        for home, names in _HOMES.items():
            if name in names:
                found = getattr(import_module(f"fcnn.{home}"), name)
                globals()[name] = found
                return found
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
    "jax",
    "jit",
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
    "quantize",
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
    "sklearn",
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
