"""`calibrate`: running statistics made new from one pass over some examples."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from fcnn import _doors, tree
from fcnn._evaluate import SHARD_SIZE, mapped, parts_of
from fcnn._layer import Layer, training
from fcnn._stream import WORKERS, groups
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")


def _observe_shard(model: Layer, key: Key | None, params: T, shard: tuple[Any, int]) -> T:
    x, i = shard
    y, pullback = model.vjp(params, x, training(None if key is None else fold_in(key, i)))
    dparams: T = pullback(tree.zeros_like(y))[0]
    return dparams


def calibrate(
    model: Layer,
    params: T,
    inputs: Tree,
    *,
    key: Key | None = None,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
) -> T:
    """Replace the statistics by the mean of what each shard shows, in one pass.

    Args:
        model: a layer.
        params: its parameters.
        inputs: the examples to observe.
        key: the source of randomness, where the model has dropout.
        shard_size: the largest number of examples observed at a time; shards are of equal
            size, or differ by one example, and weigh as many examples as they have.
        executor: what computes the shards; this thread if None.

    Raises:
        ArgumentError: if an argument is something else.
        DataError: if there are no examples.
        TreeError: if the params are not the model's.

    >>> import numpy as np, fcnn
    >>> model = fcnn.batch_norm()
    >>> params, _ = model.init(fcnn.key(0), (1,))
    >>> x = np.array([[1.0], [3.0]], np.float32)
    >>> fcnn.train.calibrate(model, params, x).mean
    array([2.], dtype=float32)
    """
    _doors.check_model(model)
    if key is not None:
        _doors.check_key(key)
    _doors.check_bare(params)
    parts = parts_of(inputs, shard_size)
    weights = [(part.stop - part.start) / parts[-1].stop for part in parts]
    observe = functools.partial(_observe_shard, model, key)
    seen: list[Any] = []
    for shards in groups(inputs, parts, 1 if executor is None else WORKERS):
        numbered = [(x, len(seen) + i) for i, x in enumerate(shards)]
        seen += mapped(observe, model, params, numbered, inputs, executor)

    def observed(stored: Array, *observations: tree.Observation) -> Array:
        return tree.average(observations, weights).value.astype(stored.dtype, copy=False)

    return tree.map(lambda stored, *_: stored, params, *seen, statistic=observed)
