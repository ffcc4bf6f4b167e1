"""Operations that move elements, in C, for elements of any type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._typing import Shape
from fcnn.export._c._operands import Operation
from fcnn.export._c._shapes import cuts_of
from fcnn.export._c._text import index, loop_names, number, strides_of
from fcnn.export._graph import Node


def is_view(node: Node, shape: Shape) -> bool:
    """Return whether an operation gives the elements of ``shape`` in the same order."""
    if node.op != "Transpose":
        return node.op in ("Reshape", "Identity")
    moved = [axis for axis in node.attributes["perm"] if shape[axis] > 1]
    return moved == sorted(moved)


def copied(op: Operation) -> None:
    """Write the elements as they are, where they cannot be read in their place."""
    with op.lines.loops(("i", math.prod(op.out))):
        op.lines.add(f"{op.y}[i] = {op.x}[i];")


def transpose(op: Operation) -> None:
    """Write the elements in another order of the axes."""
    steps = strides_of(op.shapes[0])
    _copy(op, [(op.out[k], str(steps[axis]), 0) for k, axis in enumerate(op.get("perm"))])


def slices(op: Operation) -> None:
    """Write the elements from a start on along each axis."""
    steps = strides_of(op.shapes[0])
    cuts = cuts_of(op.shapes[0], op.arrays)
    _copy(
        op,
        [
            (size, str(by * step), start * step)
            for (start, by, size), step in zip(cuts, steps, strict=True)
        ],
    )


def _copy(op: Operation, axes: list[tuple[int, str, int]]) -> None:
    """Write a loop over the output that reads at ``i * stride + offset`` along each axis."""
    names, to = loop_names(len(axes)), strides_of(op.out)
    used = [k for k, (size, _, _) in enumerate(axes) if size > 1]
    offset = sum(axis[2] for axis in axes)
    with op.lines.loops(*[(names[k], axes[k][0]) for k in used]):
        at = index(*[(names[k], to[k]) for k in used])
        read = index(*[(names[k], int(axes[k][1])) for k in used])
        more = f" + {offset}" if offset else ""
        op.lines.add(f"{op.y}[{at}] = {op.x}[{read}{more}];")


def concat(op: Operation) -> None:
    """Write the inputs one behind the other along an axis."""
    axis = op.get("axis") % len(op.out)
    outer, inner = math.prod(op.out[:axis]), math.prod(op.out[axis + 1 :])
    start, whole = 0, op.out[axis] * inner
    for name, shape in zip(op.names[:-1], op.shapes[:-1], strict=True):
        size = shape[axis] * inner
        with op.lines.loops(("o", outer), ("i", size)):
            to, of = index(("o", whole), ("i", 1)), index(("o", size), ("i", 1))
            more = f" + {start}" if start else ""
            op.lines.add(f"{op.y}[{to}{more}] = {name}[{of}];")
        start += size


def pad(op: Operation) -> None:
    """Write margins: a constant, or the elements that the image shows there."""
    mode, pads = op.get("mode", "constant"), op.array(1).tolist()
    shape, rank = op.shapes[0], len(op.out)
    places = []
    for k, size in enumerate(shape):
        ends = pads[k], pads[k + rank]
        if mode == "constant":
            place = np.arange(-ends[0], size + ends[1])
            places.append(np.where((place < 0) | (place >= size), -1, place))
        else:
            how: Any = mode  # "reflect" or "edge", as NumPy calls them too
            places.append(np.pad(np.arange(size), ends, how))
    value = float(op.arrays[2].reshape(())) if 2 in op.arrays else 0.0
    gathered(op, places, number(value) if op.kind == "float" else str(int(value)))


def gather(op: Operation) -> None:
    """Write the elements at some places of an axis: of a table, or of places that are constants."""
    axis = op.get("axis") % len(op.shapes[0])
    if 1 in op.arrays:
        shape = op.shapes[0]
        places = [np.arange(n) for n in shape]
        places[axis] = op.array(1).ravel() % shape[axis]
        gathered(op, places, "0")
        return
    rows, width = op.shapes[0][0], math.prod(op.shapes[0][1:])
    table = op.constant(0, op.array(0), "table")
    with op.lines.loops(("i", math.prod(op.shapes[1]))):
        op.lines.add(f"const int32_t row = {op.names[1]}[i];")
        op.lines.add(f"const int32_t at = row < 0 ? 0 : row < {rows} ? row : {rows - 1};")
        with op.lines.loops(("j", width)):
            to, of = index(("i", width), ("j", 1)), index(("at", width), ("j", 1))
            op.lines.add(f"{op.y}[{to}] = {table}[{of}];")


def resize(op: Operation) -> None:
    """Write an image of another size: the nearest element, or the weighted mean of two an axis."""
    image, out = op.shapes[0], op.out
    if op.get("mode") == "nearest":
        places = [np.arange(n) * own // n for own, n in zip(image, out, strict=True)]
        gathered(op, places, "0")
        return
    (_, channels, h, w), (_, _, tall, wide) = image, out
    names = []
    for own, n, axis in ((h, tall, "rows"), (w, wide, "columns")):
        place = np.maximum((np.arange(n) + 0.5) * (own / n) - 0.5, 0)
        low = np.minimum(np.floor(place).astype(int), own - 1)
        names += [
            op.table(f"{axis}_{own}_{n}", low.astype(np.int32)),
            op.table(f"{axis}_share_{own}_{n}", (place - low).astype(np.float32)),
        ]
    rows, down, columns, right = names
    lines = op.lines
    with lines.loops(("c", channels), ("y", tall), ("x", wide)):
        lines.add(f"const float *from = {op.x} + {index(('c', h * w))};")
        lines.add(f"const int top = {rows}[y], left = {columns}[x];")
        lines.add(f"const int below = top + (top < {h - 1}), beside = left + (left < {w - 1});")
        lines.add(f"const float v = {down}[y], u = {right}[x];")
        for name, row in (("a", "top"), ("b", "below")):
            one, other = f"from[{row} * {w} + left]", f"from[{row} * {w} + beside]"
            lines.add(f"const float {name} = {one} * (1.0f - u) + {other} * u;")
        at = index(("c", tall * wide), ("y", wide), ("x", 1))
        lines.add(f"{op.y}[{at}] = a * (1.0f - v) + b * v;")


def to_space(op: Operation) -> None:
    """Write blocks of channels as blocks of pixels."""
    (_, c, tall, wide), f = op.out, op.get("blocksize")
    h, w = tall // f, wide // f
    with op.lines.loops(("c", c), ("y", tall), ("x", wide)):
        block = index(("c", f * f), (f"(y % {f})", f), (f"x % {f}", 1))
        at = f"({block}) * {h * w} + y / {f} * {w} + x / {f}"
        op.lines.add(f"{op.y}[{index(('c', tall * wide), ('y', wide), ('x', 1))}] = {op.x}[{at}];")


def gathered(
    op: Operation, places: list[np.ndarray[tuple[int], np.dtype[np.int64]]], outside: str
) -> None:
    """Write the elements at these places along each axis; ``outside`` where one is -1."""
    shape, names = op.shapes[0], loop_names(len(op.out))
    steps, to = strides_of(shape), strides_of(op.out)
    size = [len(each) for each in places]
    used = [k for k in range(len(places)) if size[k] > 1]
    reads, absent = [], []
    for k in used:
        if np.array_equal(places[k], np.arange(shape[k])):
            reads.append((names[k], steps[k]))
            continue
        table = op.table(f"places_{size[k]}", places[k].astype(np.int32))
        reads.append((f"{table}[{names[k]}]", steps[k]))
        if (places[k] < 0).any():
            absent.append(f"{table}[{names[k]}] < 0")
    offset = sum(int(places[k][0]) * steps[k] for k in range(len(places)) if k not in used)
    with op.lines.loops(*[(names[k], size[k]) for k in used]):
        at = index(*[(names[k], to[k]) for k in used])
        read = f"{op.x}[{index(*reads)}{f' + {offset}' if offset else ''}]"
        value = f"{' || '.join(absent)} ? {outside} : {read}" if absent else read
        op.lines.add(f"{op.y}[{at}] = {value};")
