"""Sections of a classifier's predictions: confusion matrix, classes, worst mistakes."""

from __future__ import annotations

import html
import math

import numpy as np

from fcnn import metrics
from fcnn._report._png import img, picture
from fcnn._report._regression import against_targets, largest_errors
from fcnn._report._scores import Scores
from fcnn._report._text import Markup, note, section, table
from fcnn._typing import Array, IntArray

_NOT_CLASSES = "The targets are not classes."
_MISTAKES = 24


def confusion(scores: Scores, of: str) -> str:
    """Return the section of the confusion matrix and the most frequent confusions."""
    if scores.numbers is not None:
        return section("confusion", "Predictions and targets", against_targets(scores, of))
    if scores.labels is None or scores.probabilities is None:
        return section("confusion", "Confusion matrix", note(_NOT_CLASSES))
    n = len(scores.names)
    counts = metrics.confusion_matrix(scores.probabilities, scores.labels, n)
    right, total = int(np.trace(counts)), int(counts.sum())
    sentence = f"{right:,} of {total:,} examples right ({100 * right / total:.2f} %), {of}."
    pairs = [
        (int(counts[i, j]), scores.names[i], scores.names[j])
        for i, j in zip(*np.nonzero(counts), strict=True)
        if i != j
    ]
    rows = [(name, said, count) for count, name, said in sorted(pairs, key=lambda p: -p[0])[:8]]
    beside = table(("true", "predicted", "examples"), rows) if rows else note("No mistakes.")
    return section(
        "confusion",
        "Confusion matrix",
        f"<p>{html.escape(sentence)} Rows are true classes, columns predictions.</p>",
        f'<div class="split"><div>{_matrix(counts, scores.names)}</div>'
        f"<div><h3>Most frequent confusions</h3>{beside}</div></div>",
    )


def _matrix(counts: IntArray, names: list[str]) -> str:
    """Return the matrix as SVG, each cell shaded by its share of the true class."""
    n = len(counts)
    size = 34 if n <= 12 else 24 if n <= 20 else 12 if n <= 60 else 6
    short = [name if len(name) <= 14 else name[:13] + "…" for name in names]
    longest = max(map(len, short))
    left = 14 + 7 * longest if n <= 60 else 4
    top = (22 if longest <= 3 else 16 + round(5.2 * longest)) if n <= 60 else 4
    tilt = 0 if longest <= 3 else -45
    width = left + n * size + (0 if not tilt else round(5.2 * longest))
    height = top + n * size + 4
    parts = []
    for i, name in enumerate(short if n <= 60 else ()):
        middle = (i + 0.5) * size
        parts.append(
            f'<text x="{left - 7}" y="{top + middle + 4:.0f}" text-anchor="end">'
            f"{html.escape(name)}</text>"
        )
        x, y = left + middle, top - 7
        place = f'transform="translate({x + 3:.0f} {y}) rotate({tilt})"' if tilt else (
            f'x="{x:.0f}" y="{y}" text-anchor="middle"'
        )  # fmt: skip
        parts.append(f"<text {place}>{html.escape(name)}</text>")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for i in range(n):
        for j in range(n):
            parts.append(_cell(counts, share, names, i, j, left, top, size))
    least = min(width, 330)
    return (
        f'<div class="scroll"><svg class="matrix" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="confusion matrix" style="max-width:{width * 1.15:.0f}px;min-width:{least}px">'
        f"{''.join(parts)}</svg></div>"
    )


