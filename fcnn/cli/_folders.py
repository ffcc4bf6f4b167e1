"""The folders of runs: a name for a new one, and what a trained one holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from fcnn._folder import RunFolder
from fcnn._folder import read as read_folder
from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn.cli._parser import near
from fcnn.errors import ArgumentError, DataError


@attrs.frozen
class Trained:
    """What a run's folder holds of a trained model."""

    folder: RunFolder
    settings: Mapping[str, Any]
    model: Layer
    params: Tree

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path


def new(data: str) -> Path:
    """Return a folder below ``runs`` that is not there yet, named by the data."""
    name = Path(data).expanduser().resolve().stem or "data"
    for i in range(1, 1_000_000):
        path = Path("runs", name if i == 1 else f"{name}-{i}")
        if not path.exists():
            return path
    raise ArgumentError("expected a free name below runs, got none; pass --run")


def newest() -> Path:
    """Return the folder below ``runs`` that was written to last.

    Raises:
        DataError: if there is none.
    """
    found = [each.parent for each in Path("runs").glob("*/config.json")]
    if not found:
        raise DataError("expected a run below runs to go on with, got none; pass --run")
    return max(found, key=lambda each: (each / "config.json").stat().st_mtime)


def opened(text: str) -> RunFolder:
    """Return the folder of a run.

    Raises:
        DataError: if it is none, with the one that may be meant.
    """
    path = Path(text).expanduser()
    if not (path / "config.json").is_file():
        beside = [str(each.parent) for each in path.parent.glob("*/config.json")]
        beside += [str(each.parent) for each in Path("runs").glob("*/config.json")]
        hint = near(text, beside) or near(f"runs/{text}", beside)
        raise DataError(f"expected the folder of a run, got {text!r}{hint}")
    return read_folder(path)


def settings_of(folder: RunFolder) -> dict[str, Any]:
    """Return the options that a run of ``fcnn train`` was made with, and its shape and classes.

    Raises:
        DataError: if it was made otherwise.
    """
    held = folder.config["config"]
    if held.get("command") != "train":  # one of a sweep keeps them in its result
        held = folder.result.get("train") or {}
    if held.get("command") != "train":
        raise DataError(
            f"expected a run of fcnn train, got {folder.path}, which a script made; use "
            f"fcnn.runs.read in a script"
        )
    fit = folder.config["fit"]
    return {**held, "classes": [] if fit is None else fit["data"]["classes"]}


def trained(text: str) -> Trained:
    """Return the settings, the model and the params of a run.

    Raises:
        DataError: if it is no run, or has no checkpoint yet.
    """
    folder = opened(text)
    if not folder.checkpoint.exists():
        raise DataError(f"expected a checkpoint in {folder.path}, got none: no epoch has ended yet")
    settings = settings_of(folder)
    modules = modules_of(settings)
    return Trained(folder, settings, folder.arguments(modules)["model"], folder.params(modules))


def modules_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the module that the model of a run is looked up in, besides fcnn."""
    name, colon, _ = (settings.get("model") or "").partition(":")
    return (name,) if colon else ()
