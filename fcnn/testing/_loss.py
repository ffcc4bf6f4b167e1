"""The laws that a loss obeys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn._value import Value
from fcnn.losses import Loss
from fcnn.prng import Key
from fcnn.testing._compare import DTYPES, KEY, gap_between, rounding, value_problem
from fcnn.testing._vjp import check_vjp


def check_loss(
    loss: Loss,
    prediction: Array,
    target: Any,
    *,
    key: Key = KEY,
    step: float = 1e-7,
    rtol: float = 1e-5,
) -> None:
    """Hold a loss to everything that fcnn relies on in a loss.

    - *vjp*'s value is apply's value, bit for bit, and a Python float.
    - *gradient*: ``pullback(1)`` is the derivative (see `check_vjp`).
    - *linear*: the pullback is linear in dvalue.
    - *dtype*: dprediction has the prediction's shape and dtype, float32 or float64.
    - *purity*: nothing that is passed in is changed; the same bits come out twice.
    - *mean*: the loss of a batch is the mean of its examples' losses, without which the
      gradients of shards would not average to the gradient of the batch.
    - *value*: the loss pickles, equals its copy, and prints as the call that makes it.

    Args:
        loss: the loss.
        prediction: where to check; not at a kink or at the edge of what the loss takes.
        target: what the loss compares it with.
        key: where the directions come from.
        step: as in `check_vjp`.
        rtol: as in `check_vjp`.

    Raises:
        AssertionError: naming the loss, the law and what was seen.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_cross_entropy
    >>> from fcnn.testing import check_loss
    >>> check_loss(softmax_cross_entropy, np.array([[1.0, 2.0], [0.0, 5.0]]), np.array([0, 1]))
    """
    problems = _loss_problems(loss, np.asarray(prediction), np.asarray(target), key, step, rtol)
    for law, problem in problems:
        if problem:
            raise AssertionError(f"{loss!r} breaks the law {law!r}: {problem}")


def _loss_problems(
    loss: Loss, prediction: Array, target: Array, key: Key, step: float, rtol: float
) -> Iterator[tuple[str, str]]:
    p: Array
    for dtype in DTYPES:
        p, t = prediction.astype(dtype), target.copy()
        before = tree.digest((p, t))
        value, pullback = loss.vjp(p, t)
        plain = loss.apply(p, t)
        if type(value) is not float or type(plain) is not float:
            yield "vjp", f"a value is a Python float, and {type(value).__name__} came"
        if value != plain and not (np.isnan(value) and np.isnan(plain)):
            yield "vjp", f"apply gives {plain!r}, and vjp {value!r}"
        dp = pullback(1.0)
        if dp.dtype != dtype or dp.shape != p.shape:
            yield "dtype", f"{dtype} {p.shape} went in, and {dp.dtype} {dp.shape} came out"
        if (gap := gap_between(pullback(-2.5), -2.5 * dp)) > rounding(dtype):
            yield "linear", f"pullback(-2.5) and -2.5 · pullback(1) are {gap:.3g} apart"
        if tree.digest(pullback(1.0)) != tree.digest(dp):
            yield "purity", "a pullback called twice gives different bits"
        if tree.digest((p, t)) != before:
            yield "purity", "the prediction or the target was changed"
        p.flags.writeable = t.flags.writeable = False
        if tree.digest((loss.apply(p, t), loss.vjp(p, t)[1](1.0))) != tree.digest((value, dp)):
            yield "purity", "the same arguments gave different bits"
        singles = [loss.apply(p[i : i + 1], t[i : i + 1]) for i in range(len(p))]
        if (gap := gap_between(np.array(value), np.array(np.mean(singles)))) > rounding(dtype):
            yield "mean", f"the examples' mean and the batch's loss are {gap:.3g} apart"

    def vjp(p: Array) -> tuple[float, Callable[[float], Sequence[Tree]]]:
        value, pullback = loss.vjp(p, target)
        return value, lambda dvalue: (pullback(dvalue),)

    try:
        check_vjp(
            lambda p: loss.apply(p, target),
            vjp,
            prediction,
            key=key,
            step=step,
            rtol=rtol,
            scale=float(np.max(np.abs(prediction), initial=0)),
            names=("the prediction",),
        )
    except AssertionError as error:
        yield "gradient", str(error)
    if isinstance(loss, Value):
        yield "value", value_problem(loss)
