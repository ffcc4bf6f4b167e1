"""The checkpoints of `fcnn.fit`: the run so far in a file, and a few older ones beside it."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from fcnn._batch import example_shape, first_of
from fcnn._check import whole
from fcnn._layer import Layer
from fcnn.checkpoint import environment, is_storable, load, load_info, save
from fcnn.errors import ArgumentError, DataError
from fcnn.train._finite import refuse_not_finite
from fcnn.train._report import Run
from fcnn.train._state import State
from fcnn.tree._children import children_of

if TYPE_CHECKING:
    from fcnn.data import Examples

_OLD = 60.0
"""Seconds without a write after which a temporary file is abandoned."""


@attrs.frozen
class Checkpoints:
    """A file that holds the newest run, replaced at each checkpoint.

    Attributes:
        path: the file; older ones are ``NAME.1.npz``, ``NAME.2.npz``, the oldest last.
        every: the number of steps from one checkpoint to the next, besides those at the ends of
            epochs; None for these alone.
        keep: the number of files.
        model: the model, which the files hold too; None if a file cannot hold it.
        modules: where the classes of the run's params and states are.
        about: what the files say of the data: the shape of an input, the names of the classes.
    """

    path: Path
    every: int | None
    keep: int
    model: Layer | None
    modules: frozenset[str]
    about: Mapping[str, Any]

    @classmethod
    def of(
        cls, path: Any, every: int | None, keep: int, model: Layer, like: State, data: Examples
    ) -> Checkpoints:
        """Check the arguments; ``like`` is a state of the run.

        Raises:
            ArgumentError: if one is out of its range.
            OSError: if the folder is not there.
        """
        if not isinstance(path, str | os.PathLike):
            raise ArgumentError(f"expected the path of a file as checkpoint, got {path!r:.60}")
        path = Path(path).expanduser()
        if path.suffix.lower() not in (".npz", ".safetensors"):
            raise ArgumentError(
                f"expected a checkpoint that ends in .npz or .safetensors, got {path.name!r}"
            )
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"expected a folder {path.parent} for the checkpoint; create it"
            )
        every = None if every is None else whole(every, "every")
        held = model if is_storable(model) else None
        modules = frozenset(_modules((like.params, like.opt_state)))
        about: dict[str, Any] = {"input_shape": example_shape(first_of(data).inputs)}
        if data.classes:
            about["class_names"] = tuple(data.classes)
        return cls(path, every, whole(keep, "keep"), held, modules, about)

    def load(self) -> Run | None:
        """Return the run of the newest file; None if there is none.

        Raises:
            DataError: if it is damaged, or holds something else.
        """
        self._remove_remains()
        if not self.path.exists():
            return None
        found: Any = load(self.path, modules=self.modules)
        if not isinstance(found, Run):
            raise DataError(
                f"expected a checkpoint of fcnn.fit in {self.path.name}, got a file of "
                f"{type(found).__name__}; choose another name"
            )
        ours, theirs = environment(), load_info(self.path)["environment"]
        if isinstance(theirs, dict) and ours["probe"] != theirs.get("probe"):
            differing = [
                f"{k} {theirs.get(k)}, now {ours[k]}" for k in ours if ours[k] != theirs.get(k)
            ]
            warnings.warn(
                f"{self.path.name} was written where computing gives other bits "
                f"({'; '.join(differing)}): the run goes on, and will end in other bits too",
                stacklevel=4,
            )
        return found

    def is_due(self, state: State) -> bool:
        """Return whether a step within an epoch ends with a checkpoint."""
        return self.every is not None and state.step % self.every == 0 and state.seen > 0

    def save(self, run: Run) -> None:
        """Write a run; the files before it move on by one.

        Raises:
            NonFiniteError: if a parameter is no longer finite.
            OSError: if it cannot be written; the files before it are as they were.
        """
        refuse_not_finite(run.state)
        try:
            self._move_on()
            save(self.path, run, model=self.model, **self.about)
        except OSError as error:
            error.add_note(f"the checkpoint {self.path.name} is the last that could be written")
            raise

    def _remove_remains(self) -> None:
        """Remove what a process that was killed had begun to write, not what one is writing."""
        for part in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.part"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _OLD:
                    part.unlink()

    def _move_on(self) -> None:
        """Give each file the name of the one before it; the newest keeps its own as well."""
        names = [self.path, *(self._older(i) for i in range(1, self.keep))]
        for newer, older in reversed(list(itertools.pairwise(names[1:]))):
            if newer.exists():
                newer.replace(older)
        if len(names) > 1 and self.path.exists():
            _link(self.path, names[1])

    def _older(self, i: int) -> Path:
        return self.path.with_suffix(f".{i}{self.path.suffix}")


def _modules(held: Any) -> Iterator[str]:
    """Yield the modules of the classes in a tree."""
    yield type(held).__module__
    for _, child, _ in children_of(held) or ():
        yield from _modules(child)


def _link(path: Path, other: Path) -> None:
    """Give a file a second name; where the file system cannot, rename a copy."""
    with contextlib.suppress(FileNotFoundError):
        other.unlink()
    try:
        os.link(path, other)
    except OSError:
        import shutil

        part = other.with_name(f".{other.name}.part")
        shutil.copyfile(path, part)
        part.replace(other)
