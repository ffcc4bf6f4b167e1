"""`fcnn.fit` in a folder: what it was asked for, a line an epoch, and the report at the end."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from fcnn import tree
from fcnn._check import whole
from fcnn._folder import Experiment, experiment
from fcnn._folder._asked import asked, rate_of
from fcnn._layer import Layer
from fcnn._report import write_report
from fcnn.checkpoint import is_storable, save
from fcnn.errors import ArgumentError
from fcnn.optim import Optimizer
from fcnn.train._plan import shard_for
from fcnn.train._report import Epoch, Run
from fcnn.train._state import State

if TYPE_CHECKING:
    from fcnn.data import Dataset

_PLAIN = ("epochs", "batch_size", "drop_last", "keep_best", "shard_size", "changed")


@attrs.frozen
class Recording:
    """A run of `fcnn.fit` and the folder that it writes into."""

    into: Experiment
    model: Layer
    optimizer: Optimizer
    data: Dataset[Any, Any]
    validation: Dataset[Any, Any] | None

    @property
    def checkpoint(self) -> Path:
        """Where the run is saved."""
        return self.into.checkpoint

    def note(self, epoch: Epoch) -> None:
        """Write the line of an epoch."""
        rate = rate_of(self.optimizer)
        numbers: dict[str, Any] = {} if rate is None else {
            "learning_rate": float(rate(max(0, epoch.state.step - 1)))
        }  # fmt: skip
        if epoch.seconds > 0:
            numbers["examples_per_second"] = len(self.data) / epoch.seconds
        self.into.log(epoch, **numbers)

    def finish(self, run: Run) -> None:
        """Write the result and the report."""
        self.into.result(
            epochs=run.state.epoch,
            digest=tree.digest(run.params),
            best=None if run.best is None else {"epoch": run.best.number, **run.best.cells()},
        )
        params = run.params if run.best is None else run.best.params
        data = self.data if self.validation is None else self.validation
        try:
            write_report(self.into.path, self.model, params, data, status="finished")
        except Exception as error:  # the run is complete and is returned without its page
            warnings.warn(
                f"the run is complete, but its report could not be written: "
                f"{type(error).__name__}: {error}; try fcnn.report({str(self.into.path)!r})",
                RuntimeWarning,
                stacklevel=4,
            )


def recording(
    run: str | os.PathLike[str] | Experiment | None,
    state: State,
    values: Mapping[str, Any],
    options: Mapping[str, Any],
) -> AbstractContextManager[Recording | None]:
    """Open the folder of a run, or use one that is open, and write what was asked for into it.

    Args:
        run: the folder, or what `experiment` opened; None records nothing.
        state: where the run begins.
        values: model, loss, optimizer, augment, metrics, data and validation.
        options: the other arguments of `fcnn.fit`.

    Raises:
        ArgumentError: if the folder is one of another run, or ``run`` is something else.
        OSError: if it cannot be written.
    """
    if run is None:
        return contextlib.nullcontext()
    if not isinstance(run, str | os.PathLike | Experiment):
        raise ArgumentError(
            f"expected a folder as run, or what fcnn.experiment opened, got {type(run).__name__}"
        )
    if options["checkpoint"] is not None:
        raise ArgumentError(
            "expected run or checkpoint, got both; a run has its checkpoints in its folder"
        )
    return _opened(run, state, values, options)


@contextmanager
def _opened(
    run: str | os.PathLike[str] | Experiment,
    state: State,
    values: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Iterator[Recording]:
    opened = contextlib.nullcontext(run) if isinstance(run, Experiment) else experiment(run)
    with opened as into:
        data, validation = values["data"], values["validation"]
        n = min(whole(options["batch_size"], "batch_size"), len(data))
        settings = {name: options[name] for name in _PLAIN} | {
            "shard": shard_for(n, options["shard_size"], any(tree.statistics(state.params))),
            "start": _start(into, values["model"], state, options),
        }
        executor = options["executor"]
        fit = asked(values, data, validation, state.key, settings)
        into.begin_fit(fit, "default" if executor is None else type(executor).__name__)
        yield Recording(into, values["model"], values["optimizer"], data, validation)


def _start(into: Experiment, model: Layer, state: State, options: Mapping[str, Any]) -> str | None:
    """Keep the params or the state that a run begins with, where its key does not make them."""
    kind = next((name for name in ("state", "params") if options[name] is not None), None)
    if kind is not None and not into.checkpoint.exists():
        held = state if kind == "state" else state.params
        save(into.path / "start.npz", held, model=model if is_storable(model) else None)
    return kind
