"""Training: a generator of frozen states, and what is built on it.

A `State` is all that a run needs to go on: params, optimizer state, the run's key and
the number of steps taken. The order of an epoch's examples, the augmentation and the
dropout of a step follow from the key and the step number alone, so a run that was
stopped and resumed from a state ends in the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from fcnn import parallel
from fcnn._check import whole
from fcnn._evaluate import Evaluation, calibrate, count_correct, evaluate
from fcnn._layer import Layer, training
from fcnn._typing import Array, Tree
from fcnn.autodiff import value_and_grad
from fcnn.errors import DataError, NonFiniteError
from fcnn.losses import Loss
from fcnn.optim import Optimizer
from fcnn.prng import Key, fold_in, permutation, split

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Dataset

__all__ = [
    "Epoch",
    "Evaluation",
    "Run",
    "State",
    "calibrate",
    "start",
    "steps",
]

SHARD_SIZE = 16
"""How many examples a shard holds, unless the caller says otherwise."""

Augment = Callable[[Key, Array], Array]


@attrs.frozen
class State:
    """A moment of a training run.

    Attributes:
        params: the model's parameters.
        opt_state: the optimizer's state.
        key: the run's key; every random choice follows from it and ``step``.
        step: how many steps have been taken.
        value: the mean loss of the last step's batch.
        correct: how many examples of that batch were classified right; None if the
            targets are no classes.
        seen: how many examples that batch had.
    """

    params: Tree
    opt_state: Tree
    key: Key
    step: int = 0
    value: float = math.nan
    correct: int | None = None
    seen: int = 0


def start(model: Layer, optimizer: Optimizer, data: Dataset, key: Key) -> State:
    """The state before the first step, the params drawn from ``key``.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]))
    >>> fcnn.train.start(fcnn.dense(2), fcnn.optim.sgd(0.1), data, fcnn.key(0)).step
    0
    """
    k_init, _, _ = split(key, 3)
    params, _ = model.init(k_init, data.inputs.shape[1:])
    return State(params, optimizer.init(params), key)


def steps(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Dataset,
    state: State,
    *,
    batch_size: int = 32,
    augment: Augment | None = None,
    shard_size: int | None = SHARD_SIZE,
    executor: Executor | None = None,
) -> Iterator[State]:
    """States of a run, one a step, without end: mini-batches of a new order each epoch.

    Args:
        model: a layer.
        loss: a loss.
        optimizer: an optimizer.
        data: the examples.
        state: where to begin: `start`, or any state of an earlier run.
        batch_size: how many examples a step sees; an epoch's last batch may be smaller.
        augment: ``(key, images) -> images``, applied to each batch.
        shard_size: see `fcnn.value_and_grad`.
        executor: see `fcnn.value_and_grad`.

    Raises:
        DataError: if there are no data.
        NonFiniteError: if the loss is no longer a finite number.

    >>> import itertools, numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> model, sgd = fcnn.dense(2), fcnn.optim.sgd(1.0)
    >>> state = fcnn.train.start(model, sgd, data, fcnn.key(0))
    >>> loss = fcnn.losses.softmax_cross_entropy
    >>> run = fcnn.train.steps(model, loss, sgd, data, state)
    >>> [state.step for state in itertools.islice(run, 3)]
    [1, 2, 3]
    """
    per_epoch = _steps_per_epoch(data, batch_size)
    gradient = value_and_grad(model, loss, has_aux=True, shard_size=shard_size, executor=executor)
    _, k_order, k_augment = split(state.key, 3)
    images, targets = data.inputs, data.targets
    order, epoch = np.arange(0), -1
    while True:
        now, place = divmod(state.step, per_epoch)
        if now != epoch:
            order, epoch = permutation(fold_in(k_order, now), len(data)), now
        chosen = order[place * batch_size : (place + 1) * batch_size]
        x, target = images[chosen], targets[chosen]
        if augment is not None:
            x = augment(fold_in(k_augment, state.step), x)
        context = training(fold_in(state.key, state.step))
        (value, prediction), grads = gradient(state.params, x, target, context)
        if not math.isfinite(value):
            raise NonFiniteError(
                f"the loss became {value} at step {state.step + 1}: a smaller learning rate, "
                f"or fcnn.optim.clip_by_global_norm, may help"
            )
        params, opt_state = optimizer.step(state.params, grads, state.opt_state)
        state = State(
            params,
            opt_state,
            state.key,
            state.step + 1,
            value,
            count_correct(prediction, target),
            len(chosen),
        )
        yield state


def _steps_per_epoch(data: Dataset, batch_size: int) -> int:
    whole(batch_size, "batch_size")
    if len(data) == 0:
        raise DataError("there is nothing to learn from: the data set is empty")
    return -(-len(data) // batch_size)


@attrs.frozen
class Epoch:
    """What one epoch came to; prints as a line. ``seconds`` takes no part in comparisons."""

    number: int
    of: int
    loss: float
    accuracy: float | None
    validation: Evaluation | None
    seconds: float = attrs.field(eq=False)

    def __str__(self) -> str:
        width = len(str(self.of))
        parts = [f"epoch {self.number:>{width}}/{self.of}", f"loss {self.loss:.4f}"]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.4f}")
        if self.validation is not None:
            parts.append(f"val_loss {self.validation.loss:.4f}")
            if self.validation.accuracy is not None:
                parts.append(f"val_accuracy {self.validation.accuracy:.4f}")
        parts.append(f"{self.seconds:.1f} s")
        return "  ".join(parts)


@attrs.frozen
class Run:
    """What `fit` returns: the last state, and the epochs that led to it."""

    state: State
    history: tuple[Epoch, ...]

    @property
    def params(self) -> Tree:
        """The parameters at the end."""
        return self.state.params


def fit(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Dataset,
    *,
    key: Key,
    epochs: int,
    batch_size: int = 32,
    validation: Dataset | None = None,
    state: State | None = None,
    augment: Augment | None = None,
    shard_size: int | None = SHARD_SIZE,
    executor: Executor | None = None,
    log: Callable[[str], object] | None = print,
) -> Run:
    """Train a model for some epochs.

    On a terminal a progress bar shows each epoch; then comes one line with its mean loss
    and accuracy (as they were during the epoch), those on ``validation``, and its time.

    Args:
        model: a layer.
        loss: a loss.
        optimizer: an optimizer.
        data: the examples.
        key: where all randomness comes from.
        epochs: how many times to go through the examples, counted from the run's first step.
        batch_size: how many examples a step sees.
        validation: examples to evaluate on after each epoch.
        state: go on from here instead of from new params; its key replaces ``key``.
        augment: ``(key, images) -> images``, applied to each batch.
        shard_size: see `fcnn.value_and_grad`.
        executor: see `fcnn.value_and_grad`; if None and a batch has more than one shard,
            threads, one a core, or this thread alone, whichever is faster in the first
            steps. `fcnn.parallel.processes` is faster still for small models. The bits of
            the result are the same for all.
        log: what to do with each epoch's line; None is silent, without a bar.

    Raises:
        DataError: if there are no data.
        NonFiniteError: if the loss is no longer a finite number.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> loss, sgd = fcnn.losses.softmax_cross_entropy, fcnn.optim.sgd(1.0)
    >>> run = fcnn.fit(fcnn.dense(2), loss, sgd, data, key=fcnn.key(0), epochs=9, log=None)
    >>> run.history[-1].accuracy
    1.0
    """
    whole(epochs, "epochs")
    per_epoch = _steps_per_epoch(data, batch_size)
    state = start(model, optimizer, data, key) if state is None else state
    history: list[Epoch] = []
    with _workers(executor, batch_size, shard_size) as candidates:

        def run_from(state: State, executor: Executor | None) -> Iterator[State]:
            return steps(
                model,
                loss,
                optimizer,
                data,
                state,
                batch_size=batch_size,
                augment=augment,
                shard_size=shard_size,
                executor=executor,
            )

        run = _fastest(run_from, state, candidates)
        while state.step < epochs * per_epoch:
            began = time.perf_counter()
            number, done = divmod(state.step, per_epoch)
            total, correct, seen = 0.0, 0, 0
            title = f"epoch {number + 1}/{epochs}"
            # Each step limits BLAS by itself; here the limit is kept from step to step.
            with contextlib.nullcontext() if shard_size is None else parallel.one_blas_thread():
                for _ in _progress(range(per_epoch - done), title, log is not None):
                    state = next(run)
                    total += state.value * state.seen
                    correct += state.correct or 0
                    seen += state.seen
            checked = None
            if validation is not None:
                checked = evaluate(model, loss, state.params, validation, executor=candidates[-1])
            epoch = Epoch(
                number + 1,
                epochs,
                total / seen,
                None if state.correct is None else correct / seen,
                checked,
                time.perf_counter() - began,
            )
            history.append(epoch)
            if log is not None:
                log(str(epoch))
    return Run(state, tuple(history))


@contextlib.contextmanager
def _workers(
    executor: Executor | None, batch_size: int, shard_size: int | None
) -> Iterator[tuple[Executor | None, ...]]:
    """The executors to choose from: the caller's, or this thread and a pool of threads."""
    if executor is None and shard_size is not None and batch_size > shard_size:
        with parallel.threads() as pool:
            yield None, pool
    else:
        yield (executor,)


def _fastest(
    run_from: Callable[[State, Executor | None], Iterator[State]],
    state: State,
    candidates: tuple[Executor | None, ...],
) -> Iterator[State]:
    """The states of one run: a few steps by each executor, the rest by the fastest.

    Threads help where a shard is work for milliseconds, and hinder where it is calls of
    microseconds. The bits are the same for all, so that trying costs nothing else.
    """
    best, chosen = math.inf, candidates[0]
    for executor in candidates if len(candidates) > 1 else ():
        states = run_from(state, executor)
        for i in range(4):
            began = time.perf_counter()
            state = next(states)
            took = time.perf_counter() - began
            if i and took < best:  # the first step warms up
                best, chosen = took, executor
            yield state
    yield from run_from(state, chosen)


def _progress(steps: range, title: str, wanted: bool) -> Any:
    """The range, behind a bar if someone is watching."""
    if not wanted or not sys.stderr.isatty():
        return steps
    from tqdm import tqdm

    return tqdm(steps, desc=title, leave=False, unit="step")
