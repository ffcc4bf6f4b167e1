"""`onnx`: a model and its params as an ONNX file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._layer import Layer, as_shape, is_shape
from fcnn._typing import Array, Tree
from fcnn._walk import out_shape
from fcnn.errors import ArgumentError, ShapeError
from fcnn.export import _rules_conv, _rules_norm, _rules_pointwise, _rules_pool, _rules_shape
from fcnn.export._fold import fold_batch_norm as merge_batch_norms
from fcnn.export._graph import Graph, Tensor
from fcnn.export._quantize import quantized
from fcnn.export._trace import Trace, flat, inputs_of, names_of
from fcnn.export._write import check_opset, package, write

RULES = (_rules_conv, _rules_norm, _rules_pointwise, _rules_pool, _rules_shape)
"""Imported for the rules that they register."""


def onnx(
    model: Layer,
    params: Tree,
    shape: Any,
    path: str | PathLike[str],
    *,
    opset: int = 17,
    normalise: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    input_names: str | Sequence[str] | None = None,
    output_names: str | Sequence[str] | None = None,
    channels_first: bool = False,
    fold_batch_norm: bool = True,
    quantize: Any = None,
) -> None:
    """Write a model in evaluation as an ONNX file, which inference engines read.

    The file's network computes ``model.apply(params, x)`` in float32, for any number of examples:
    the batch axis is called ``"N"``. Dropout and its like are left out. Within the file channels
    are on the axis behind the batch, where ONNX has them: there is a Transpose at the input and one
    before a flatten.

    The file is checked as it is written, with shape inference (`onnx.checker`, ``full_check``).
    Which engines read what how is in ``fcnn/export/ENGINES.md``.

    Args:
        model: the model.
        params: its params; those in float64 are rounded.
        shape: the shape of one example, or a tuple or dict of shapes.
        path: the file, by custom ``.onnx``.
        opset: the version of the operators, from 13 to 21.
        normalise: ``(mean, std)``, each a number or one a channel: the file's network takes x and
            computes ``(x - mean) / std`` first. Both are in the metadata too.
        class_names: is written to the metadata, as JSON.
        input_names: what the inputs are called, in the order of the tree; by default ``"input"``,
            or ``"input_a"`` and ``"input_0"`` for the items of a dict or tuple.
        output_names: what the outputs are called, likewise; by default ``"output"``.
        channels_first: whether inputs and outputs of two axes and more have channels first:
            ``(N, c, h, w)`` instead of ``(N, h, w, c)``.
        fold_batch_norm: whether batch norm is merged into the layer before it, where that has a
            weight and nothing else reads its output.
        quantize: examples ``(n, ...)`` as the file's network takes them but for channels, which
            are last. Then weights and activations of convolutions and dense layers are written in
            8 bits, as QuantizeLinear and DequantizeLinear; the ranges of the activations are those
            of the least squared error on these examples.

    Raises:
        ArgumentError: if a layer has no rule (see `fcnn.export.rule`), with the path to it, or an
            argument is out of its range.
        ShapeError: if the model does not take such an example.
        ImportError: if the package onnx is not installed (``pip install 'fcnn[export]'``).

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> params, _ = model.init(fcnn.key(0), (28, 28, 1))
    >>> fcnn.export.onnx(model, params, (28, 28, 1), "digits.onnx", normalise=(0.1307, 0.3081))
    >>> import onnx
    >>> [node.op_type for node in onnx.load("digits.onnx").graph.node]
    ['Sub', 'Div', 'Transpose', 'Conv', 'Relu', 'Transpose', 'Reshape', 'Gemm']

    Source: https://onnx.ai/onnx/operators/.
    """
    if not isinstance(model, Layer):
        raise ArgumentError(f"expected a layer, got {model!r}")
    package()
    graph, outputs = traced(
        model,
        params,
        shape,
        opset=check_opset(opset),
        normalise=normalise,
        input_names=input_names,
        output_names=output_names,
        channels_first=channels_first,
        fold_batch_norm=fold_batch_norm,
        examples=quantize,
    )
    if quantize is not None:
        quantized(graph, [name for name, _ in outputs])
    write(graph, outputs, _metadata(model, normalise, class_names), path)


def traced(
    model: Layer,
    params: Tree,
    shape: Any,
    *,
    opset: int,
    normalise: tuple[Any, Any] | None = None,
    input_names: str | Sequence[str] | None = None,
    output_names: str | Sequence[str] | None = None,
    channels_first: bool = False,
    fold_batch_norm: bool = True,
    examples: Any = None,
) -> tuple[Graph, list[tuple[str, Tensor]]]:
    """Return a model's graph and its outputs by name; with ``examples`` it has their ranges."""
    if not isinstance(model, Layer):
        raise ArgumentError(f"expected a layer, got {model!r}")
    shape, graph = as_shape(shape), Graph(opset)
    out_shape(model, shape)  # an error here names the layer's path
    leaves = flat(shape, is_shape)
    names = names_of(leaves, input_names, "input", "input_names")
    inputs = inputs_of(graph, shape, names, channels_first)
    params = _in_float32(params)
    trace, data = Trace(graph), _examples(examples, shape)
    if data is not None:
        trace.note(inputs, data)
    x, data = _normalised(graph, inputs, data, normalise)
    if data is not None:
        trace.note(x, data)
    y, _ = trace.run(model, params, x, data)
    outputs = _outputs(graph, y, output_names, channels_first)
    if fold_batch_norm:
        merge_batch_norms(graph, [name for name, _ in outputs])
    return graph, outputs


