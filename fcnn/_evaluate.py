"""`predict` and `evaluate`: a trained model applied to examples, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

import attrs

from fcnn import _batch, _doors, parallel
from fcnn._check import whole
from fcnn._layer import Layer
from fcnn._record import record
from fcnn._scores import Metric, count_correct, has_classes, measure
from fcnn._stream import BLOCK, WORKERS, Inputs, Pairs, groups, size_of
from fcnn._typing import Array, Tree
from fcnn.parallel._once import Once

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Examples
    from fcnn.losses import Loss

SHARD_SIZE = 64
"""The default size of a shard in evaluation, which no layer's result depends on."""


@record
@attrs.frozen
class Evaluation:
    """How good a model is on a data set; prints as ``0.9712 (9712/10000)``.

    Attributes:
        loss: the mean loss.
        total: the number of examples.
        correct: how many of them have their largest score at their class; None if the targets
            are not classes.
        metrics: the caller's metrics, each of all predictions together.

    >>> from fcnn.train import Evaluation
    >>> print(Evaluation(loss=0.1, total=10000, correct=9712))
    0.9712 (9712/10000)
    >>> print(Evaluation(loss=0.1, total=20, metrics={"r2": 0.75}))
    loss 0.1000  r2 0.7500 (20)
    """

    loss: float
    total: int
    correct: int | None = None
    metrics: Mapping[str, float] = attrs.field(factory=dict, hash=False)

    @property
    def accuracy(self) -> float | None:
        """The fraction classified right; None if the targets are not classes.

        A metric of this name takes its place.
        """
        own = self.metrics.get("accuracy")
        return self.correct / self.total if own is None and self.correct is not None else own

    def __str__(self) -> str:
        metrics = [f"{name} {value:.4f}" for name, value in self.metrics.items()]
        if self.correct is None or "accuracy" in self.metrics:
            return f"{'  '.join([f'loss {self.loss:.4f}', *metrics])} ({self.total})"
        return "  ".join([f"{self.accuracy:.4f} ({self.correct}/{self.total})", *metrics])


class Applied(Once):
    """A model's ``apply``, replayed after some calls of the same shapes.

    It pickles by its arguments, and is one object in each process that it is sent to, so that a
    worker takes what it recorded before.
    """

    def __init__(self, model: Layer, jit: bool | None) -> None:
        super().__init__(model, jit)
        self._apply: Any = model.apply if jit is False else _replayed(model, jit)

    def __call__(self, params: Tree, x: Tree) -> Any:
        """Return the model's output."""
        return self._apply(params, x)


def _replayed(model: Layer, jit: bool | None) -> Callable[..., Any]:
    from fcnn._jit import applied  # `import fcnn` need not import it

    return applied(model, jit)


