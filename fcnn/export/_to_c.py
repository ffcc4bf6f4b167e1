"""`c`: a model and its params as one C99 file."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from fcnn._layer import Layer, as_shape
from fcnn._typing import Tree
from fcnn.checkpoint._write import replacing
from fcnn.errors import ArgumentError
from fcnn.export._c._float import Body
from fcnn.export._c._tables import identifier
from fcnn.export._c._text import comment
from fcnn.export._c._whole import WholeBody
from fcnn.export._graph import Tensor
from fcnn.export._onnx import traced
from fcnn.export._whole._api import OPSET, calibrate
from fcnn.export._whole._quantized import Quantized


@attrs.frozen
class CFile:
    """What a C file holds and takes.

    Attributes:
        path: the file.
        function: the function to call.
        constants: the bytes of weights and tables, which a program keeps in flash.
        memory: the bytes of the static buffer, in RAM.
    """

    path: Path
    function: str
    constants: int
    memory: int


def c(
    model: Layer,
    params: Tree,
    shape: Any,
    path: str | PathLike[str],
    *,
    normalise: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    channels_first: bool = False,
    quantize: Any = None,
) -> CFile:
    """Write a model in evaluation as one C99 file, which needs nothing but ``<math.h>``.

    The file ``digits.h`` defines ``void digits_predict(const float *input, float *output)``, which
    computes ``model.apply(params, x)`` of one example in float32. It allocates nothing: weights are
    constants, and all values between lie in one static buffer, each where its memory is free. So
    one call runs at a time. Include the file in one source file of a program.

    Batch norm is merged into the layer before it, dropout is left out. Layers are written by the
    rules that `fcnn.export.onnx` uses: one of your own takes part by `fcnn.export.rule`.

    Args:
        model: the model.
        params: its params; those in float64 are rounded.
        shape: the shape of one example, or a tuple or dict of shapes, each an argument.
        path: the file; its name without ending is what all names in it begin with.
        normalise: ``(mean, std)``: the function takes x and computes ``(x - mean) / std`` first.
        class_names: are written as an array of strings.
        channels_first: whether inputs and outputs of two axes and more have channels first.
        quantize: examples ``(n, ...)``, or what `fcnn.quantize.calibrate` made of model and params
            with the same options. Then layers compute in whole numbers of 8 bits, with the bits of
            `fcnn.quantize.apply` up to the last layer.

    Returns:
        What the file holds: the function's name, the bytes of constants and of memory.

    Raises:
        ArgumentError: if a layer has no rule, or an operation that C is not written for.
        ShapeError: if the model does not take such an example.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> params, _ = model.init(fcnn.key(0), (28, 28, 1))
    >>> made = fcnn.export.c(model, params, (28, 28, 1), "digits.h")
    >>> made.function, made.constants, made.memory
    ('digits_predict', 216680, 43264)

    Source: ISO/IEC 9899:1999, https://www.open-std.org/jtc1/sc22/wg14/www/docs/n1256.pdf.
    """
    path = Path(path)
    prefix = identifier(path.stem)
    if not prefix or prefix[0].isdigit():
        raise ArgumentError(
            f"expected a file whose name begins with a letter, for names in C, got {path.name}"
        )
    if quantize is None:
        options: dict[str, Any] = {"normalise": normalise, "channels_first": channels_first}
        graph, outputs = traced(model, params, shape, opset=OPSET, **options)
        inputs, integers = graph.inputs, graph.integers
    else:
        small = _quantized(model, params, shape, quantize, normalise, channels_first)
        inputs, integers, outputs = list(small.inputs), set(), list(small.outputs)
    arguments = [(each.name, each) for each in inputs]
    names = {name: identifier(name) for name, _ in [*arguments, *outputs]}
    body: Body | WholeBody = (
        Body(graph, names, prefix) if quantize is None else WholeBody(small, names, prefix)
    )
    found = CFile(path, f"{prefix}_predict", body.tables.bytes, body.size)
    text = [
        *_heading(model, found),
        *_guarded(prefix),
        *_sizes(prefix, [*arguments, *outputs]),
        *_classes(prefix, class_names),
        *body.tables.lines,
        "",
        *body.helpers,
        *[*body.memory, ""],
        *_function(found.function, integers, arguments, outputs, names, body.lines.lines),
        "",
        "#endif",
    ]
    with replacing(path) as file:
        file.write("\n".join(text).encode() + b"\n")
    return found


def _quantized(
    model: Layer,
    params: Tree,
    shape: Any,
    given: Any,
    normalise: Any,
    channels_first: bool,
) -> Quantized:
    if isinstance(given, Quantized):
        found = given
    else:
        found = calibrate(model, params, given, normalise=normalise, channels_first=channels_first)
    if found.model != model or found.shape != as_shape(shape):
        raise ArgumentError(
            f"expected examples or what calibrate made of {model!r} for {shape}, got {found!r}"
        )
    return found


def _heading(model: Layer, made: CFile) -> list[str]:
    text = (
        f"{model!r}\n\nWritten by fcnn. Constants: {made.constants} bytes. Memory: {made.memory} "
        f"bytes, static, so that one call of {made.function} runs at a time."
    )
    lines = [each for part in text.split("\n") for each in (textwrap.wrap(part, 90) or [""])]
    return comment("\n   ".join(lines)).splitlines()


def _guarded(prefix: str) -> list[str]:
    name = f"{prefix.upper()}_H"
    return [
        f"#ifndef {name}",
        f"#define {name}",
        "",
        "#include <math.h>",
        "#include <stdint.h>",
        "",
    ]


def _sizes(prefix: str, tensors: list[tuple[str, Tensor]]) -> list[str]:
    """Return the number of elements of each argument, its shape beside it."""
    return [
        f"#define {prefix.upper()}_{identifier(name).upper()}_SIZE {math.prod(tensor.layout)} "
        + comment(str(tensor.layout))
        for name, tensor in tensors
    ] + [""]


def _classes(prefix: str, class_names: Sequence[str] | None) -> list[str]:
    if class_names is None:
        return []
    if isinstance(class_names, str):
        raise ArgumentError(f"expected class_names as a sequence, got {class_names!r}")
    names = ", ".join(json.dumps(str(each)) for each in class_names)
    return [
        f"static const char *const {prefix}_class_names[{len(class_names)}] = {{{names}}};",
        "",
    ]


def _function(
    name: str,
    integers: set[str],
    inputs: list[tuple[str, Tensor]],
    outputs: list[tuple[str, Tensor]],
    names: dict[str, str],
    lines: list[str],
) -> list[str]:
    takes = [
        f"const {'int32_t' if each in integers else 'float'} *{names[each]}" for each, _ in inputs
    ]
    gives = [f"float *{names[each]}" for each, _ in outputs]
    head = f"static inline void {name}({', '.join([*takes, *gives])})"
    return [head, "{", *[f"    {line}" if line else "" for line in lines], "}"]
