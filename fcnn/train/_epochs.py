"""`epochs`: the epochs of a run, each with its state, metrics and time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from fcnn import parallel
from fcnn._check import whole
from fcnn._evaluate import Evaluation, evaluate
from fcnn._layer import Layer
from fcnn._scores import Metric
from fcnn.autodiff import Shard
from fcnn.errors import NonFiniteError
from fcnn.losses import Loss
from fcnn.optim import Optimizer
from fcnn.train._executors import candidates, fastest
from fcnn.train._finite import HINT, keep, last_finite
from fcnn.train._plan import Augment, Plan, ShardSize, begin, check_validation
from fcnn.train._progress import bar
from fcnn.train._report import Epoch
from fcnn.train._resume import Changes
from fcnn.train._state import State
from fcnn.train._steps import run

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Examples

MANY = 64
"""The fewest steps of a run that replays by itself: a recording is gained back in 20 to 50."""


def epochs(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Examples,
    state: State,
    *,
    epochs: int | None = None,
    batch_size: int = 32,
    drop_last: bool = False,
    validation: Examples | None = None,
    augment: Augment | None = None,
    metrics: Mapping[str, Metric] | None = None,
    shard_size: ShardSize = "auto",
    executor: Executor | None = None,
    changed: Changes = (),
    progress: bool = False,
    jit: bool | None = None,
) -> Iterator[Epoch]:
    """Return the epochs of a run, each with its state, loss, metrics and time.

    A loop over them does between two epochs whatever its caller likes: it prints, saves
    ``epoch.state``, keeps the best params, or breaks. See `fcnn.train` for examples.

    Args:
        model: a layer.
        loss: a loss.
        optimizer: an optimizer.
        data: the examples.
        state: where to begin: what `init` returns, or any state of an earlier run.
        epochs: the number of passes over the data, counted from the run's first step; without
            end if None.
        batch_size: see `steps`.
        drop_last: see `steps`.
        validation: examples to evaluate on after each epoch.
        augment: see `steps`.
        metrics: functions ``(prediction, target) -> number`` by name, such as those of
            `fcnn.metrics`. While learning, each is computed of every batch, and an epoch's is
            their mean weighted by the batches' examples; in validation it is computed once, of
            all predictions. Accuracy is there without being named where targets are classes:
            whole numbers ``(n,)``, or rows of probabilities of a data set with ``classes``.
        shard_size: see `steps`.
        executor: what computes the shards (see `fcnn.parallel`). If None and a batch has more
            than one shard: one thread per core, 4, 2, or this thread alone, whichever is the
            fastest in the first steps. On free-threaded Python (3.13t or later) threads are the
            default: this thread alone only if it is faster by half. The bits of the result are
            the same for all.
        changed: see `steps`.
        progress: show a bar for each epoch, on a terminal or in a notebook.
        jit: see `fcnn.fit`; where ``epochs`` is None, see `fcnn.value_and_grad`.

    Raises:
        ArgumentError: if an argument is something else.
        DataError: if there are no data.
        ShapeError: if data, validation data, model and loss do not fit together.
        TreeError: if ``state`` is of another model, optimizer or data set.
        NonFiniteError: from the iterator, if the loss, a parameter or the validation loss is no
            longer finite. It, and any other exception, has the last state as its attribute
            ``state``.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> model, sgd = fcnn.dense(2), fcnn.optim.sgd(1.0)
    >>> state = fcnn.train.init(model, sgd, data, fcnn.key(0))
    >>> loss = fcnn.losses.softmax_cross_entropy
    >>> for epoch in fcnn.train.epochs(model, loss, sgd, data, state):
    ...     if epoch.accuracy == 1 and epoch.loss < 0.5:
    ...         break
    >>> epoch.state.epoch == epoch.number
    True
    """
    return watched(
        model,
        loss,
        optimizer,
        data,
        state,
        epochs=epochs,
        batch_size=batch_size,
        drop_last=drop_last,
        validation=validation,
        augment=augment,
        metrics=metrics,
        shard_size=shard_size,
        executor=executor,
        changed=changed,
        progress=progress,
        jit=jit,
    )


def watched(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Examples,
    state: State,
    *,
    epochs: int | None,
    validation: Examples | None,
    executor: Executor | None,
    progress: bool,
    jit: bool | None,
    watch: Callable[[State], None] | None = None,
    **settings: Any,
) -> Iterator[Epoch]:
    """Do what `epochs` does, and call ``watch`` with the state of each step."""
    last = math.inf if epochs is None else whole(epochs, "epochs")
    settings |= {"executor": executor, "jit": jit}
    plan, state = begin(model, loss, optimizer, data, state, **settings)
    if jit is None and epochs is not None:
        plan = _for_length(plan, state, epochs)
    check_validation(plan, state.params, validation)
    return _epochs(plan, state, last, validation, executor, progress, watch)


def _for_length(plan: Plan, state: State, epochs: int) -> Plan:
    """Return the plan with replays from the second step on in a run of many steps, else without."""
    left = plan.batches_after(state.seen) + (epochs - state.epoch - 1) * plan.batches_after(0)
    jit = left >= MANY
    if jit:
        from fcnn._jit import is_own  # a short run need not import it

        jit = is_own(plan.model) and is_own(plan.loss)
    return attrs.evolve(plan, shard=Shard(plan.model, plan.loss, plan.shard.has_aux, jit))


def _epochs(
    plan: Plan,
    state: State,
    last: float,
    validation: Examples | None,
    executor: Executor | None,
    progress: bool,
    watch: Callable[[State], None] | None,
) -> Iterator[Epoch]:
    of = None if last == math.inf else int(last)
    checked = state
    with candidates(executor, plan) as found:
        states = fastest(
            lambda state, executor: run(plan, state, executor), state, found, plan.examples
        )
        try:
            while state.epoch < last:
                began, number = time.perf_counter(), state.epoch + 1
                title = f"epoch {number}" + ("" if of is None else f"/{of}")
                # Each step limits BLAS by itself; here the limit is kept from step to step.
                limit = contextlib.nullcontext() if plan.shard_size is None else (
                    parallel.one_blas_thread()
                )  # fmt: skip
                with limit, bar(plan.batches_after(state.seen), title, progress) as advance:
                    while state.epoch < number:
                        state = next(states)
                        if watch is not None:
                            watch(state)
                        advance()
                checked = state
                evaluation = _validate(plan, state, validation, found[0])
                seconds = time.perf_counter() - began
                yield Epoch.after(state, of, evaluation, seconds)
        except GeneratorExit:
            raise
        except BaseException as error:
            keep(error, last_finite(state, checked))
            raise


def _validate(
    plan: Plan, state: State, validation: Examples | None, executor: Executor | None
) -> Evaluation | None:
    if validation is None:
        return None
    found = evaluate(
        plan.model,
        plan.loss,
        state.params,
        validation,
        metrics=plan.metrics,
        executor=executor,
        jit=plan.shard.jit,
    )
    if not math.isfinite(found.loss):
        raise NonFiniteError(
            f"expected a finite validation loss, got {found.loss} after step {state.step}; {HINT}"
        )
    return found