@overload
def predict(
    model: Layer,
    params: Tree,
    inputs: Array,
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> Array: ...
@overload
def predict(
    model: Layer,
    params: Tree,
    inputs: Tree,
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> Any: ...
@_doors.hinting
def predict(
    model: Layer,
    params: Tree,
    inputs: Tree,
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> Any:
    """Return what the model makes of each example, as in evaluation.

    Args:
        model: a layer.
        params: its parameters.
        inputs: any number of examples, ``(n, ...)``, or a tuple or dict of such arrays, or the
            ``inputs`` of a `fcnn.data.LazyDataset`, which are read meanwhile.
        shard_size: the largest number of examples computed at a time, with one BLAS thread.
        executor: what computes the shards; this thread if None.
        jit: replay what was recorded in earlier calls with the same shapes, of equal models too,
            with the same bits (see `fcnn.jit`). A shard is a call. None: after 100 calls, where
            the model is of this library throughout. True: from the second call on, with layers of
            your own too, see `fcnn.value_and_grad`; of those, calls with the same model object
            count. False: never.

    Raises:
        ArgumentError: if an argument is something else.
        DataError: if there are no examples.
        TreeError: if the params are not the model's.

    >>> import numpy as np, fcnn
    >>> params, _ = fcnn.dense(3).init(fcnn.key(0), (2,))
    >>> fcnn.predict(fcnn.dense(3), params, np.zeros((5, 2), np.float32)).shape
    (5, 3)
    """
    _doors.check_model(model)
    _doors.check_bare(params)
    parts = parts_of(inputs, shard_size)
    function = Applied(model, jit)
    outputs: list[Any] = []
    for shards in groups(inputs, parts, 1 if executor is None else WORKERS):
        outputs += mapped(function, model, params, shards, inputs, executor)
    return _batch.concatenate(outputs)


def mapped(
    function: Callable[[Any, Any], Any],
    model: Layer,
    params: Tree,
    shards: list[Any],
    inputs: Tree,
    executor: Executor | None,
) -> list[Any]:
    """Return the function of each shard; an error is explained by the inputs."""
    try:
        return parallel.map_shards(function, params, shards, executor)
    except Exception as error:
        is_lazy = isinstance(inputs, _batch.LazyRows)
        _doors.explain(error, model, params, _batch.first_of(inputs) if is_lazy else inputs)
        raise


def parts_of(inputs: Tree, shard_size: int) -> list[slice]:
    """Return where the shards are."""
    _doors.check_inputs(inputs)
    return parallel.cut(_batch.length(inputs), whole(shard_size, "shard_size"))


@_doors.hinting
def evaluate(
    model: Layer,
    loss: Loss,
    params: Tree,
    data: Examples,
    *,
    metrics: Mapping[str, Metric] | None = None,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> Evaluation:
    """Return the mean loss on a data set, the metrics, and the accuracy where it has a meaning.

    Accuracy is reported where the targets are classes: whole-number labels ``(n,)``, or rows
    of probabilities ``(n, classes)`` of a data set with ``classes``.

    Args:
        model: a layer.
        loss: a loss.
        params: the model's parameters.
        data: the examples. Those that are not in memory are read meanwhile; their predictions
            are kept for the metrics alone.
        metrics: functions ``(prediction, target) -> number`` by name, each called once with
            all predictions.
        shard_size: see `fcnn.predict`.
        executor: see `fcnn.predict`.
        jit: see `fcnn.predict`.

    Raises:
        ArgumentError: if an argument is something else, or a metric returns no number.
        DataError: if there are no examples.
        NonFiniteError: if a metric or the accuracy would be of NaN.
        TreeError: if the params are not the model's.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (2,))
    >>> data = Dataset(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))
    >>> loss = fcnn.losses.softmax_cross_entropy
    >>> print(fcnn.evaluate(fcnn.dense(2), loss, params, data))
    1.0000 (4/4)
    """
    _doors.check_model(model)
    _doors.check_loss(loss)
    _doors.check_data(data)
    held: Any = data
    functions = _doors.check_metrics(metrics)
    if _batch.is_streamed(data):
        function, inputs = Applied(model, jit), Inputs(data)

        def apply(shards: list[Any]) -> list[Any]:
            return mapped(function, model, params, shards, inputs, executor)

        _doors.check_bare(params)
        parts = parallel.cut(len(data), whole(shard_size, "shard_size"))
        least = 1 if executor is None else WORKERS
        return _streamed(apply, loss, data, functions, parts, least)
    prediction = predict(
        model, params, held.inputs, shard_size=shard_size, executor=executor, jit=jit
    )
    correct = count_correct(prediction, held.targets) if has_classes(held) else None
    measured = measure(functions, prediction, held.targets)
    return Evaluation(loss.apply(prediction, held.targets), len(held), correct, measured)


def _streamed(
    apply: Callable[[list[Any]], list[Any]],
    loss: Loss,
    data: Examples,
    metrics: Mapping[str, Metric],
    parts: list[slice],
    least: int,
) -> Evaluation:
    """Evaluate on data that are not in memory.

    Loss and correct predictions are added up whenever the predictions fill a block, so that the
    bits of the loss are those of data in memory if all predictions fit into one. Metrics need
    all predictions.
    """
    has = has_classes(data)
    sums: list[tuple[float, int]] = []
    correct: int | None = 0 if has else None
    measured: dict[str, float] = {}
    predictions: list[Any] = []
    targets: list[Any] = []
    seen = 0
    for shards in groups(Pairs(data), parts, least):
        predictions += apply([x for x, _ in shards])
        targets += [target for _, target in shards]
        seen += sum(_batch.length(target) for _, target in shards)
        is_last = seen == len(data)
        if not is_last and (metrics or size_of(predictions) < BLOCK):
            continue
        prediction, target = _batch.concatenate(predictions), _batch.concatenate(targets)
        sums.append((loss.apply(prediction, target), _batch.length(target)))
        found = count_correct(prediction, target) if has else None
        correct = None if correct is None or found is None else correct + found
        measured = measure(metrics, prediction, target)
        predictions, targets = [], []
    if len(sums) == 1:
        return Evaluation(sums[0][0], len(data), correct, measured)
    return Evaluation(sum(value * n for value, n in sums) / len(data), len(data), correct, measured)
