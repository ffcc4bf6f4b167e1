"""The table of a comparison within the width of the terminal."""

from __future__ import annotations

from typing import Any

import attrs

from fcnn.cli._text import columns, tabulated


def fitted(comparison: Any) -> list[str]:
    """Return the lines of a comparison, without its last metrics where these are too wide.

    If one metric is too wide, each row is a block of lines.
    """
    for n in range(len(comparison.metrics), 0, -1):
        lines = str(attrs.evolve(comparison, metrics=comparison.metrics[:n])).splitlines()
        if max(map(len, lines)) <= columns():
            return lines
    head, *rows = comparison._cells()
    found: list[str] = []
    for row in rows:
        pairs = [(name, cell) for name, cell in zip(head, row, strict=True) if cell]
        found += [*tabulated(pairs, 2).splitlines(), ""]
    return [*found[:-1], *comparison._notes()]
