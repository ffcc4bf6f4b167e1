"""`calibrate` and `apply`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn import tree
from fcnn._layer import Layer
from fcnn._typing import Array, Tree
from fcnn._walk import out_shape
from fcnn.errors import ArgumentError, ShapeError
from fcnn.export._onnx import traced
from fcnn.export._trace import over_shapes
from fcnn.export._whole._quantized import Quantized
from fcnn.export._whole._ranges import complete
from fcnn.export._whole._run import run
from fcnn.export._whole._steps import Planner

OPSET = 17
"""The version of the operators that the graph is made of."""


def calibrate(
    model: Layer,
    params: Tree,
    examples: Any,
    *,
    normalise: tuple[Any, Any] | None = None,
    channels_first: bool = False,
) -> Quantized:
    """Return a model in whole numbers, by the ranges of its values on some examples.

    A weight of an output channel is a whole number from -127 to 127, an activation one from 0 to
    255, a bias and a sum of products one of 32 bits. Functions of one element are tables of 256.
    What the last layer computes, and a softmax behind it, is in float32 again.

    Args:
        model: a model of convolutions, dense layers, pools, activations, batch norm, additions,
            products and concatenations, and of what moves elements.
        params: its params.
        examples: ``(n, ...)``, or a tuple or dict of such arrays; a hundred or more that are like
            those the model will see.
        normalise: ``(mean, std)``: the model in whole numbers takes x, and the one given
            ``(x - mean) / std``.
        channels_first: whether `fcnn.export.c` writes a function that takes them so.

    Raises:
        ArgumentError: if a layer has no counterpart in whole numbers, or there are no examples.
        ShapeError: if the model does not take such examples.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.dense(4), fcnn.relu, fcnn.dense(2))
    >>> params, _ = model.init(fcnn.key(0), (3,))
    >>> x = np.random.default_rng(0).random((64, 3), np.float32)
    >>> small = fcnn.quantize.calibrate(model, params, x)
    >>> [step.kind for step in small.steps]
    ['layer', 'layer']

    Source: B. Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2017, https://arxiv.org/abs/1712.05877.
    """
    leaves = tree.leaves(examples)
    if not leaves or not all(isinstance(each, np.ndarray) and len(each) for each in leaves):
        raise ArgumentError("expected examples (n, ...) to calibrate with, got none")
    shape = tree.map(lambda leaf: leaf.shape[1:], examples)
    options: dict[str, Any] = {"normalise": normalise, "channels_first": channels_first}
    graph, outputs = traced(model, params, shape, opset=OPSET, examples=examples, **options)
    given = zip(graph.inputs, leaves, strict=True)
    complete(graph, {each.name: _turned(x, each.channels_first) for each, x in given})
    planner = Planner(graph, [name for name, _ in outputs])
    planner.run()
    return Quantized(
        model,
        shape,
        tuple(planner.steps),
        planner.scales,
        planner.shapes,
        planner.results,
        tuple(graph.inputs),
        tuple(outputs),
        graph.arrays,
        graph,
    )


def apply(model: Quantized, x: Tree) -> Any:
    """Return the outputs of a model in whole numbers for examples ``(n, ...)``.

    They are of the form that ``model.apply`` returns: an array, or a tuple or dict of them.

    Args:
        model: what `calibrate` returned.
        x: the examples, channels last.

    Raises:
        ShapeError: if they are of another shape than those it was calibrated with.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.dense(4), fcnn.relu, fcnn.dense(2))
    >>> params, _ = model.init(fcnn.key(0), (3,))
    >>> x = np.random.default_rng(0).random((64, 3), np.float32)
    >>> small = fcnn.quantize.calibrate(model, params, x)
    >>> bool(np.abs(fcnn.quantize.apply(small, x) - model.apply(params, x)).max() < 0.02)
    True
    """
    given = tree.leaves(x)
    shapes = tree.map(lambda leaf: np.shape(leaf)[1:], x)
    if shapes != model.shape:
        raise ShapeError(f"expected examples of the shape {model.shape}, got {shapes}")
    inputs = {
        each.name: _turned(np.asarray(leaf, np.float32), each.channels_first)
        for each, leaf in zip(model.inputs, given, strict=True)
    }
    found = run(model, inputs)
    outputs = iter([_back(found[name], each.channels_first) for name, each in model.outputs])
    return over_shapes(lambda _: next(outputs), out_shape(model.model, model.shape))


def _turned(x: Array, channels_first: bool) -> Array:
    return np.moveaxis(x, -1, 1) if channels_first else x


def _back(y: Array, channels_first: bool) -> Array:
    return np.moveaxis(y, 1, -1) if channels_first else y
