"""Sections of what is inside a model: filters, feature maps, saliency, its table."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from fcnn import explain
from fcnn._batch import example_shape
from fcnn._layer import Layer
from fcnn._report._png import coloured, img, picture
from fcnn._report._scores import Scores
from fcnn._report._text import note, section
from fcnn._summary import summary
from fcnn._typing import Array, Tree
from fcnn._walk import walk
from fcnn.errors import FcnnError
from fcnn.tree._children import children_of

_NO_IMAGES = "The inputs are not images (n, h, w, c)."
_FILTERS, _LAYERS, _CHANNELS, _EXAMPLES = 48, 5, 12, 6


def filters(params: Tree) -> str:
    """Return the section of the filters of the first convolution."""
    weight = _first_kernel(params)
    if weight is None:
        return section("filters", "Filters", note("The model has no two-dimensional convolution."))
    kernels = explain.filters(weight)
    n, height, width, channels = kernels.shape
    most = float(np.abs(kernels).max()) or 1.0
    sentence = f"The first convolution has {n} filters of {height}×{width}, of {channels} "
    sentence += "channel." if channels == 1 else "channels."
    drawn = []
    for i, kernel in enumerate(kernels[:_FILTERS]):
        if channels == 3:
            pixels = picture(0.5 + kernel / (2 * most))
        else:
            pixels = coloured(kernel.mean(axis=-1), "blue-red", -most, most)
        drawn.append(img(pixels, f"filter {i}", 60))
    if channels != 3:
        which = "" if channels == 1 else " Of the channels the mean is shown."
        sentence += f" Blue is negative, red positive, white zero.{which}"
    if n > _FILTERS:
        sentence += f" The first {_FILTERS} are shown."
    pictures = f'<div class="pictures small">{"".join(drawn)}</div>'
    return section("filters", "Filters", f"<p>{sentence}</p>", pictures)


def _first_kernel(params: Tree) -> Array | None:
    """Return the first weight ``(h, w, c, filters)`` that has a window, if there is one."""
    weight = getattr(params, "weight", None)
    if isinstance(weight, np.ndarray) and weight.ndim == 4 and max(weight.shape[:2]) > 1:
        return weight
    for _, child, _ in children_of(params) or ():
        found = _first_kernel(child)
        if found is not None:
            return found
    return None


def feature_maps(model: Layer, params: Tree, scores: Scores) -> str:
    """Return the section of the layers' outputs for one example."""
    title = "Feature maps"
    x = scores.images([0])
    if x is None:
        return section("maps", title, note(_NO_IMAGES))
    try:
        found = explain.feature_maps(model, params, x)
    except FcnnError as error:
        return section("maps", title, note(f"They could not be computed: {error}"))
    maps = {
        path: each
        for path, each in found.items()
        if isinstance(each, np.ndarray) and each.ndim == 4 and each.shape[1] * each.shape[2] > 1
    }
    if not maps:
        return section("maps", title, note("No layer's output is an image."))
    paths = list(maps)
    if len(paths) > _LAYERS:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, _LAYERS).round().astype(int)]
    names = {visit.path: repr(visit.layer) for visit in walk(model, example_shape(x))}
    rows = [_example(x[0])]
    for path in paths:
        each = maps[path][0]
        drawn = [
            img(coloured(each[..., c], "viridis", float(each[..., c].min()),
                         float(each[..., c].max())), f"{path} channel {c}", 72)
            for c in range(min(each.shape[-1], _CHANNELS))
        ]  # fmt: skip
        label = html.escape(f"{path}  {names.get(path, '')}"[:90])
        size = "×".join(map(str, each.shape))
        rows.append(
            f'<h3>{label} <span class="note">{size}</span></h3>'
            f'<div class="pictures small">{"".join(drawn)}</div>'
        )
    sentence = (
        f"Outputs of layers for the first example: the first {_CHANNELS} channels of each, every "
        f"channel from its lowest number (dark) to its highest (bright)."
    )
    return section("maps", title, f"<p>{sentence}</p>", *rows)


def _example(image: Array) -> str:
    return f'<div class="pictures small">{img(picture(image), "the example", 72)}</div>'


def saliency(model: Layer, params: Tree, scores: Scores) -> str:
    """Return the section of what moves the score of the predicted class."""
    title = "Saliency"
    rows = _chosen(scores)
    x = scores.images(rows)
    if x is None:
        return section("saliency", title, note(_NO_IMAGES))
    try:
        slopes = explain.saliency(model, params, x)
    except FcnnError as error:
        return section("saliency", title, note(f"It could not be computed: {error}"))
    figures = []
    for image, slope, row in zip(x, slopes, rows, strict=True):
        size = np.abs(slope).max(axis=-1)
        pair = img(picture(image), f"example {row}", 92) + img(
            coloured(size, "magma", 0.0, float(size.max())), f"saliency of example {row}", 92
        )
        figures.append(f'<figure><div class="two">{pair}</div>{_said(scores, row)}</figure>')
    sentence = (
        "Examples and how much each pixel moves the score of the predicted class: the largest "
        "absolute gradient over the channels."
    )
    pictures = f'<div class="pictures">{"".join(figures)}</div>'
    return section("saliency", title, f"<p>{sentence}</p>", pictures)


def _chosen(scores: Scores) -> list[int]:
    """Return a few examples: the worst mistakes, and the first of several classes."""
    first = [] if scores.labels is None else list(np.unique(scores.labels, return_index=True)[1])
    wrong = list(scores.mistakes[:2])
    chosen = dict.fromkeys(int(i) for i in [*first[: _EXAMPLES - len(wrong)], *wrong])
    return list(chosen) or list(range(min(_EXAMPLES, len(scores.data))))


def _said(scores: Scores, row: int) -> str:
    if scores.labels is None or scores.probabilities is None:
        return ""
    true, said = int(scores.labels[row]), int(scores.probabilities[row].argmax())
    kind = "yes" if true == said else "no"
    return (
        f"<figcaption>true <b>{html.escape(scores.names[true])}</b>, "
        f'said <b class="{kind}">{html.escape(scores.names[said])}</b></figcaption>'
    )


def model_table(model: Layer, shape: Any) -> str:
    """Return the section of the model's table."""
    found = summary(model, shape)
    adds = "" if found.multiply_adds is None else f", {found.multiply_adds:,} multiply-adds"
    sentence = f"{found.params:,} params{adds} for an example."
    drawn = f'<div class="scroll wide">{found._repr_html_()}</div>'
    return section("model", "Model", f"<p>{sentence}</p>", drawn)
