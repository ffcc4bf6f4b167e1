"""`experiment`: a folder that a run writes into."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from fcnn import tree
from fcnn._folder import _lines
from fcnn._folder._asked import differences
from fcnn._folder._json import plain, read, write
from fcnn._folder._lock import locked
from fcnn._folder._read import FORMAT, RunFolder, check_format
from fcnn._folder._session import now, session
from fcnn.errors import ArgumentError


@attrs.define(eq=False)
class Experiment:
    """The folder of a run that is being computed; `experiment` makes it.

    Attributes:
        path: the folder.
        config: what the caller said of the run.
    """

    path: Path
    config: Mapping[str, Any]
    _result: dict[str, Any] = attrs.field(factory=dict, alias="result", repr=False)

    @property
    def checkpoint(self) -> Path:
        """The file that `fcnn.fit` saves the run in, and resumes it from."""
        return self.path / "checkpoints" / "run.npz"

    @property
    def folder(self) -> RunFolder:
        """What is in the folder so far."""
        return RunFolder(self.path)

    def log(self, epoch: Any = None, **numbers: Any) -> None:
        """Write a line into ``metrics.jsonl``, flushed and synced.

        Args:
            epoch: an `fcnn.train.Epoch`, or the number of an epoch. One that is logged again
                takes the place of its line and of those after it.
            **numbers: whatever else the line says.

        >>> import fcnn, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with fcnn.experiment(f"{folder}/try") as run:
        ...         run.log(1, loss=0.5)
        ...     [line["loss"] for line in run.folder.metrics]
        [0.5]
        """
        row: dict[str, Any] = {}
        if hasattr(epoch, "cells"):
            row = {"epoch": epoch.number, "of": epoch.of, **epoch.cells()}
            state = getattr(epoch, "state", None)
            if state is not None:
                row |= {"step": state.step, "digest": tree.digest(state.params)[:16]}
            row["seconds"] = epoch.seconds
        elif epoch is not None:
            row = {"epoch": epoch}
        _lines.append(self.path / "metrics.jsonl", plain({**row, **numbers, "time": now()}))

    def result(self, **values: Any) -> None:
        """Record results of the run; they are in ``result.json`` when it has ended."""
        self._result.update(values)

    def begin_fit(self, fit: Mapping[str, Any], extra: str = "") -> None:
        """Write what `fcnn.fit` was asked for; refuse what a begun run was not made with.

        Raises:
            ArgumentError: with the first that differs.
        """
        config = read(self.path / "config.json")
        before = config.get("fit")
        if before is not None and (self.checkpoint.exists() or self.folder.metrics):
            for name, (ours, theirs) in differences(fit, before).items():
                raise ArgumentError(
                    f"expected the {name} of the run {self.path}, {theirs!s:.100}, got "
                    f"{ours!s:.100}; choose another folder"
                )
            fit = {**before, "epochs": fit["epochs"]}
        config["fit"] = fit
        config["sessions"][-1]["executor"] = extra
        write(self.path / "config.json", config)


@contextmanager
def experiment(
    path: str | os.PathLike[str], config: Mapping[str, Any] | None = None
) -> Iterator[Experiment]:
    """Open a folder for a run, to hold all that is needed to repeat it, and its results.

    - ``config.json``: the config; all that `fcnn.fit` was asked for, data with their SHA-256;
      and for each time that the run was begun or resumed the versions, BLAS kernel, git commit
      and command.
    - ``metrics.jsonl``: a line for each epoch, flushed.
    - ``checkpoints/``: those of `fcnn.fit`; the same call again goes on from them.
    - ``result.json``: how the run ended, how long it took, the last metrics.
    - ``report.html``: see `fcnn.report`.

    ``fcnn.fit(..., run=path)`` opens a folder by itself. In a loop of one's own, ``run.log(epoch)``
    writes the lines. A spreadsheet is a loop over them::

        import csv
        rows = fcnn.runs.read("runs/first").metrics
        csv.DictWriter(open("first.csv", "w"), rows[-1], extrasaction="ignore").writerows(rows)

    and TensorBoard a loop over the epochs::

        with torch.utils.tensorboard.SummaryWriter("runs/first") as board:
            for epoch in fcnn.train.epochs(...):
                [board.add_scalar(*each, epoch.number) for each in epoch.cells().items()]

    Args:
        path: the folder; it is made, with those above it. A run that is there is continued.
        config: what distinguishes the run: hyper-parameters, a comment. What JSON cannot hold is
            kept as it prints.

    Raises:
        ArgumentError: if the folder is a run with another config, or another process computes it.
        DataError: if its files are damaged.
        OSError: if it cannot be written.

    >>> import fcnn, tempfile
    >>> from fcnn.data import mnist
    >>> model, loss = fcnn.serial(fcnn.flatten, fcnn.dense(10)), fcnn.losses.softmax_cross_entropy
    >>> digits, sgd = mnist("train", 100), fcnn.optim.sgd(0.1)
    >>> state = fcnn.train.init(model, sgd, digits, fcnn.key(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with fcnn.experiment(f"{folder}/linear", {"rate": 0.1}) as run:
    ...         for epoch in fcnn.train.epochs(model, loss, sgd, digits, state, epochs=2):
    ...             run.log(epoch)
    ...     found = fcnn.runs.read(f"{folder}/linear")
    ...     found.config["config"], found.result["status"], len(found.metrics)
    ({'rate': 0.1}, 'finished', 2)
    """
    if config is not None and not isinstance(config, Mapping):
        raise ArgumentError(f"expected a dict as config, got {type(config).__name__}")
    folder = Path(path).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        run = _opened(folder, config)
        began = time.perf_counter()
        try:
            yield run
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(OSError):  # a full disk, which may be the error itself
                _end(run, status, began, f"{type(error).__name__}: {error}")
            raise
        _end(run, "finished", began)


def _opened(path: Path, config: Mapping[str, Any] | None) -> Experiment:
    file = path / "config.json"
    given = None if config is None else plain(config)
    if file.exists():
        content = check_format(read(file), file)
        held = content["config"]
        if given is not None and given != held:
            name = next(k for k in {**held, **given} if held.get(k) != given.get(k))
            raise ArgumentError(
                f"expected the config of the run {path}, {name}={held.get(name)!r:.100}, got "
                f"{given.get(name)!r:.100}; choose another folder"
            )
    else:
        content = {"format": FORMAT, "config": given or {}, "fit": None, "sessions": []}
    (path / "checkpoints").mkdir(exist_ok=True)
    content["sessions"].append(session())
    write(file, content)
    return Experiment(path, content["config"])


def _end(run: Experiment, status: str, began: float, error: str | None = None) -> None:
    rows = run.folder.metrics
    found = {
        "status": status,
        "ended": now(),
        "seconds": time.perf_counter() - began,
        "error": error,
        "metrics": rows[-1] if rows else None,
        **run._result,
    }
    write(run.path / "result.json", plain(found))
