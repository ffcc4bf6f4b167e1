"""Curves as inline SVG; their colours are those of the page, light or dark."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence

from fcnn._report._text import number

WIDTH, HEIGHT = 360, 216
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 30

Series = tuple[str, str, Sequence[float | None]]
"""A label, the class of its colour (``a``, ``b``), and a number for each epoch or None."""


def chart(
    title: str,
    epochs: Sequence[int],
    series: Sequence[Series],
    mark: int | None = None,
    *,
    may_be_log: bool = True,
    says_mark: bool = True,
) -> str:
    """Return a figure of curves over epochs, with its title and legend.

    The vertical axis is logarithmic where positive numbers span more than two powers of ten.

    Args:
        title: what the numbers are.
        epochs: where they stand.
        series: the curves.
        mark: an epoch to mark, the best one.
        may_be_log: False for a linear axis whatever the numbers are.
        says_mark: whether the legend says what the mark is.
    """
    values = [v for _, _, row in series for v in row if v is not None and math.isfinite(v)]
    if not values:
        return ""
    is_log = may_be_log and min(values) > 0 and max(values) / min(values) > 100
    to = math.log10 if is_log else float
    low, high = min(map(to, values)), max(map(to, values))
    margin = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    low, high = low - margin, high + margin
    first, last = epochs[0], max(epochs[-1], epochs[0] + 1)

    def x(epoch: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (epoch - first) / (last - first)

    def y(value: float) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (high - to(value)) / (high - low)

    parts = []
    for tick in _powers(low, high) if is_log else ticks(low, high):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" '
            f'text-anchor="end">{number(tick)}</text>'
        )
    for tick in ticks(first, epochs[-1], most=6, whole=True):
        parts.append(
            f'<text x="{x(tick):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{tick:g}</text>'
        )
    if mark is not None and first <= mark <= epochs[-1]:
        parts.append(
            f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{_TOP}" '
            f'y2="{HEIGHT - _BOTTOM}"><title>best epoch {mark}</title></line>'
        )
    for label, colour, row in series:
        parts += _curve(label, colour, epochs, row, x, y)
    legend = "".join(
        f'<span class="key {colour}">{html.escape(label)}</span>' for label, colour, _ in series
    )
    if mark is not None and says_mark:
        legend += f'<span class="key dotted">best epoch {mark}</span>'
    return (
        f'<figure class="chart"><figcaption><b>{html.escape(title)}</b> {legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _curve(
    label: str,
    colour: str,
    epochs: Sequence[int],
    row: Sequence[float | None],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Iterator[str]:
    """Yield a line through the points, and each as a dot with its number as title."""
    points = [
        (x(e), y(v), e, v)
        for e, v in zip(epochs, row, strict=True)
        if v is not None and math.isfinite(v)
    ]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py, _, _ in points)
    yield f'<polyline class="{colour}" points="{path}"/>'
    for px, py, epoch, value in points if len(points) <= 40 else points[-1:]:
        yield (
            f'<circle class="{colour}" cx="{px:.1f}" cy="{py:.1f}" r="2.6"><title>'
            f"{html.escape(label)}, epoch {epoch}: {number(value)}</title></circle>"
        )


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> list[float]:
    """Return round numbers between two numbers, at most ``most`` steps apart.

    >>> from fcnn._report._chart import ticks
    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(1, 9, whole=True)
    [2, 4, 6, 8]
    """
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    if whole:
        step = math.ceil(step)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Return powers of ten between two logarithms."""
    found = [10.0**i for i in range(math.ceil(low), math.floor(high) + 1)]
    return found[:: math.ceil(len(found) / 6)] if found else [10.0 ** ((low + high) / 2)]