def _in_float32(params: Any) -> Any:
    found = {str(leaf.dtype) for leaf in tree.leaves(params) if isinstance(leaf, np.ndarray)}
    if "float64" not in found:
        return params
    warnings.warn(
        "params in float64 are written in float32: engines compute few operators in float64",
        UserWarning,
        stacklevel=3,
    )
    return tree.astype(params, np.float32)


def _examples(given: Any, shape: Any) -> Any:
    """Check the calibration examples; floats come back in float32."""
    if given is None:
        return None
    if is_shape(shape):
        x = np.asarray(given)
        if x.shape[1:] != shape or not len(x):
            raise ShapeError(f"expected examples (n, {str(shape)[1:]} to quantize, got {x.shape}")
        return x.astype(np.float32) if x.dtype.kind == "f" else x
    if isinstance(shape, dict):
        return {name: _examples(given[name], shape[name]) for name in shape}
    return tuple([_examples(one, each) for one, each in zip(given, shape, strict=True)])


def _normalised(graph: Graph, x: Any, data: Any, normalise: Any) -> tuple[Any, Any]:
    if normalise is None:
        return x, data
    if not isinstance(x, Tensor):
        raise ArgumentError("expected a model of one input with normalise, got one of several")
    mean, std = _mean_and_std(normalise, x.shape[-1] if x.shape else 1)
    graph.scope = "normalise"
    y = graph.node("Sub", x, graph.like(x, mean))
    y = graph.node("Div", y, graph.like(x, std))
    return y, None if data is None else ((data - mean) / std).astype(np.float32)


def _mean_and_std(normalise: Any, channels: int) -> tuple[Array, Array]:
    try:
        mean, std = (np.asarray(each, np.float32) for each in normalise)
        fits = all(each.shape in ((), (channels,)) for each in (mean, std))
    except (TypeError, ValueError):
        fits = False
    if not fits or not np.isfinite(mean).all() or not (std > 0).all():
        raise ArgumentError(
            f"expected normalise=(mean, std), numbers or {channels} each with std above 0, "
            f"got {normalise!r}"
        )
    return mean, std


def _outputs(graph: Graph, y: Any, given: Any, channels_first: bool) -> list[tuple[str, Tensor]]:
    """Name the outputs, in the layout asked for; return the tensors by name."""
    leaves = flat(y, lambda each: isinstance(each, Tensor))
    names = names_of(leaves, given, "output", "output_names")
    graph.scope = ""
    turn = graph.first if channels_first else graph.last
    taken = {each.name for each in graph.inputs}
    renamed, outputs = {}, []
    for name, (_, tensor) in zip(names, leaves, strict=True):
        if name in taken | set(graph.arrays):
            raise ArgumentError(f"expected names that differ, got {name!r} twice")
        tensor = turn(tensor)
        if tensor.name in taken or tensor.name in renamed:  # an input, or another output
            tensor = graph.node("Identity", tensor)
        renamed[tensor.name] = name
        outputs.append((name, tensor))
    graph.renamed(
        {**{name: graph.unique(name + "_inner") for name in _clashes(graph, renamed)}, **renamed}
    )
    return outputs


def _clashes(graph: Graph, renamed: dict[str, str]) -> set[str]:
    """Return the inner values that have the name of an output."""
    inner = {name for node in graph.nodes for name in node.outputs} - set(renamed)
    return inner & set(renamed.values())


def _metadata(model: Layer, normalise: Any, class_names: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"fcnn.model": repr(model)}
    if class_names is not None:
        if isinstance(class_names, str):
            raise ArgumentError(f"expected class_names as a sequence, got {class_names!r}")
        found["class_names"] = [str(name) for name in class_names]
    if normalise is not None:
        mean, std = (np.asarray(each, float).tolist() for each in normalise)
        found["normalise"] = {"mean": mean, "std": std}
    return found
