"""Numbers, tables and sections as HTML; every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def cell(value: Any) -> str:
    """Return a value as HTML."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else html.escape(str(value))


def number(value: float) -> str:
    """Return a number in four digits.

    >>> from fcnn._report._text import number
    >>> [number(v) for v in (0.0, 0.98765, 12345.6, 0.00001, 3.0)]
    ['0', '0.9877', '12,346', '1e-05', '3']
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Return a time.

    >>> from fcnn._report._text import seconds
    >>> seconds(0.25), seconds(75.0), seconds(7300.0)
    ('0.25 s', '1 min 15 s', '2 h 1 min')
    """
    if value < 60:
        return f"{value:.3g} s"
    if value < 3600:
        return f"{value // 60:.0f} min {value % 60:.0f} s"
    return f"{value // 3600:.0f} h {value % 3600 // 60:.0f} min"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], kind: str = "") -> Markup:
    """Return a table in a box that scrolls sideways where the page is narrow.

    Numbers stand right, texts left.
    """
    lines = "".join(
        "<tr>" + "".join(f"<td{_side(each)}>{cell(each)}</td>" for each in row) + "</tr>"
        for row in rows
    )
    top = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    name = f' class="{kind}"' if kind else ""
    return Markup(f'<div class="scroll"><table{name}>{top}<tbody>{lines}</tbody></table></div>')


def pairs(found: Mapping[str, Any]) -> Markup:
    """Return a table of names and values."""
    return table((), found.items(), "pairs")


def section(anchor: str, title: str, *content: str) -> str:
    """Return a section of the page."""
    return f'<section id="{anchor}"><h2>{html.escape(title)}</h2>{"".join(content)}</section>'


def note(text: str) -> str:
    """Return a sentence in grey."""
    return f'<p class="note">{html.escape(text)}</p>'


def _side(value: Any) -> str:
    return ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
