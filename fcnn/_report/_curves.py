"""Sections of the numbers of each epoch: curves, learning rate, time and throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fcnn._report._chart import chart
from fcnn._report._text import note, number, pairs, seconds, section

Rows = Sequence[Mapping[str, Any]]
_OTHERS = ("epoch", "of", "step", "digest", "seconds", "time", "learning_rate",
           "examples_per_second")  # fmt: skip


def curves(rows: Rows, best: int | None) -> str:
    """Return the section of the loss and every metric over the epochs."""
    names = [n for n in _names(rows) if n not in _OTHERS]
    charts: list[str] = []
    for name in dict.fromkeys(n.removeprefix("val_") for n in names):
        pair = [("training", "a", name), ("validation", "b", f"val_{name}")]
        series = [(label, c, _column(rows, n)) for label, c, n in pair if n in names]
        charts.append(chart(name, _epochs(rows), series, best, says_mark=not charts))
    if not any(charts):
        return section("curves", "Learning curves", note("There is no complete epoch."))
    return section("curves", "Learning curves", f'<div class="charts">{"".join(charts)}</div>')


def learning_rate(rows: Rows) -> str:
    """Return the section of the learning rate."""
    values = _column(rows, "learning_rate")
    if not any(v is not None for v in values):
        content = note("The optimizer does not say its learning rate.")
    elif len({v for v in values if v is not None}) == 1:
        content = f"<p>{number(next(v for v in values if v is not None))} in every epoch.</p>"
    else:
        series = [("at the epoch’s last step", "a", values)]
        drawn = chart("learning rate", _epochs(rows), series, may_be_log=False)
        content = f'<div class="charts">{drawn}</div>'
    return section("learning-rate", "Learning rate", content)


def time(rows: Rows) -> str:
    """Return the section of time and throughput."""
    spent = [v for v in _column(rows, "seconds") if v is not None]
    if not spent:
        return section("time", "Time and throughput", note("No epoch says how long it took."))
    rates = [v for v in _column(rows, "examples_per_second") if v is not None]
    found = {
        "all epochs": seconds(sum(spent)),
        "an epoch, median": seconds(_median(spent)),
        "fastest and slowest epoch": f"{seconds(min(spent))}, {seconds(max(spent))}",
    }
    if rates:
        found["training examples a second, median"] = f"{_median(rates):,.0f}"
    charts = [
        chart("seconds an epoch", _epochs(rows), [("validation included", "a",
              _column(rows, "seconds"))]),
        chart("examples a second", _epochs(rows), [("training", "a",
              _column(rows, "examples_per_second"))]) if rates else "",
    ]  # fmt: skip
    shown = f'<div class="charts">{"".join(charts)}</div>' if len(spent) > 1 else ""
    return section("time", "Time and throughput", pairs(found), shown)


def _names(rows: Rows) -> list[str]:
    """Return the names of the numbers in any row, in order."""
    return [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if any(_is_number(row.get(name)) for row in rows)
    ]


def _epochs(rows: Rows) -> list[int]:
    return [int(row["epoch"]) for row in rows]


def _column(rows: Rows, name: str) -> list[float | None]:
    return [float(row[name]) if _is_number(row.get(name)) else None for row in rows]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
