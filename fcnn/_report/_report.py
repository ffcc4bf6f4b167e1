"""`report`: the page of a run."""

from __future__ import annotations

import html
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fcnn._batch import example_shape
from fcnn._folder import RunFolder, read
from fcnn._folder._json import unpack
from fcnn._layer import Layer
from fcnn._report import _classes, _curves, _inside
from fcnn._report._page import page
from fcnn._report._repeat import repeat
from fcnn._report._scores import Scores, scores_of
from fcnn._report._text import note, number, seconds, section
from fcnn._typing import Tree
from fcnn.checkpoint._write import replacing
from fcnn.errors import ArgumentError

_TITLES = {
    "curves": "Curves",
    "learning-rate": "Learning rate",
    "confusion": "Confusion",
    "classes": "Classes",
    "mistakes": "Mistakes",
    "filters": "Filters",
    "maps": "Feature maps",
    "saliency": "Saliency",
    "model": "Model",
    "time": "Time",
    "repeat": "Repeat",
}


def report(
    run: str | os.PathLike[str],
    data: Any = None,
    *,
    model: Layer | None = None,
    params: Tree | None = None,
    modules: Collection[str] = (),
) -> Path:
    """Write ``report.html`` of a run: one file that opens offline, without scripts.

    It has the learning curves and rate, the confusion matrix, a table of the classes, the worst
    mistakes with what was said and what was true, filters, feature maps and saliency, the model's
    table, time and throughput, and how to repeat the run. `fcnn.fit` with ``run=`` writes it at
    its end, of the validation data.

    Args:
        run: the folder of a run.
        data: the examples to judge the model by; by default those of validation, or else of
            training, where they are a set of `fcnn.data`. Without any, what needs examples is
            left out.
        model: the model, where the folder cannot hold it.
        params: by default those of the best epoch if the run kept it, or of the last.
        modules: where constructors may be looked up by name, besides fcnn.

    Returns:
        the file.

    Raises:
        DataError: if it is no folder of a run.
        TreeError: if a constructor is neither in fcnn nor in the modules.
        OSError: if the file cannot be written.

    >>> import fcnn, tempfile
    >>> from fcnn.data import mnist
    >>> model, loss = fcnn.serial(fcnn.flatten, fcnn.dense(10)), fcnn.losses.softmax_cross_entropy
    >>> digits, sgd, key = mnist("train", 100), fcnn.optim.sgd(0.1), fcnn.key(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/first"
    ...     run = fcnn.fit(model, loss, sgd, digits, key=key, epochs=2, run=path, log=None)
    ...     page = fcnn.report(path, mnist("test", 200))
    ...     page.name, "200 examples" in page.read_text()
    ('report.html', True)
    """
    folder = read(run)
    fit = folder.config["fit"]
    if model is None and fit is not None and fit["values"]["model"] is not None:
        model = unpack(fit["values"]["model"], modules)
    if model is not None and not isinstance(model, Layer):
        raise ArgumentError(f"expected a layer as model, got {type(model).__name__}")
    if params is None and model is not None and folder.checkpoint.exists():
        params = folder.params(modules)
    of = "of the data given"
    if data is None and fit is not None:
        for which in ("validation", "data"):
            data = folder.data(which) if data is None else data
        of = _which(fit)
    return write_report(folder.path, model, params, data, of=of)


def write_report(
    path: Path,
    model: Layer | None,
    params: Tree | None,
    data: Any,
    *,
    of: str | None = None,
    status: str | None = None,
) -> Path:
    """Write the report of a run; see `report`.

    Args:
        path: the folder.
        model: the model, or None if it is not known.
        params: its params, likewise.
        data: the examples to judge it by, likewise.
        of: which examples they are, in words.
        status: how the run ended, where the folder does not say yet.
    """
    folder = RunFolder(path)
    config = folder.config
    rows = [row for row in folder.metrics if isinstance(row.get("epoch"), int)]
    result = folder.result
    fit = config["fit"]
    of = of or ("" if fit is None else _which(fit))
    is_known = model is not None and params is not None and data is not None
    # A page may be of params that are not finite.
    with np.errstate(all="ignore"):
        scores = scores_of(model, params, data) if is_known else None  # type: ignore[arg-type]
        judged = _judged(model, params, scores, of)
    best = _best(rows) if fit is not None and fit.get("keep_best") else None
    body = "\n".join(
        [
            _curves.curves(rows, best),
            _curves.learning_rate(rows),
            *judged,
            _curves.time(rows),
            repeat(folder, config),
        ]
    )
    top = _top(folder.name, status or result["status"], rows, scores, of, config)
    content = page(f"{folder.name} – fcnn", top, _TITLES, body)
    file = path / "report.html"
    with replacing(file) as opened:
        opened.write(content)
    return file


def _judged(model: Any, params: Any, scores: Scores | None, of: str) -> list[str]:
    """Return the sections that need the model and examples."""
    if scores is None:
        missing = note(
            "Left out: the model, its params or the examples are not known; "
            "call fcnn.report(run, data, model=..., params=...)."
        )
        middle = list(_TITLES)[2:-2]
        return [section(anchor, _TITLES[anchor], missing) for anchor in middle]
    return [
        _classes.confusion(scores, of),
        _classes.per_class(scores),
        _classes.mistakes(scores),
        _inside.filters(params),
        _inside.feature_maps(model, params, scores),
        _inside.saliency(model, params, scores),
        _inside.model_table(model, example_shape(scores.data[:1].inputs)),
    ]


def _top(
    name: str,
    status: str,
    rows: list[dict[str, Any]],
    scores: Scores | None,
    of: str,
    config: Mapping[str, Any],
) -> str:
    """Return the title and the tiles with the run's main numbers."""
    began = config["sessions"][0]["began"].replace("T", " ").split("+")[0]
    fit = config["fit"]
    line = f"{status}, begun {began} UTC"
    if fit is not None:
        line += f"; trained on {fit['data']['printed']}"
    tiles = []
    if scores is not None and scores.labels is not None:
        right, n = len(scores.labels) - len(scores.mistakes), len(scores.labels)
        tiles.append(("accuracy", f"{100 * right / n:.2f} %", f"{right:,} of {n:,}, {of}"))
    last = rows[-1] if rows else {}
    for key, title in (("loss", "training loss"), ("val_loss", "validation loss")):
        if isinstance(last.get(key), int | float):
            tiles.append((title, number(float(last[key])), "last epoch"))
    if rows:
        of_all = f"of {last['of']}" if last.get("of") else ""
        tiles.append(("epochs", str(last["epoch"]), of_all))
        spent = [float(row["seconds"]) for row in rows if row.get("seconds") is not None]
        if spent:
            tiles.append(("time", seconds(sum(spent)), "all epochs"))
    shown = "".join(
        f'<div class="tile"><span>{html.escape(title)}</span><b>{html.escape(value)}</b><br>'
        f"<small>{html.escape(small)}</small></div>"
        for title, value, small in tiles
    )
    return (
        f'<h1>{html.escape(name)}</h1>\n<p class="sub">{html.escape(line)}</p>\n'
        f'<div class="tiles">{shown}</div>'
    )


def _which(fit: Mapping[str, Any]) -> str:
    return "of the training data" if fit["validation"] is None else "of the validation data"


def _best(rows: list[dict[str, Any]]) -> int | None:
    """Return the epoch of the lowest validation loss."""
    known = [row for row in rows if isinstance(row.get("val_loss"), int | float)]
    return min(known, key=lambda row: float(row["val_loss"]))["epoch"] if known else None
