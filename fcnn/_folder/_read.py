"""`read`: what is in the folder of a run."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs

from fcnn import prng
from fcnn._folder import _lines, _sources
from fcnn._folder._asked import VALUES
from fcnn._folder._json import read as read_json
from fcnn._folder._json import unpack
from fcnn.checkpoint import load
from fcnn.errors import ArgumentError, DataError

FORMAT = 1


@attrs.frozen
class RunFolder:
    """The folder of a run; everything is read when it is asked for.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def config(self) -> dict[str, Any]:
        """The content of ``config.json``: ``config``, ``fit`` and ``sessions``."""
        file = self.path / "config.json"
        return check_format(read_json(file), file)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``."""
        return _lines.read(self.path / "metrics.jsonl")

    @property
    def result(self) -> dict[str, Any]:
        """The content of ``result.json``; of a run that has not ended its status alone."""
        file = self.path / "result.json"
        return read_json(file) if file.exists() else {"status": "not ended"}

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint of `fcnn.fit`."""
        return self.path / "checkpoints" / "run.npz"

    def run(self, modules: Collection[str] = ()) -> Any:
        """Return the `fcnn.train.Run` of the newest checkpoint: state, history, best epoch.

        Args:
            modules: where classes may be looked up by name, besides fcnn.

        Raises:
            DataError: if it is damaged.
            OSError: if there is none.
        """
        return load(self.checkpoint, modules=tuple(modules))

    def params(self, modules: Collection[str] = ()) -> Any:
        """Return the params of the best epoch, where the run kept it, or of the last."""
        run = self.run(modules)
        return run.params if run.best is None else run.best.params

    def arguments(self, modules: Collection[str] = (), **given: Any) -> dict[str, Any]:
        """Return the arguments of `fcnn.fit` that the run was made with, but for the data.

        Args:
            modules: where constructors and functions may be looked up by name, besides fcnn.
            **given: model, loss, optimizer, augment or metrics in place of those of the folder.

        Raises:
            ArgumentError: if the run was not made by `fcnn.fit`; or if the folder cannot hold an
                argument, and it is not given.
            TreeError: if a name is neither in fcnn nor in the modules.
        """
        fit = self._fit()
        found: dict[str, Any] = {}
        for name in VALUES:
            if given.get(name) is not None:
                found[name] = given[name]
                continue
            if fit["values"][name] is None:
                raise ArgumentError(
                    f"expected {name}, which the run {self.path} cannot hold: "
                    f"{fit['printed'][name]!s:.80}; pass {name}="
                )
            found[name] = unpack(fit["values"][name], modules)
        seed, path = fit["key"]["seed"], fit["key"]["path"]
        found["key"] = prng.Key(seed, tuple(path))
        names = ("epochs", "batch_size", "drop_last", "keep_best", "shard_size")
        return found | {name: fit[name] for name in names}

    def data(self, which: str = "data") -> Any:
        """Return the run's ``"data"`` or ``"validation"``, where they are a set of `fcnn.data`.

        None if there are none, or they are from elsewhere.
        """
        held = self._fit()[which]
        return None if held is None else _sources.load(held["source"])

    def _fit(self) -> dict[str, Any]:
        fit: dict[str, Any] | None = self.config.get("fit")
        if fit is None:
            raise ArgumentError(
                f"expected a run of fcnn.fit in {self.path}, got one of a loop of its own; "
                f"pass run= to fcnn.fit"
            )
        return fit


def read(path: str | os.PathLike[str]) -> RunFolder:
    """Open the folder of a run to read it.

    Raises:
        DataError: if it is no such folder.

    >>> import fcnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with fcnn.experiment(f"{folder}/first", {"rate": 0.1}) as run:
    ...         run.log(1, loss=0.5)
    ...     found = fcnn.runs.read(f"{folder}/first")
    ...     found.name, found.config["config"], found.metrics[-1]["loss"]
    ('first', {'rate': 0.1}, 0.5)
    """
    found = RunFolder(Path(path).expanduser())
    if not (found.path / "config.json").is_file():
        raise DataError(
            f"expected the folder of a run, got {found.path}, without config.json; "
            f"fcnn.fit(..., run={str(path)!r}) writes one"
        )
    return found


def check_format(content: dict[str, Any], file: Path) -> dict[str, Any]:
    """Refuse a config of another version.

    Raises:
        DataError: with both versions.
    """
    if content.get("format") != FORMAT or not {"config", "fit", "sessions"} <= set(content):
        raise DataError(
            f"expected a config of format {FORMAT} in {file}, got {content.get('format')!r:.20}"
        )
    return content
