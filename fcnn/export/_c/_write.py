"""One operation as a block of C: the arrays that it reads and writes, and its statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from fcnn._typing import Array, Shape
from fcnn.export._c._conv import conv
from fcnn.export._c._elementwise import (
    EXPRESSIONS,
    batch_norm,
    elementwise,
    reduction,
    response_norm,
    softmax,
)
from fcnn.export._c._moves import (
    concat,
    copied,
    gather,
    pad,
    resize,
    slices,
    to_space,
    transpose,
)
from fcnn.export._c._operands import Operation
from fcnn.export._c._shapes import BINARY
from fcnn.export._c._tables import Tables
from fcnn.export._c._text import Lines
from fcnn.export._c._windows import conv_transpose, gemm, matmul, pool, whole_pool
from fcnn.export._graph import Node

WRITERS: dict[str, Callable[[Operation], None]] = {
    **dict.fromkeys(EXPRESSIONS, elementwise),
    "Where": elementwise,
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceSum"), reduction),
    **dict.fromkeys(("MaxPool", "AveragePool"), pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), whole_pool),
    "BatchNormalization": batch_norm,
    "Softmax": softmax,
    "LRN": response_norm,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "Reshape": copied,
    "Transpose": transpose,
    "Slice": slices,
    "Concat": concat,
    "Pad": pad,
    "Gather": gather,
    "Resize": resize,
    "DepthToSpace": to_space,
}


class Function(Protocol):
    """The body of a C function on its way: what `write` needs of it."""

    shapes: dict[str, Shape]
    names: dict[str, str]
    tables: Tables
    lines: Lines

    def pointer(self, name: str) -> tuple[str, str]:
        """Return the type and the place of a value that is read."""


def write(
    node: Node,
    inputs: Sequence[str],
    output: str,
    arrays: dict[int, Array],
    kind: str,
    to: Function,
) -> None:
    """Write what a node computes of ``inputs``, of which ``arrays`` are constants by position.

    Most constants are put into the file by the writer, in the order in which it reads them.
    """
    shapes = [to.shapes.get(name, ()) for name in node.inputs]
    names = ["" for _ in node.inputs]
    lines = to.lines
    for i, name in enumerate(inputs):
        if not name or (i in arrays and (node.op not in BINARY or arrays[i].size == 1)):
            continue
        of, place = to.pointer(name) if i not in arrays else (
            "float", to.tables.add(name, arrays[i].astype(np.float32))
        )  # fmt: skip
        names[i] = f"in{i}"
        lines.add(f"const {of} *in{i} = {place};")
    lines.add(f"{kind} *out = {to.names[output]};")
    table = to.tables.add
    shape = to.shapes[output]
    WRITERS[node.op](Operation(node, [*shapes, shape], arrays, [*names, "out"], kind, lines, table))
