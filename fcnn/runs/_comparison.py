"""The table that `fcnn.compare` returns."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from fcnn.errors import ArgumentError


@attrs.frozen
class Group:
    """Runs that differ in their seed alone: a row.

    Attributes:
        setting: what distinguishes the row from others, by name.
        runs: the folders.
        values: of each metric, its number by seed.
        difference: of the tested metric, the mean difference to the first row; None for it.
        p: of the paired t-test; None where there are fewer than two seeds in common, or all
            differences are equal.
    """

    setting: Mapping[str, Any] = attrs.field(hash=False)
    runs: tuple[Path, ...]
    values: Mapping[str, Mapping[str, float]] = attrs.field(hash=False)
    difference: float | None
    p: float | None

    def mean(self, metric: str) -> float:
        """Return the mean over the seeds; NaN if no run has the metric."""
        found = self.values.get(metric)
        return statistics.fmean(found.values()) if found else math.nan

    def spread(self, metric: str) -> float:
        """Return the sample standard deviation over the seeds; NaN of one."""
        found = self.values.get(metric, {})
        return statistics.stdev(found.values()) if len(found) > 1 else math.nan

    @property
    def seeds(self) -> int:
        """How many runs the row has."""
        return len(self.runs)


@attrs.frozen(repr=False)
class Comparison:
    """Rows of runs; prints as a table, and shows as one in a notebook.

    Attributes:
        groups: the rows, the baseline first.
        metrics: the columns; the first is the tested one.
        left_out: the runs that did not end well, by name, and how they ended.
    """

    groups: tuple[Group, ...]
    metrics: tuple[str, ...]
    left_out: Mapping[str, str] = attrs.field(hash=False)

    def best(self, metric: str | None = None) -> Group:
        """Return the row of the highest mean; the lowest of a loss, error or time.

        Raises:
            ArgumentError: if there is no row, or none has the metric.
        """
        name = self.metrics[0] if metric is None else metric
        known = [each for each in self.groups if not math.isnan(each.mean(name))]
        if not known:
            raise ArgumentError(f"expected one of the metrics {list(self.metrics)}, got {name!r}")
        choose = min if is_better_low(name) else max
        return choose(known, key=lambda each: each.mean(name))

    def _cells(self) -> list[list[str]]:
        names = list(dict.fromkeys(name for each in self.groups for name in each.setting))
        head = [*(name.removeprefix("fit.") for name in names), "seeds", *self.metrics]
        lines = [[*head, f"Δ {self.metrics[0]}", "p"]]
        for each in self.groups:
            line = [_text(each.setting.get(name)) for name in names] + [str(each.seeds)]
            line += [_mean(each.mean(name), each.spread(name)) for name in self.metrics]
            line.append("" if each.difference is None else f"{each.difference:+.4g}")
            line.append("" if each.p is None else f"{each.p:.3g}")
            lines.append(line)
        is_one = all(each.difference is None for each in self.groups)
        return [line[:-2] for line in lines] if is_one else lines

    def __str__(self) -> str:
        cells = self._cells()
        texts = len(cells[0]) - len(self.metrics) - (2 if cells[0][-1] == "p" else 0) - 1
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for i, row in enumerate(cells):
            parts = [
                cell.ljust(width) if at < texts or (i == 0 and at > texts) else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(parts).rstrip())
        return "\n".join(lines + self._notes())

    __repr__ = __str__

    def _notes(self) -> list[str]:
        if not self.left_out:
            return []
        return ["left out: " + ", ".join(f"{name} ({how})" for name, how in self.left_out.items())]

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        lines = [_html("th", head), *(_html("td", row) for row in rows)]
        notes = "".join(f"<p>{html.escape(each)}</p>" for each in self._notes())
        return "<table>\n" + "\n".join(lines) + f"\n</table>{notes}"


def is_better_low(metric: str) -> bool:
    """Return whether a metric is better the lower it is, by its name."""
    return any(word in metric for word in ("loss", "error", "seconds", "deviation", "brier"))


def _mean(mean: float, spread: float) -> str:
    """Return ``mean ± spread``, both to the second digit of the spread."""
    if math.isnan(mean):
        return "–"
    if math.isnan(spread):
        return f"{mean:.4g}"
    if spread == 0:
        return f"{mean:.4g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(spread)))
    if digits > 8:
        return f"{mean:.4g} ± {spread:.1e}"
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def _text(value: Any) -> str:
    text = "–" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= 48 else text[:47] + "…"


def _html(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
