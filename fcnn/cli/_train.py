"""``fcnn train``: train a model; what comes of it is in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fcnn.cli import _folders, _pool, _settings
from fcnn.cli._parser import Parser
from fcnn.cli._settings import Task
from fcnn.cli._summary import narrowed
from fcnn.cli._text import paint, say, say_error
from fcnn.errors import ArgumentError

EXAMPLES = """\
  fcnn train
  fcnn train --data fashion-mnist --model lenet5 --epochs 20
  fcnn train --data pets --size 64 --augment flip+affine --run runs/pets
  fcnn train --run runs/pets --resume --epochs 30
"""
STOPPED = 130


def add(parser: Parser) -> None:
    """Add the arguments."""
    _settings.add_options(parser)
    parser.add_argument(
        "--workers", type=_pool.count, metavar="N", help="processes; one per core by default"
    )
    parser.add_argument(
        "--run", metavar="FOLDER", help="where all of it is kept; a new one below runs by default"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run: --run's, or the newest"
    )


def run(given: argparse.Namespace) -> int:
    """Train; return 130 if Ctrl-C stopped it."""
    options = _settings.chosen(given)
    path = _path(given, options)
    if given.resume:
        settings, epochs = _resumed(path, options)
    else:
        settings = _settings.completed(options)
        epochs = settings["epochs"]
    sets = _settings.data_of(settings)
    task = _settings.task_of(settings, sets)
    _head(task)
    try:
        found = trained(task, settings, path, epochs, given.workers, resume=given.resume)
    except KeyboardInterrupt:
        say_error("fcnn train", f"stopped; go on with: fcnn train --run {path} --resume")
        return STOPPED
    _tail(path, found, task)
    return 0


def trained(
    task: Task,
    settings: dict[str, Any],
    path: Path,
    epochs: int,
    workers: int | None,
    *,
    resume: bool,
) -> Any:
    """Train in a folder, and return the `fcnn.train.Run`."""
    from fcnn._folder import experiment

    config = None if resume else _settings.held(settings, task.sets)
    with _pool.pool(workers) as executor, experiment(path, config) as into:
        lines = Lines(task.sets.held_name)
        return fitted(task, settings, into, epochs=epochs, executor=executor, log=lines)


def fitted(
    task: Task, settings: dict[str, Any], into: Any, *, epochs: int, executor: Any, log: Any
) -> Any:
    """Train in a folder that is open."""
    from fcnn.prng import key
    from fcnn.train import fit

    return fit(
        task.model,
        task.loss,
        task.optimizer,
        task.sets.train,
        key=key(settings["seed"]),
        epochs=epochs,
        batch_size=settings["batch_size"],
        validation=task.sets.held,
        augment=task.augment,
        executor=executor,
        log=log,
        run=into,
    )


class Lines:
    """Writes the line of each epoch as a row of a table, with a head before the first."""

    def __init__(self, held: str) -> None:
        self.held, self.is_first = held, True

    def __call__(self, line: str) -> None:
        """Write a line of `fcnn.fit`."""
        count, *cells, seconds, _ = line.removeprefix("epoch").split()
        names = [name.replace("val_", f"{self.held} ") for name in cells[::2]]
        widths = [max(9, len(name)) for name in names]
        if self.is_first:
            heads = [name.rjust(width) for name, width in zip(names, widths, strict=True)]
            say("  ".join(["epoch", *heads, "seconds"]))
            self.is_first = False
        values = [value.rjust(width) for value, width in zip(cells[1::2], widths, strict=True)]
        say("  ".join([count.rjust(5), *values, seconds.rjust(7)]))


def _path(given: argparse.Namespace, options: dict[str, Any]) -> Path:
    if given.run is not None:
        path = Path(given.run).expanduser()
        if given.resume:
            return _folders.opened(given.run).path
        if (path / "config.json").exists():
            raise ArgumentError(
                f"expected a new folder, got the run {path}; --resume goes on with it"
            )
        return path
    return _folders.newest() if given.resume else _folders.new(options.get("data", "mnist"))


def _resumed(path: Path, options: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the settings of a run, and up to which epoch to go on."""
    folder = _folders.opened(str(path))
    settings = _folders.settings_of(folder)
    for name, value in options.items():
        if name != "epochs" and settings.get(name) != value:
            option = "--" + name.replace("_", "-")
            raise ArgumentError(
                f"expected the {option} of the run {path}, {settings.get(name)}, got {value}; "
                f"leave it out, or choose another folder"
            )
    fit = folder.config["fit"]
    asked = settings["epochs"] if fit is None else fit["epochs"]
    return settings, options.get("epochs", asked)


def _head(task: Task) -> None:
    from fcnn._summary import summary

    sets = task.sets
    say(f"{sets.about}: {len(sets.train):,} examples to train on, {len(sets.held):,} for "
        f"{sets.held_name}")  # fmt: skip
    say("", *narrowed(str(summary(task.model, sets.shape))), "")


def _tail(path: Path, found: Any, task: Task) -> None:
    if found.history:
        last = found.history[-1].validation
        name = "loss" if last.accuracy is None else "accuracy"
        seconds = sum(each.seconds for each in found.history)
        text = f"{task.sets.held_name} {name} {getattr(last, name):.4f}"
        say("", f"{paint(text, 'bold')} after {seconds:.{int(seconds < 10)}f} seconds")
    is_images = len(task.sets.shape) == 3 and task.sets.is_classes
    then = f"predict {path} IMAGE…" if is_images else f"evaluate {path}"
    say("", f"report:  {path / 'report.html'}", f"next:    fcnn {then}")
