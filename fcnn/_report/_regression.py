"""Predictions of numbers beside their targets, and the largest errors."""

from __future__ import annotations

import html

import numpy as np

from fcnn import metrics
from fcnn._report._chart import HEIGHT, WIDTH, ticks
from fcnn._report._png import img, picture
from fcnn._report._scores import Scores
from fcnn._report._text import number, pairs
from fcnn._typing import Array

_POINTS, _SHOWN = 400, 12


def against_targets(scores: Scores, of: str) -> str:
    """Return the errors of a regression, and its predictions over its targets."""
    target, prediction = _flat(scores)
    facts = {
        "examples": f"{len(scores.data):,}, {of}" if of else f"{len(scores.data):,}",
        "mean absolute error": metrics.mean_absolute_error(prediction, target),
        "root mean squared error": metrics.root_mean_squared_error(prediction, target),
    }
    if target.std() > 0:
        facts["R²"] = metrics.r2(prediction, target)
    drawn = _scatter(target, prediction) if np.isfinite(prediction).all() else ""
    return f'{pairs(facts)}<div class="charts">{drawn}</div>'


def _flat(scores: Scores) -> tuple[Array, Array]:
    """Return all targets and predictions as vectors in float64."""
    target = np.asarray(scores.numbers, np.float64).reshape(-1)
    return target, np.asarray(scores.prediction, np.float64).reshape(-1)


def _scatter(target: Array, prediction: Array) -> str:
    """Return predictions over targets, evenly spaced examples if there are many."""
    chosen = np.unique(np.linspace(0, len(target) - 1, _POINTS).round().astype(int))
    both = np.concatenate([target[chosen], prediction[chosen]])
    margin = 0.05 * float(np.ptp(both)) or 1.0
    low, high = float(both.min()) - margin, float(both.max()) + margin
    left, right, top, bottom = 52, 10, 10, 40

    def x(value: float) -> float:
        return left + (WIDTH - left - right) * (value - low) / (high - low)

    def y(value: float) -> float:
        return top + (HEIGHT - top - bottom) * (high - value) / (high - low)

    parts = [
        f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text x="{left - 6}" y="{y(t) + 4:.1f}" text-anchor="end">{number(t)}</text>'
        f'<text x="{x(t):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{number(t)}</text>'
        for t in ticks(low, high)
    ]
    parts.append(
        f'<line class="diagonal" x1="{x(low):.1f}" y1="{y(low):.1f}" '
        f'x2="{x(high):.1f}" y2="{y(high):.1f}"/>'
        f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">target</text>'
    )
    parts += [
        f'<circle class="dot" cx="{x(t):.1f}" cy="{y(p):.1f}" r="3"/>'
        for t, p in zip(target[chosen], prediction[chosen], strict=True)
    ]
    return (
        f'<figure class="chart"><figcaption><b>prediction over target</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="prediction over target">'
        f"{''.join(parts)}</svg></figure>"
    )


def largest_errors(scores: Scores) -> str:
    """Return the examples of the largest mean squared error, as pictures where they are images."""
    target = np.asarray(scores.numbers, np.float64).reshape(len(scores.data), -1)
    prediction = np.asarray(scores.prediction, np.float64).reshape(target.shape)
    size = np.sqrt(np.square(prediction - target).mean(axis=1))
    order = np.argsort(-size, kind="stable")[:_SHOWN]
    images = scores.images(order)
    figures = []
    for place, row in enumerate(order):
        said = f"error <b>{number(float(size[row]))}</b>"
        if target.shape[1] == 1:
            true, found = number(float(target[row, 0])), number(float(prediction[row, 0]))
            said = f'true <b class="yes">{true}</b><br>said <b class="no">{found}</b>'
        drawn = "" if images is None else img(picture(images[place]), f"example {row}", 100)
        name = html.escape(f"example {row}")
        figures.append(f"<figure>{drawn}<figcaption>{name}<br>{said}</figcaption></figure>")
    return f'<div class="pictures tight">{"".join(figures)}</div>'
