"""`steps`: the states of a run, one a step, without end."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fcnn import _batch
from fcnn._layer import Layer, training
from fcnn._scores import Metric, count_correct, measure
from fcnn._typing import Tree
from fcnn.data import batches
from fcnn.data.augment import Augmentation
from fcnn.errors import NonFiniteError
from fcnn.losses import Loss
from fcnn.optim import Optimizer
from fcnn.prng import Key, fold_in, split
from fcnn.train._finite import HINT, keep, last_finite, refuse_not_finite
from fcnn.train._plan import Augment, Plan, ShardSize, begin
from fcnn.train._resume import Changes
from fcnn.train._state import State
from fcnn.train._update import Update, updates

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Examples


def steps(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Examples,
    state: State,
    *,
    batch_size: int = 32,
    drop_last: bool = False,
    augment: Augment | None = None,
    metrics: Mapping[str, Metric] | None = None,
    shard_size: ShardSize = "auto",
    executor: Executor | None = None,
    changed: Changes = (),
    jit: bool | None = None,
) -> Iterator[State]:
    """Return the states of a run, one a step, without end.

    Each epoch goes through the data once, in an order of its own. Order, augmentation and
    dropout of a step follow from the run's key, the epoch and the number of the epoch's
    examples already seen, and from nothing else.

    Args:
        model: a layer.
        loss: a loss.
        optimizer: an optimizer.
        data: the examples.
        state: where to begin: what `init` returns, or any state of an earlier run.
        batch_size: the number of examples in a batch; an epoch's last batch may have fewer.
        drop_last: leave out a last batch of fewer than ``batch_size`` examples.
        augment: ``(key, inputs) -> inputs``. One of `fcnn.data.augment` changes each example with
            its shard, and by its place in the epoch's order, whatever the batch; `mixup`,
            `cutmix` and a function of one's own change each batch. Accuracy and metrics are of
            the targets of the data, whatever is mixed into those of the loss.
        metrics: functions ``(prediction, target) -> number`` by name, of each batch.
        shard_size: cut each batch into shards of at most that many examples, whose sizes
            differ by one at most, each computed with one BLAS thread. Batch norm takes its
            mean and variance from a shard. "auto": as many shards as can have 16 examples, or
            32 where the model has running statistics. None: the whole batch at once, with as
            many BLAS threads as there are.
        executor: what computes the shards (see `fcnn.parallel`); this thread if None. The
            bits of the result are the same for all.
        changed: "model", "optimizer", "data" or "key", or several, of which ``state`` may be
            of another one. The optimizer's state is kept where the new one has a state of the
            same structure, and else made anew; with other data the epoch starts anew.
        jit: see `fcnn.value_and_grad`. An optimizer of this library is replayed with the gradient
            where a batch is one shard and no executor is named.

    Raises:
        ArgumentError: if an argument is something else.
        DataError: if there are no data.
        ShapeError: if data, model and loss do not fit together.
        TreeError: if ``state`` is of another model, optimizer or data set.
        NonFiniteError: from the iterator, if the loss or a parameter is no longer finite. It,
            and any other exception, has the last state as its attribute ``state``.

    >>> import itertools, numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> model, sgd = fcnn.dense(2), fcnn.optim.sgd(1.0)
    >>> state = fcnn.train.init(model, sgd, data, fcnn.key(0))
    >>> loss = fcnn.losses.softmax_cross_entropy
    >>> run = fcnn.train.steps(model, loss, sgd, data, state)
    >>> [state.step for state in itertools.islice(run, 3)]
    [1, 2, 3]
    """
    plan, state = begin(
        model,
        loss,
        optimizer,
        data,
        state,
        batch_size=batch_size,
        drop_last=drop_last,
        augment=augment,
        metrics=metrics,
        shard_size=shard_size,
        executor=executor,
        changed=changed,
        jit=jit,
    )
    return run(plan, state, executor)


def run(plan: Plan, state: State, executor: Executor | None) -> Iterator[State]:
    """Yield the states of a run; the params at the end of each epoch are finite."""
    _, k_order, k_augment, k_dropout = split(state.key, 4)
    update = updates(plan, executor, state.opt_state)
    step = _step(plan, update, k_augment, k_dropout)
    checked = before = state
    try:
        while True:
            for x, target in batches(
                plan.data,
                plan.batch_size,
                key=k_order,
                epoch=state.epoch,
                start=state.seen,
                drop_last=plan.drop_last,
            ):
                before, state = state, step(state, x, target)
                if state.seen == 0:
                    refuse_not_finite(state)
                    checked = state
                yield state
    except GeneratorExit:
        raise
    except BaseException as error:
        keep(error, last_finite(state, before, checked))
        raise


def _step(
    plan: Plan, update: Update, k_augment: Key, k_dropout: Key
) -> Callable[[State, Tree, Tree], State]:
    """Return the function of a state and a batch that gives the next state."""
    has_aux = plan.shard.has_aux

    def step(state: State, x: Tree, target: Tree) -> State:
        n = _batch.length(x)
        x, learnt, later = _augmented(plan.augment, state, k_augment, x, target)
        context = training(_at(state, k_dropout))
        value, made = update(state.params, state.opt_state, x, learnt, context, later)
        value, prediction = value if has_aux else (value, None)
        if made is None:
            raise NonFiniteError(
                f"expected a finite loss, got {value} at step {state.step + 1}; {HINT}"
            )
        sums = _sums(plan, value, prediction, target, n)
        params, opt_state = made
        return _after(plan, state, params, opt_state, sums, n)

    return step


def _at(state: State, key: Key) -> Key:
    """Return the key of the step after a state."""
    return fold_in(fold_in(key, state.epoch), state.seen)


def _augmented(
    augment: Augment | None, state: State, key: Key, x: Any, target: Any
) -> tuple[Any, Any, Callable[[Any, int], Any] | None]:
    """Return inputs and targets, and how each shard is still to change its inputs."""
    if augment is None:
        return x, target, None
    if not isinstance(augment, Augmentation):
        return augment(_at(state, key), x), target, None
    of_epoch, seen = fold_in(key, state.epoch), state.seen
    if augment.mixes:
        x, target = augment(of_epoch, x, target, start=seen)
    elif augment.by_example:
        return x, target, functools.partial(_of_shard, augment, of_epoch, seen)
    else:
        x = augment(of_epoch, x, start=seen)
    return x, target, None


def _of_shard(augment: Augmentation, key: Key, seen: int, x: Any, start: int) -> Any:
    return augment(key, x, start=seen + start)


def _sums(plan: Plan, loss: float, prediction: Tree, target: Tree, n: int) -> dict[str, float]:
    """Return the loss and each metric of a batch, times its examples."""
    sums = {"loss": loss * n}
    if plan.counts_correct:
        correct = count_correct(prediction, target)
        if correct is not None:
            sums["accuracy"] = correct
    if plan.metrics:
        for name, value in measure(plan.metrics, prediction, target).items():
            sums[name] = value * n
    return sums


def _after(
    plan: Plan, state: State, params: Tree, opt_state: Tree, sums: dict[str, float], n: int
) -> State:
    """Return the state after a step."""
    epoch, seen = state.epoch, state.seen + n
    totals = {name: (total, n) for name, total in sums.items()}
    if state.seen:
        for name, (total, m) in state.totals.items():
            if name in sums:
                totals[name] = total + sums[name], m + n
    if plan.ends_at(seen):
        epoch, seen = epoch + 1, 0
    return State(
        params,
        opt_state,
        state.key,
        state.setup,
        epoch,
        seen,
        state.step + 1,
        sums["loss"] / n,
        {name: value / n for name, value in sums.items() if name != "loss"},
        totals,
    )
