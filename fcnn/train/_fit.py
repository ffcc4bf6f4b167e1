"""`fit`: a loop over `epochs` that prints a line each, and keeps the history and the best."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from fcnn._check import whole
from fcnn._doors import check_function, check_key, check_loss, check_model, hinting
from fcnn._layer import Layer
from fcnn._scores import Metric
from fcnn._typing import Tree
from fcnn.errors import ArgumentError
from fcnn.losses import Loss
from fcnn.optim import Optimizer
from fcnn.prng import Key
from fcnn.train._checkpoints import Checkpoints
from fcnn.train._epochs import watched
from fcnn.train._finite import keep as keep_state
from fcnn.train._init import init
from fcnn.train._plan import Augment, ShardSize
from fcnn.train._recording import Recording, recording
from fcnn.train._report import Epoch, Report, Run
from fcnn.train._resume import Changes, check_state, refuse_change
from fcnn.train._state import State

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn._folder import Experiment
    from fcnn.data import Examples


@hinting
def fit(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Examples,
    *,
    epochs: int,
    key: Key | None = None,
    batch_size: int = 32,
    drop_last: bool = False,
    validation: Examples | None = None,
    keep_best: bool = False,
    params: Tree | None = None,
    state: State | None = None,
    changed: Changes = (),
    augment: Augment | None = None,
    metrics: Mapping[str, Metric] | None = None,
    shard_size: ShardSize = "auto",
    executor: Executor | None = None,
    jit: bool | None = None,
    log: Callable[[str], object] | None = print,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    keep: int = 1,
    run: str | os.PathLike[str] | Experiment | None = None,
) -> Run:
    """Train a model for some epochs.

    A bar shows each epoch on a terminal or in a notebook; then comes one line with its mean
    loss and metrics (as they were during the epoch), those on ``validation``, and its time.
    For early stopping, or anything else between two epochs, write the loop over
    `fcnn.train.epochs` that this is.

    Batch norm takes its mean and variance from a shard of the batch: by default from 32
    examples or more, if the batch has as many.

    Args:
        model: a layer.
        loss: a loss.
        optimizer: an optimizer.
        data: the examples.
        epochs: the number of passes over the data, counted from the run's first step.
        key: the source of all randomness; may be left out where ``state`` has one.
        batch_size: the number of examples in a batch; an epoch's last batch may have fewer.
        drop_last: leave out a last batch of fewer than ``batch_size`` examples.
        validation: examples to evaluate on after each epoch.
        keep_best: keep the epoch of the lowest validation loss as ``run.best``.
        params: start from these instead of from new ones.
        state: go on from here, whatever the batch size was: ``run.state`` of an earlier run.
        changed: see `fcnn.train.steps`.
        augment: ``(key, inputs) -> inputs``, see `fcnn.train.steps`.
        metrics: functions ``(prediction, target) -> number`` by name; see `fcnn.train.epochs`.
        shard_size: see `fcnn.train.steps`.
        executor: see `fcnn.train.epochs`.
        jit: see `fcnn.value_and_grad`. None: in runs of 64 steps or more from the second step on,
            where model and loss are of this library throughout; shorter runs would not gain.
        log: takes each epoch's line; None is silent, without a bar.
        checkpoint: a file, ``.npz`` or ``.safetensors``, that holds the run after each epoch, with
            the model, the shape of an input and the names of the classes (`fcnn.load_info`).
            Where it is there already, the run goes on from it: the same call again finishes a
            run that was killed, and gives the bits of one that was not. It is replaced at once,
            so it is complete whenever the process ends.
        every: also write it each that many steps.
        keep: the number of checkpoints: ``run.npz``, and the older ``run.1.npz``, ``run.2.npz``.
        run: a folder that gets all that repeats the run, a line for each epoch, the checkpoints
            and a report (see `fcnn.experiment`); or an experiment that is open. The same call
            again goes on from its checkpoint.

    Raises:
        ArgumentError: if an argument is something else.
        MissingKeyError: if there is neither a key nor a state.
        DataError: if there are no data.
        ShapeError: if data, validation data, model and loss do not fit together.
        TreeError: if ``state`` is of another model, optimizer, data set or key, or ``params``
            are not the model's.
        NonFiniteError: if the loss, a parameter or the validation loss is no longer finite. It,
            a KeyboardInterrupt and any other exception have the last good state as their
            attribute ``state``, and a `fcnn.train.Run` with it as their attribute ``run``.
        DataError: if the checkpoint is damaged, or no run.
        ArgumentError: if the folder ``run`` is one of a run with other arguments, or another
            process computes it.
        OSError: if the checkpoint cannot be written; the one before it is as it was.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> loss, sgd = fcnn.losses.softmax_cross_entropy, fcnn.optim.sgd(1.0)
    >>> run = fcnn.fit(fcnn.dense(2), loss, sgd, data, key=fcnn.key(0), epochs=9, log=None)
    >>> run.history[-1].accuracy
    1.0
    """
    whole(epochs, "epochs")
    check_function(log, "log", "of a line")
    if keep_best and validation is None:
        raise ArgumentError("expected validation data for keep_best, got None; pass validation=")
    check_model(model)
    check_loss(loss)
    given = state
    state = _first(model, optimizer, data, key, params, state, changed)
    values = {
        "model": model,
        "loss": loss,
        "optimizer": optimizer,
        "augment": augment,
        "metrics": metrics,
        "data": data,
        "validation": validation,
    }
    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "drop_last": drop_last,
        "shard_size": shard_size,
        "executor": executor,
        "changed": changed,
        "jit": jit,
    }
    kept = {"keep_best": keep_best, "params": params, "state": given, "checkpoint": checkpoint}
    with recording(run, state, values, options | kept) as record:
        files = _files(record.checkpoint if record else checkpoint, every, keep, model, state, data)
        before = None if files is None else files.load()
        if before is not None:
            if given is not None:
                raise ArgumentError(
                    f"expected no state where the checkpoint {files and files.path} has one; "
                    f"leave it out, or remove the file"
                )
            state = _first(model, optimizer, data, key, None, before.state, changed)
        found = _trained(files, record, before, state, keep_best, log, values | options)
        if record is not None:
            record.finish(found)
    return found


def _trained(
    files: Checkpoints | None,
    record: Recording | None,
    before: Run | None,
    state: State,
    keep_best: bool,
    log: Callable[[str], object] | None,
    settings: dict[str, Any],
) -> Run:
    """Return the run from ``state`` on, saved, recorded and logged as it goes."""
    history: list[Report] = [] if before is None else list(before.history)
    best: Epoch | None = None if before is None else before.best

    def watch(state: State) -> None:
        if files is not None and files.is_due(state):
            files.save(Run(state, tuple(history), best))

    found = watched(
        **settings,
        state=state,
        progress=log is not None,
        watch=None if files is None else watch,
    )
    if log is print:  # print into a pipe or a file is held back until 8 KB
        log = functools.partial(print, flush=True)
    try:
        for epoch in found:
            state = epoch.state
            history.append(epoch.report)
            if keep_best and (best is None or _loss(epoch) < _loss(best)):
                best = epoch
            if record is not None:
                record.note(epoch)
            if files is not None:
                files.save(Run(state, tuple(history), best))
            if log is not None:
                log(str(epoch))
    except BaseException as error:
        last = keep_state(error, state)
        if files is not None and isinstance(error, KeyboardInterrupt):
            files.save(Run(last, tuple(history), best))
        with contextlib.suppress(AttributeError, TypeError):  # it takes no attributes
            error.run = Run(last, tuple(history), best)  # type: ignore[attr-defined]
        raise
    return Run(state, tuple(history), best)


def _files(
    checkpoint: str | os.PathLike[str] | None,
    every: int | None,
    keep: int,
    model: Layer,
    state: State,
    data: Examples,
) -> Checkpoints | None:
    if checkpoint is not None:
        return Checkpoints.of(checkpoint, every, keep, model, state, data)
    if every is not None or keep != 1:
        raise ArgumentError("expected a checkpoint for every and keep, got None; pass checkpoint=")
    return None


def _first(
    model: Layer,
    optimizer: Optimizer,
    data: Examples,
    key: Key | None,
    params: Tree | None,
    state: State | None,
    changed: Changes,
) -> State:
    """Return the state to begin with: a new one, or the caller's."""
    if state is None:
        check_key(key)
        return init(model, optimizer, data, cast(Key, key), params=params)
    check_state(state)
    if params is not None:
        raise ArgumentError("expected params or a state, got both; a state has its params")
    if key is None:
        return state
    check_key(key)
    refuse_change("key", key, state.key, changed)
    return attrs.evolve(state, key=key)


def _loss(epoch: Epoch) -> float:
    return math.inf if epoch.validation is None else epoch.validation.loss
