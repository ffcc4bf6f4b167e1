"""The state of a run: what it needs to go on, where it stands, and what it was run with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import Layer
from fcnn._record import record
from fcnn._typing import Tree
from fcnn.optim import Optimizer
from fcnn.prng import Key

if TYPE_CHECKING:
    from fcnn.data import Examples

ROWS = 256
"""The number of examples whose digest tells one data set from another."""


class _ByContent:
    """A tree that compares by its numbers."""

    def __init__(self, held: Tree) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByContent) and tree.equal(self.held, other.held)

    def __hash__(self) -> int:
        return hash(tree.structure(self.held))


@record
@attrs.frozen
class Setup:
    """What a run is made of, as text, so that a state says it in any process.

    Attributes:
        model: the model as it prints.
        optimizer: the optimizer as it prints.
        data: the data set as it prints, and the first digits of a SHA-256 of its class names
            and of up to 256 of its examples, evenly spaced, the first and last among them.
    """

    model: str
    optimizer: str
    data: str

    @classmethod
    def of(cls, model: Layer, optimizer: Optimizer, data: Examples) -> Setup:
        """Return the setup of a run with these."""
        return cls(_text(model), _text(optimizer), _fingerprint(data))


def _text(value: Any) -> str:
    """Return how a value prints, without addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _fingerprint(data: Examples) -> str:
    import hashlib

    n = len(data)
    rows = np.unique(np.arange(ROWS) * (n - 1) // (ROWS - 1))
    some = data[rows]
    text = f"{tree.digest((some.inputs, some.targets))} {data.classes}"
    # A run may go on with the same examples lazily, or in memory.
    return f"{_text(data).removeprefix('Lazy')} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


@record
@attrs.frozen
class State:
    """A moment of a training run. Compares by content, and pickles.

    The position is counted in passes over the data and examples of the pass that has begun, so
    that it means the same for any batch size.

    Attributes:
        params: the model's parameters.
        opt_state: the optimizer's state.
        key: the run's key; every random choice follows from it, ``epoch`` and ``seen``.
        setup: what the run is made of.
        epoch: the number of complete passes over the data.
        seen: the number of examples of the next pass that are already used.
        step: the number of steps taken.
        loss: the mean loss of the last step's batch; NaN before the first step.
        metrics: the metrics of the last step's batch, by name.
        totals: for the loss and each metric its sum over the examples of the epoch that the
            last step belongs to, and how many these are.
    """

    params: Tree = attrs.field(eq=_ByContent, repr=False)
    opt_state: Tree = attrs.field(eq=_ByContent, repr=False)
    key: Key
    setup: Setup = attrs.field(repr=False)
    epoch: int = 0
    seen: int = 0
    step: int = 0
    loss: float = attrs.field(default=math.nan, eq=repr)  # NaN before the first step equals itself
    metrics: Mapping[str, float] = attrs.field(factory=dict, hash=False)
    totals: Mapping[str, tuple[float, int]] = attrs.field(factory=dict, hash=False, repr=False)
