"""The laws that a loss obeys."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._typing import Tree
from fcnn._value import Value
from fcnn.losses import Loss
from fcnn.prng import Key, fold_in
from fcnn.testing._case import LARGE, fresh, overwrite, writeable
from fcnn.testing._compare import (
    DTYPES,
    gap_between,
    is_float,
    largest,
    misfit,
    numbers,
    rounding,
)
from fcnn.testing._float32 import compare
from fcnn.testing._globals import global_problem
from fcnn.testing._law import CALLS, KEY, Law, calls_problem, enforce, findings
from fcnn.testing._points import ELEMENTS, MANY
from fcnn.testing._value import importable, value_problem
from fcnn.testing._vjp import check_vjp


def check_loss(
    loss: Loss,
    prediction: Tree,
    target: Any,
    *,
    key: Key = KEY,
    step: float = 1e-7,
    rtol: float = 1e-5,
    calls: int = CALLS,
    skip: Collection[str] = (),
) -> None:
    """Hold a loss to everything that fcnn relies on in a loss.

    - *vjp*: its value is apply's, bit for bit, and a finite Python float.
    - *purity*: nothing that is passed in is changed; the same bits come out again, whatever
      is called in between, from read-only arrays too, and nearly the same numbers from
      arrays in another memory layout.
    - *globals*: no global generator is drawn from, seeded or read; NumPy's settings stay.
    - *aliases*: dprediction shares no memory with the arguments or with what the pullback reads.
    - *dtype*: dprediction has the prediction's structure, shapes and dtype.
    - *linear*: the pullback is linear in dvalue.
    - *gradient*: ``pullback(1)`` is the derivative (see `check_vjp`), for batches of 1, 2, 5,
      the one given and more than 16, with more than a thousand elements, and at ten times the
      prediction where that holds numbers outside [0, 1].
    - *float32*: value and gradient in float32 are those in float64, but for rounding.
    - *mean*: the loss of a batch is the mean of its examples' losses; without that the
      gradients of shards do not average to the gradient of the batch.
    - *calls*: ``calls`` calls in a row give the same bits.
    - *value*: the loss pickles, equals its copy, and prints as the call that makes it.

    Args:
        loss: the loss.
        prediction: where to check, an array or a tuple or dict of arrays; not at a kink or at
            the edge of what the loss takes. Other batches repeat its examples.
        target: what the loss compares it with.
        key: where the directions come from.
        step: as in `check_vjp`.
        rtol: as in `check_vjp`.
        calls: how often the law *calls* calls.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the loss, the law and what was seen.
        ArgumentError: if ``skip`` names no law.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_cross_entropy
    >>> from fcnn.testing import check_loss
    >>> check_loss(softmax_cross_entropy, np.array([[1.0, 2.0], [0.0, 5.0]]), np.array([0, 1]))
    """
    p = tree.astype(_as_arrays(prediction), np.float64)
    case = LossCase(loss, p, _as_arrays(target), key, step, rtol, calls)
    enforce(loss, findings(LAWS, [("", case)], skip))


def _as_arrays(values: Tree) -> Tree:
    return np.asarray(values) if isinstance(values, list) else tree.map(np.asarray, values)


@attrs.frozen
class LossCase:
    """A loss and where to look at it."""

    loss: Any
    prediction: Tree
    target: Tree
    key: Key
    step: float
    rtol: float
    calls: int

    @property
    def n(self) -> int:
        """The number of examples that were given."""
        return _batch.length(self.prediction)

    @property
    def sizes(self) -> list[int]:
        """The batch lengths to check."""
        size = max(array.size for array in numbers(self.prediction)) // self.n
        return sorted({1, 2, 5, self.n, max(MANY, math.ceil(ELEMENTS / max(1, size)))})

    @property
    def scales(self) -> tuple[float, ...]:
        """What to multiply the prediction by: probabilities are left as they are."""
        arrays = [array for array in numbers(self.prediction) if array.size]
        bounded = all(np.min(array) >= 0 and np.max(array) <= 1 for array in arrays)
        return (1.0,) if bounded else (1.0, LARGE)

    def at(self, dtype: Any, n: int | None = None, scale: float = 1.0) -> tuple[Tree, Tree]:
        """Return n examples, repeated in turn, in memory of their own."""
        index = np.arange(self.n if n is None else n) % self.n
        p = tree.map(lambda a: scale * a if is_float(a) else a, _batch.take(self.prediction, index))
        return fresh(p, dtype), fresh(_batch.take(self.target, index))

    def moved(self, dtype: Any) -> Tree:
        """Return another prediction for the same target."""
        counter = itertools.count()

        def move(a: Any) -> Any:
            mixed = a[::-1] if len(a) > 1 else a * (1 - 0.01 * (1 + next(counter)))
            return np.array(mixed)

        return tree.astype(tree.map(move, self.prediction), dtype)


def _vjp_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        for n in case.sizes:
            p, t = case.at(dtype, n)
            value, plain = case.loss.vjp(p, t)[0], case.loss.apply(p, t)
            for each in (value, plain):
                if type(each) is not float:
                    yield f"expected a Python float as value, got {type(each).__name__}"
                if not math.isfinite(each):
                    yield f"the value of finite arguments is {each} in {dtype}"
            if value != plain:
                yield f"apply gives {plain!r}, and vjp {value!r}"


def _dtype_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        for n in case.sizes:
            p, t = case.at(dtype, n)
            for dvalue in (1.0, 0.25, 1):
                dp = case.loss.vjp(p, t)[1](dvalue)
                if problem := misfit(p, dp):
                    yield f"dprediction: {problem}"
                for array in numbers(dp):
                    if array.dtype != dtype:
                        yield f"{dtype} went in, and dprediction is {array.dtype}"
                    if not np.isfinite(array).all():
                        yield f"dprediction is not finite in {dtype} for finite arguments"


def _linear_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        p, t = case.at(dtype)
        _, pullback = case.loss.vjp(p, t)
        dp = pullback(1.0)
        for factor in (-2.5, 0.0, 1e3):
            expected = tree.map(lambda d, f=factor: f * d, dp)
            if (gap := gap_between(pullback(factor), expected)) > rounding(dtype):
                yield f"pullback({factor}) and {factor} · pullback(1) are {gap:.3g} apart"


def _purity_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        p, t = case.at(dtype)
        before = tree.digest((p, t))
        outputs = []
        for read_only in (False, False, True):
            if read_only:
                for leaf in writeable((p, t)):
                    leaf.flags.writeable = False
            value, pullback = case.loss.vjp(p, t)
            dp = pullback(1.0)
            outputs.append(tree.digest((case.loss.apply(p, t), value, dp)))
            if tree.digest(pullback(1.0)) != tree.digest(dp):
                yield "a pullback called twice gives different bits"
            if tree.digest((p, t)) != before:
                yield "the prediction or the target was changed"
        if len(set(outputs)) > 1:
            yield "the same arguments gave different bits"
        yield _between_others(case, dtype)
        yield _other_layout(case, dtype)


def _between_others(case: LossCase, dtype: Any) -> str:
    p, t = case.at(dtype)
    value, pullback = case.loss.vjp(p, t)
    dp = pullback(1.0)
    kept = tree.digest((value, dp))
    later_value, later = case.loss.vjp(p, t)
    pullback(3.0)
    for each, target in ((case.moved(dtype), t), case.at(dtype, case.n + 1), case.at(DTYPES[0])):
        case.loss.apply(each, target)
        case.loss.vjp(each, target)[1](2.0)
    if tree.digest((value, dp)) != kept:
        return "later calls overwrite results that were returned before"
    if tree.digest((later_value, later(1.0))) != kept:
        return "a vjp call changes what the pullback of an earlier one returns"
    return ""


def _other_layout(case: LossCase, dtype: Any) -> str:
    p, t = case.at(dtype)
    value, pullback = case.loss.vjp(p, t)
    laid = tree.map(np.asfortranarray, p)
    its_value, its_pullback = case.loss.vjp(laid, tree.map(np.asfortranarray, t))
    if (gap := gap_between((its_value,), (value,))) > rounding(dtype):
        return f"Fortran-ordered arrays give a value {gap:.3g} apart from contiguous ones"
    if (gap := gap_between(its_pullback(1.0), pullback(1.0))) > rounding(dtype):
        return f"Fortran-ordered arrays give a gradient {gap:.3g} apart from contiguous ones"
    return ""


def _alias_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        p, t = case.at(dtype)
        _, pullback = case.loss.vjp(p, t)
        dp = pullback(1.0)
        expected, given = tree.digest(dp), tree.digest((p, t))
        overwrite(dp)
        if tree.digest(pullback(1.0)) != expected:
            yield "writing into dprediction changes what the pullback returns next; return a copy"
        if tree.digest((p, t)) != given:
            yield "writing into dprediction changes the prediction or target; return a copy"


def _global_problems(case: LossCase) -> Iterator[str]:
    def run() -> str:
        p, t = case.at(np.float32)
        value, pullback = case.loss.vjp(p, t)
        return tree.digest((case.loss.apply(p, t), value, pullback(1.0)))

    yield global_problem(run)


def _gradient_problems(case: LossCase) -> Iterator[str]:
    for scale in case.scales:
        for n in case.sizes:
            p, t = case.at(np.float64, n, scale)
            yield _differences(case, p, t, 3 if n == case.n else 1, f"for {n} example(s)")


def _differences(case: LossCase, p: Tree, t: Tree, directions: int, where: str) -> str:
    def vjp(p: Tree) -> tuple[float, Callable[[float], Sequence[Tree]]]:
        value, pullback = case.loss.vjp(p, t)
        return value, lambda dvalue: (pullback(dvalue),)

    try:
        check_vjp(
            lambda p: case.loss.apply(p, t),
            vjp,
            p,
            key=case.key,
            step=case.step,
            rtol=case.rtol,
            directions=directions,
            scale=largest(p),
            names=("the prediction",),
        )
    except AssertionError as error:
        return f"{where}, {error}"
    return ""


def _float32_problems(case: LossCase) -> Iterator[str]:
    for scale in case.scales:
        for n in case.sizes:
            p, given = case.at(np.float32, n, scale)
            t = tree.astype(given, np.float32)

            def run(p: Tree, t: Tree = t) -> list[Tree]:
                value, pullback = case.loss.vjp(p, t)
                return [value, pullback(1.0)]

            names = [["the value"], [f"dprediction{path}" for path in tree.paths(p)]]
            size = max(1.0, largest(p), largest([a for a in tree.leaves(t) if is_float(a)]))
            yield compare(run, (p,), names, fold_in(case.key, 7), size)


def _mean_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        for n in case.sizes:
            p, t = case.at(dtype, n)
            pieces = [slice(i, i + 1) for i in range(min(n, 8))] + [slice(8, n)] * (n > 8)
            values = [case.loss.apply(_batch.take(p, s), _batch.take(t, s)) for s in pieces]
            weights = [s.stop - s.start for s in pieces]
            mean = np.average(values, weights=weights)
            gap = gap_between((case.loss.apply(p, t),), (mean,))
            if gap > rounding(dtype):
                yield f"the examples' mean and the batch's loss are {gap:.3g} apart, for {n}"


def _call_problems(case: LossCase) -> Iterator[str]:
    p, t = case.at(np.float32, 1)

    def call() -> bytes:
        value, pullback = case.loss.vjp(p, t)
        results = (case.loss.apply(p, t), value, pullback(1.0))
        return b"".join([array.tobytes() for array in numbers(results)])

    yield calls_problem(call, case.calls)


def _value_problems(case: LossCase) -> Iterator[str]:
    yield value_problem(case.loss)
    p, t = case.at(np.float32)
    value = case.loss.apply(p, t)
    if isinstance(case.loss, Loss) and case.loss(p, t) != value:
        yield "calling it and its apply give different values"
    if isinstance(case.loss, Value) and importable(case.loss):
        copy = pickle.loads(pickle.dumps(case.loss))
        if copy.apply(p, t) != value:
            yield "its copy by pickle gives another value"


LAWS = (
    Law("vjp", "a Python float, apply's bit for bit", _vjp_problems),
    Law("purity", "arguments unchanged, same bits again", _purity_problems),
    Law("globals", "no global generator is used", _global_problems),
    Law("aliases", "no shared memory", _alias_problems),
    Law("dtype", "dprediction is as the prediction", _dtype_problems),
    Law("linear", "the pullback is linear in dvalue", _linear_problems),
    Law("gradient", "the derivative", _gradient_problems),
    Law("float32", "as float64, but for rounding", _float32_problems),
    Law("mean", "the mean of the examples' losses", _mean_problems),
    Law("calls", "the same bits, call after call", _call_problems),
    Law("value", "pickles, compares, prints as its call", _value_problems),
)
