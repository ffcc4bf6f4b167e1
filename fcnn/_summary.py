"""What a model consists of, as a table."""

from __future__ import annotations

import html
import math
from typing import Any

import attrs

from fcnn import tree
from fcnn._layer import Layer
from fcnn._sharing import SHARED
from fcnn._typing import Shape
from fcnn._walk import Visit, facts_of, is_leaf, walk
from fcnn.prng import abstract_key
from fcnn.tree._children import shape_of

_HEAD = ("layer", "output", "params", "stats", "mult-adds", "field")
_UNKNOWN = "–"


@attrs.frozen
class Row:
    """A layer of a model, and its part of the totals.

    Attributes:
        layer: the layer's printed form, or a combinator's name.
        depth: the number of combinators around it, the model itself not counted.
        out_shape: the shape of one example of its output; None for a combinator.
        params: how many numbers it learns.
        statistics: how many running statistics it keeps.
        multiply_adds: of one example; None if the layer does not say.
        receptive_field: how much of the input an output sees along each axis; None if unknown.
    """

    layer: str
    depth: int
    out_shape: Any
    params: int
    statistics: int
    multiply_adds: int | None
    receptive_field: tuple[int, ...] | None


@attrs.frozen(repr=False)
class Summary:
    """The rows of a model's layers; prints as a table, and shows as one in a notebook."""

    rows: tuple[Row, ...]

    @property
    def params(self) -> int:
        """How many numbers the model learns."""
        return sum(row.params for row in self.rows)

    @property
    def statistics(self) -> int:
        """How many running statistics the model keeps."""
        return sum(row.statistics for row in self.rows)

    @property
    def multiply_adds(self) -> int | None:
        """Of one example; None if a layer does not say."""
        found = [row.multiply_adds for row in self.rows if row.out_shape is not None]
        return None if None in found else sum(n for n in found if n is not None)

    def _cells(self) -> list[tuple[str, ...]]:
        total = _number(self.params), _number(self.statistics), _number(self.multiply_adds)
        return [_HEAD, *map(_cells_of, self.rows), ("total", "", *total, "")]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        used = [i for i in range(len(_HEAD)) if i < 3 or self._is_used(cells, i)]
        lines = []
        for row in cells:
            parts = [row[i].ljust(widths[i]) if i < 2 else row[i].rjust(widths[i]) for i in used]
            lines.append("  ".join(parts).rstrip())
        return "\n".join(lines)

    def _is_used(self, cells: list[tuple[str, ...]], i: int) -> bool:
        """Whether a column says anything."""
        return any(row[i] not in ("", "0", _UNKNOWN) for row in cells[1:])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        lines = [_html_row("th", head), *(_html_row("td", row) for row in rows)]
        return "<table>\n" + "\n".join(lines) + "\n</table>"


def summary(model: Layer, shape: Shape) -> Summary:
    """Return a table of a model's layers: outputs, params, multiply-adds, receptive fields.

    Nested models are indented. Running statistics and frozen params are counted apart from the
    numbers that are learnt; of a shared layer's places the first alone is counted. "–" stands
    for what a layer does not say (see `fcnn.facts`). No weight is drawn.

    Args:
        model: a layer.
        shape: the shape of one example; a tuple or dict of shapes where the input is one.

    Raises:
        ShapeError: if the model does not take such an example.

    >>> import fcnn
    >>> print(fcnn.summary(fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu), (28, 28, 1)))
    layer         output       params  mult-adds  field
    conv2d(8, 3)  (26, 26, 8)      80     48,672    3×3
    relu          (26, 26, 8)       0          0    3×3
    total                          80     48,672
    """
    rows: list[Row] = []
    counted: set[Layer] = set()
    again, still, prefix = math.inf, math.inf, ""
    for visit in walk(model, shape, combinators=True):
        if visit.depth <= again:
            again = math.inf  # behind a shared layer that was counted before
        if visit.depth <= still:
            still = math.inf  # behind a frozen layer
        if visit.layer.spec.name == "frozen":
            still = min(still, visit.depth)
        if visit.layer.spec.constructor in SHARED:
            again = min(again, visit.depth) if visit.layer in counted else again
            counted.add(visit.layer)
        if (label := _wrapper(visit.layer)) is not None:
            prefix += label
            continue
        if visit.depth or is_leaf(visit.layer) or prefix:
            row = _row(visit, prefix, counts=again == math.inf)
            if still < math.inf:
                row = attrs.evolve(row, params=0, statistics=row.params + row.statistics)
            rows.append(row)
        prefix = ""
    return Summary(tuple(rows))


def _wrapper(layer: Layer) -> str | None:
    """Return what stands before a layer's own row: its name, or how it is wrapped."""
    if layer.spec.constructor in SHARED:
        return "shared "
    if layer.spec.name in ("frozen", "checkpointed"):
        return f"{layer.spec.name} "
    return f"{layer.spec.arguments['name']}: " if layer.spec.name == "named" else None


def _row(visit: Visit, prefix: str, counts: bool) -> Row:
    depth = visit.path.count(".") if visit.path else 0
    if not is_leaf(visit.layer):
        return Row(prefix + visit.layer.spec.name, depth, None, 0, 0, 0, None)
    params, _ = visit.layer.init(abstract_key(), visit.in_shape)
    sizes = [math.prod(shape_of(leaf)) for leaf in tree.leaves(params)] if counts else []
    marks = tree.statistics(params) if counts else []
    cost = facts_of(visit.layer).multiply_adds
    return Row(
        prefix + repr(visit.layer),
        depth,
        visit.out_shape,
        sum(n for n, is_statistic in zip(sizes, marks, strict=True) if not is_statistic),
        sum(n for n, is_statistic in zip(sizes, marks, strict=True) if is_statistic),
        None if cost is None else cost(visit.layer, visit.in_shape, visit.out_shape),
        visit.receptive_field,
    )


def _cells_of(row: Row) -> tuple[str, ...]:
    name = "  " * row.depth + row.layer
    if row.out_shape is None:
        return name, "", "", "", "", ""
    field = row.receptive_field
    sees = _UNKNOWN if field is None else "×".join(map(str, field))
    counts = _number(row.params), _number(row.statistics), _number(row.multiply_adds)
    return name, str(row.out_shape), *counts, sees


def _number(n: int | None) -> str:
    return _UNKNOWN if n is None else f"{n:,}"


def _html_row(tag: str, cells: tuple[str, ...]) -> str:
    shown = []
    for i, cell in enumerate(cells):
        text = html.escape(cell.strip())
        indent = (len(cell) - len(cell.lstrip())) // 2 if i == 0 else 0
        style = f"text-align: {'left' if i < 2 else 'right'}; padding-left: {0.5 + indent}em"
        shown.append(f'<{tag} style="{style}">{text}</{tag}>')
    return f"<tr>{''.join(shown)}</tr>"
