"""What each step of a run does: the arguments of the loop, checked before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
import numpy as np

from fcnn import _doors, tree
from fcnn._batch import first_of, is_streamed, targets_of
from fcnn._check import whole
from fcnn._layer import Layer, training
from fcnn._scores import Metric, has_classes
from fcnn._typing import Tree
from fcnn.autodiff import Shard
from fcnn.errors import DataError, FcnnError, ShapeError
from fcnn.losses import Loss
from fcnn.optim import Optimizer
from fcnn.parallel._door import check_executor
from fcnn.prng import Key, abstract_key
from fcnn.train._init import check_parts
from fcnn.train._resume import Changes, resume
from fcnn.train._state import State

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Examples

Augment: TypeAlias = Callable[[Key, Any], Any]
ShardSize: TypeAlias = int | Literal["auto"] | None

_SOME = 256
LEAST, LEAST_WITH_STATISTICS = 16, 32
"""The fewest examples of a shard by default: batch norm needs more for its mean and variance."""


@attrs.frozen
class Plan:
    """The settings of a run, checked."""

    model: Layer
    loss: Loss
    optimizer: Optimizer
    data: Examples
    examples: int
    batch_size: int
    drop_last: bool
    augment: Augment | None
    metrics: Mapping[str, Metric]
    counts_correct: bool
    shard_size: ShardSize
    has_statistics: bool
    shard: Shard

    def shard_size_for(self, n: int) -> int | None:
        """Return the largest shard that a batch of ``n`` examples is cut into.

        By default shards are as many as can have 16 examples, or 32 where the model has
        statistics, so that batch norm sees 32 examples or more if the batch has them.
        """
        return shard_for(n, self.shard_size, self.has_statistics)

    @property
    def is_sharded(self) -> bool:
        """Whether a full batch has more than one shard."""
        n = min(self.batch_size, self.examples)
        size = self.shard_size_for(n)
        return size is not None and size < n

    @property
    def shards(self) -> int:
        """The number of shards of a full batch."""
        n = min(self.batch_size, self.examples)
        return -(-n // (self.shard_size_for(n) or n))

    def ends_at(self, seen: int) -> bool:
        """Return whether an epoch has no batch after ``seen`` examples."""
        return self.examples - seen < (self.batch_size if self.drop_last else 1)

    def batches_after(self, seen: int) -> int:
        """Return how many batches an epoch has after ``seen`` examples."""
        left = self.examples - seen
        return left // self.batch_size if self.drop_last else -(-left // self.batch_size)


def shard_for(n: int, shard_size: ShardSize, has_statistics: bool) -> int | None:
    """Return the largest shard of a batch of ``n`` examples; see `Plan.shard_size_for`."""
    if shard_size != "auto":
        return shard_size
    least = LEAST_WITH_STATISTICS if has_statistics else LEAST
    return -(-n // max(1, n // least))


def begin(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Examples,
    state: State,
    *,
    batch_size: int,
    drop_last: bool,
    augment: Augment | None,
    metrics: Mapping[str, Metric] | None,
    shard_size: ShardSize,
    executor: Executor | None,
    changed: Changes,
    jit: bool | None,
) -> tuple[Plan, State]:
    """Check everything, run a few examples through model and loss, and return where to begin.

    Raises:
        ArgumentError: if an argument is something else.
        DataError: if there is no batch.
        TreeError: if the state is of another run.
        FcnnError: what model or loss raise for the examples.
    """
    check_parts(model, optimizer, data)
    _doors.check_loss(loss)
    _doors.check_function(augment, "augment", "(key, inputs) -> inputs")
    if executor is not None:
        check_executor(executor)
    functions = _doors.check_metrics(metrics)
    if shard_size not in ("auto", None):
        whole(shard_size, 'shard_size (or "auto", or None)')
    if drop_last and len(data) < whole(batch_size, "batch_size"):
        raise DataError(
            f"expected {batch_size} examples or more for a batch with drop_last, got {len(data)}"
        )
    state = resume(state, model, optimizer, data, changed)
    counts_correct = "accuracy" not in functions and has_classes(data)
    plan = Plan(
        model,
        loss,
        optimizer,
        data,
        len(data),
        whole(batch_size, "batch_size"),
        bool(drop_last),
        augment,
        functions,
        counts_correct,
        shard_size,
        any(tree.statistics(state.params)),
        Shard(model, loss, bool(functions) or counts_correct, jit),
    )
    check_examples(plan, state.params, data)
    if plan.has_statistics:
        _check_batch_of_one(plan, state.params)
    if plan.ends_at(state.seen):  # of a run with a smaller batch, less than a batch is left
        state = attrs.evolve(state, epoch=state.epoch + 1, seen=0)
    return plan, state


def check_examples(plan: Plan, params: Tree, data: Examples, what: str = "") -> None:
    """Run the examples with the least and the largest targets through model and loss.

    Raises:
        FcnnError: what they raise, after ``what``.
    """
    rows = _extremes(data)
    some = data[np.array(rows)]
    try:
        prediction = plan.model.apply(params, some.inputs)
        plan.loss.apply(prediction, some.targets)
    except FcnnError as error:
        message = f"{what}{error.message} (tried with examples {rows})"
        raise type(error)(message, error.path, error.call) from None


def _extremes(data: Examples) -> list[int]:
    """Return the first example, and those with the least and the largest target.

    Of targets that are not in memory: among the first examples, and the last.
    """
    targets = targets_of(data, _SOME)
    rows = {0, len(data) - 1} if is_streamed(data) else {0}
    for leaf in tree.leaves(targets):
        size = leaf[0].size
        if size:
            rows |= {int(leaf.argmin()) // size, int(leaf.argmax()) // size}
    return sorted(rows)


def _check_batch_of_one(plan: Plan, params: Tree) -> None:
    """Refuse a batch of one example where batch norm cannot take a variance of it."""
    n, size = plan.examples, plan.batch_size
    last = size if plan.drop_last else (n % size or min(n, size))
    if last > 1:
        return
    x = first_of(plan.data).inputs
    try:
        plan.model.apply(params, x, training(abstract_key()))
    except ShapeError as error:
        remedy = "choose a larger batch_size" if size == 1 or n == 1 else (
            "choose another batch_size, or drop_last=True"
        )  # fmt: skip
        raise ShapeError(
            f"a batch of {size} cuts {n} examples so that the last batch has one: "
            f"{error.message}; {remedy}",
            error.path,
            error.call,
        ) from None


def check_validation(plan: Plan, params: Tree, validation: Any) -> None:
    """Refuse validation data that do not fit the model or the loss.

    Raises:
        ArgumentError: if they are no data set.
        FcnnError: what model or loss raise for them.
    """
    if validation is None:
        return
    _doors.check_data(validation, "the validation data")
    check_examples(plan, params, validation, "the validation data do not fit: ")
