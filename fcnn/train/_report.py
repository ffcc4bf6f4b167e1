"""The report of an epoch, and the result of a run."""

from __future__ import annotations

import html
from collections.abc import Mapping

import attrs

from fcnn._evaluate import Evaluation
from fcnn._record import record
from fcnn._typing import Tree
from fcnn.train._state import State


@record
@attrs.frozen
class Report:
    """The numbers of an epoch; prints as a line.

    Attributes:
        number: which pass over the data this was, from 1.
        of: how many there are to be; None in a run without end.
        loss: the mean loss of the epoch's examples, as it was when each was learnt from.
        metrics: the caller's metrics, and the accuracy where targets are classes, likewise.
        validation: the evaluation on the validation data; None without any.
        seconds: the time it took, validation included; takes no part in comparisons.
    """

    number: int
    of: int | None
    loss: float
    metrics: Mapping[str, float] = attrs.field(hash=False)
    validation: Evaluation | None
    seconds: float = attrs.field(eq=False)

    @property
    def accuracy(self) -> float | None:
        """The fraction of the examples classified right; None if the targets are not classes."""
        return self.metrics.get("accuracy")

    def cells(self) -> dict[str, float]:
        """Return the numbers by name, those of validation as ``val_...``.

        >>> from fcnn.train import Report
        >>> Report(1, 9, 0.5, {"accuracy": 0.75}, None, 1.0).cells()
        {'loss': 0.5, 'accuracy': 0.75}
        """
        found = {"loss": self.loss, **self.metrics}
        if self.validation is not None:
            found["val_loss"] = self.validation.loss
            if self.validation.accuracy is not None:
                found["val_accuracy"] = self.validation.accuracy
            found |= {f"val_{name}": value for name, value in self.validation.metrics.items()}
        return found

    def __str__(self) -> str:
        of = "" if self.of is None else f"/{self.of}"
        parts = [f"epoch {self.number:>{len(of) - 1 if of else 0}}{of}"]
        parts += [f"{name} {_show(value)}" for name, value in self.cells().items()]
        return "  ".join([*parts, f"{self.seconds:.1f} s"])


def _show(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"


@record
@attrs.frozen
class Epoch(Report):
    """An epoch: its report, and the state at its end."""

    state: State

    @classmethod
    def after(
        cls, state: State, of: int | None, validation: Evaluation | None, seconds: float
    ) -> Epoch:
        """Return the epoch that a state ends."""
        means = {name: total / n for name, (total, n) in state.totals.items()}
        loss = means.pop("loss")
        return cls(state.epoch, of, loss, means, validation, seconds, state)

    @property
    def report(self) -> Report:
        """The report alone, which does not keep the params alive."""
        return Report(self.number, self.of, self.loss, self.metrics, self.validation, self.seconds)

    @property
    def params(self) -> Tree:
        """The parameters at the epoch's end."""
        return self.state.params


@record
@attrs.frozen(repr=False)
class Run:
    """What `fcnn.fit` returns: the last state, and the epochs that led to it.

    Attributes:
        state: the state at the end.
        history: a report of each epoch.
        best: with ``keep_best``, the epoch of the lowest validation loss, with its params.
    """

    state: State
    history: tuple[Report, ...]
    best: Epoch | None = None

    @property
    def params(self) -> Tree:
        """The parameters at the end; the best ones are ``run.best.params``."""
        return self.state.params

    def __repr__(self) -> str:
        last = f": {self.history[-1]}" if self.history else ""
        return f"Run({len(self.history)} epochs, {self.state.step} steps{last})"

    def _repr_html_(self) -> str:
        """Return the history as a table, for notebooks."""
        rows = [{"epoch": each.number, **each.cells()} for each in self.history]
        names = list(rows[-1]) if rows else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            f"<tr>{''.join(f'<td>{_show_cell(row.get(name))}</td>' for name in names)}</tr>"
            for row in rows
        )
        return f"<table><tr>{head}</tr>{body}</table>"


def _show_cell(value: float | None) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else _show(value)