def _cell(
    counts: IntArray, share: Array, names: list[str], i: int, j: int, left: int, top: int, size: int
) -> str:
    count, part = int(counts[i, j]), float(share[i, j])
    if not count and size < 20:
        return ""
    kind = "e" if not count else "r" if i == j else "w"
    # Rare mistakes are to be seen beside classes that are nearly always right.
    opacity = "" if not count else f' fill-opacity="{0.12 + 0.88 * math.sqrt(part):.2f}"'
    x, y = left + j * size, top + i * size
    told = html.escape(f"{names[i]} as {names[j]}: {count:,}")
    drawn = (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{size - 1}" height="{size - 1}" '
        f'rx="{2 if size > 20 else 0}"{opacity}><title>{told}</title></rect>'
    )
    if count and size >= 24:
        ink = "on" if part > 0.3 else "ink"
        shown = str(count) if count < 10000 else f"{count // 1000}k"
        drawn += (
            f'<text class="{ink}" x="{x + size / 2 - 0.5:.1f}" y="{y + size / 2 + 4:.1f}" '
            f'text-anchor="middle">{shown}</text>'
        )
    return drawn


def per_class(scores: Scores) -> str:
    """Return the section of precision, recall and F1 of each class."""
    if scores.labels is None or scores.probabilities is None:
        return section("classes", "Classes", note(_NOT_CLASSES))
    n = len(scores.names)
    found = [
        function(scores.probabilities, scores.labels, classes=n)
        for function in (metrics.precision, metrics.recall, metrics.f1)
    ]
    support = np.bincount(scores.labels, minlength=n)
    rows: list[tuple[object, ...]] = [
        (scores.names[i], int(support[i]), *(f"{each[i]:.3f}" for each in found), _bar(found[2][i]))
        for i in range(n)
    ]
    means = [f"{float(each.mean()):.3f}" for each in found]
    rows.append((Markup("<b>mean</b>"), int(support.sum()), *means, _bar(found[2].mean())))
    head = ("class", "examples", "precision", "recall", "F1", "")
    return section("classes", "Classes", table(head, rows, "numbers"))


def _bar(share: float) -> Markup:
    return Markup(f'<span class="bar"><i style="width:{100 * float(share):.1f}%"></i></span>')


def mistakes(scores: Scores) -> str:
    """Return the section of the worst mistakes, with what was said and what was true."""
    title = "Worst mistakes"
    if scores.numbers is not None:
        return section("mistakes", "Largest errors", largest_errors(scores))
    if scores.labels is None or scores.probabilities is None:
        return section("mistakes", title, note(_NOT_CLASSES))
    order = scores.mistakes
    if not len(order):
        return section("mistakes", title, note("Every example is classified right."))
    shown = order[:_MISTAKES]
    images = scores.images(shown)
    said = scores.probabilities[shown].argmax(axis=1)
    true = scores.labels[shown]
    sure = [scores.probabilities[i, j] for i, j in zip(shown, said, strict=True)]
    sentence = (
        f"{_which(len(shown), len(order))}, the least probable true class first, with the "
        f"probability of the predicted class."
    )
    if images is None:
        head = ("example", "true", "predicted", "probability")
        rows = [
            (int(i), scores.names[t], scores.names[s], f"{100 * p:.1f} %")
            for i, t, s, p in zip(shown, true, said, sure, strict=True)
        ]
        return section("mistakes", title, f"<p>{sentence}</p>", table(head, rows))
    figures = []
    for image, i, t, s, p in zip(images, shown, true, said, sure, strict=True):
        names = html.escape(scores.names[t]), html.escape(scores.names[s])
        drawn = img(picture(image), f"example {i}: {scores.names[t]} as {scores.names[s]}", 100)
        figures.append(
            f'<figure>{drawn}<figcaption>true <b class="yes">{names[0]}</b><br>'
            f'said <b class="no">{names[1]}</b>, {math.floor(1000 * p) / 10:g}&nbsp;%'
            f"</figcaption></figure>"
        )
    pictures = f'<div class="pictures tight">{"".join(figures)}</div>'
    return section("mistakes", title, f"<p>{sentence}</p>", pictures)


def _which(shown: int, all_of_them: int) -> str:
    if all_of_them == 1:
        return "The only mistake"
    if shown == all_of_them:
        return f"All {shown} mistakes"
    return f"The {shown} worst of {all_of_them:,} mistakes"
