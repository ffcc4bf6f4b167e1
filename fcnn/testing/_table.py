"""A table of the laws that a layer obeys, for the shell."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from fcnn.testing._layer import layer_findings

WIDTH = 80


class Row(NamedTuple):
    """One law.

    Attributes:
        law: its name.
        claim: what it says.
        problem: what was seen where it is broken; empty where it holds.
    """

    law: str
    claim: str
    problem: str


def layer_rows(layer: Any, shape: Any, **options: Any) -> list[Row]:
    """Return a row for each law; ``options`` are those of `fcnn.testing.check_layer`."""
    rows = []
    for law, problem, where, _ in layer_findings(layer, shape, **options):
        said = f"{where}: {problem}" if problem else ""
        rows.append(Row(law.name, law.claim, said))
    return rows


def table(rows: Sequence[Row], title: str = "", width: int = WIDTH) -> str:
    """Return the rows as text, no wider than ``width``.

    >>> from fcnn.testing._table import Row, table
    >>> print(table([Row("init", "the key decides", ""), Row("vjp", "y is apply's", "1 is not 2")]))
    law    result
    init   passed: the key decides
    vjp    BROKEN: 1 is not 2
    <BLANKLINE>
    1 of 2 laws is broken
    """
    first = max([len("law"), *(len(row.law) for row in rows)]) + 3
    lines = [*textwrap.wrap(title, width), ""] if title else []
    lines.append(f"{'law':<{first}}result")
    for row in rows:
        result = f"BROKEN: {row.problem}" if row.problem else f"passed: {row.claim}"
        lines += textwrap.wrap(
            result,
            width,
            initial_indent=f"{row.law:<{first}}",
            subsequent_indent=" " * first,
        )
    broken = sum(bool(row.problem) for row in rows)
    verb = "is" if broken == 1 else "are"
    end = f"{broken} of {len(rows)} laws {verb} broken" if broken else f"all {len(rows)} laws hold"
    return "\n".join([*lines, "", end])
