"""Laws of gradients: against differences, linear, in float32 as in float64, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._typing import Array, Tree
from fcnn.prng import fold_in
from fcnn.testing._compare import DTYPES, gap_between, largest, numbers, places, rounding
from fcnn.testing._float32 import float32_problem
from fcnn.testing._layer_case import Case
from fcnn.testing._memory import fresh
from fcnn.testing._vjp import check_vjp


def gradient_problems(case: Case) -> Iterator[str]:
    """Check the pullback against differences, at every batch length and where inputs tie."""
    for n in case.sizes:
        differences(case, n, directions=3 if n == case.batch else 1)
    x = case.x()
    if isinstance(x, np.ndarray) and x.ndim >= 3 and x.dtype.kind == "f":
        _ties(case, x)
    yield ""


def differences(case: Case, n: int, directions: int) -> None:
    """Compare the pullback with differences for n examples.

    Raises:
        AssertionError: if they differ.
    """
    x = case.x(n)
    try:
        _check(
            case, case.apply, case.vjp, case.params, x, names=("params", "x"), directions=directions
        )
    except AssertionError as error:
        raise AssertionError(f"for {n} example(s), {error}") from None


def _ties(case: Case, x: Array) -> None:
    """Check where a channel's inputs are equal and move together.

    Whichever of them a maximum picks, the derivative is the same: a tie counts exactly once.
    """
    axes = tuple(range(1, x.ndim - 1))
    corner: tuple[Any, ...] = (slice(None), *(0 for _ in axes))

    def spread(a: Array) -> Array:
        return np.array(np.broadcast_to(np.expand_dims(a, axes), x.shape))

    def vjp(a: Array) -> tuple[Tree, Callable[[Tree], Sequence[Tree]]]:
        y, pullback = case.vjp(case.params, spread(a))
        return y, lambda dy: (pullback(dy)[1].sum(axis=axes),)

    name = "an x that is constant over each channel"
    _check(case, lambda a: case.apply(case.params, spread(a)), vjp, x[corner], names=(name,))


def _check(
    case: Case, f: Any, vjp: Any, *args: Tree, names: tuple[str, ...], directions: int = 3
) -> None:
    """Call `check_vjp`; on a failure look along other directions.

    Of the many elements of a network one may be so near a kink of relu or max-pooling that a
    step crosses it. That depends on the direction; a wrong pullback is wrong along all.
    """
    for attempt in range(3):
        try:
            check_vjp(
                f,
                vjp,
                *args,
                key=case.key if attempt == 0 else fold_in(case.key, 50 + attempt),
                step=case.step,
                rtol=case.rtol,
                directions=directions,
                scale=largest(args[-1]),
                names=names,
            )
        except AssertionError:
            if attempt == 2:
                raise
        else:
            return


def linear_problems(case: Case) -> Iterator[str]:
    """Check that the pullback is linear in dy, and no observation depends on dy."""
    for n in {case.batch, case.many}:
        y, pullback = case.vjp(case.params, case.x(n))
        one, two = case.dy(y), case.dy(y, 1)
        both = tree.map(lambda a, b: 2 * a - 3000 * b, one, two)
        first, second, together = pullback(one), pullback(two), pullback(both)
        expected = tree.map(lambda a, b: 2 * a - 3000 * b, first, second, statistic=_first)
        gap, name = _worst(expected, together)
        if not gap <= 1e-9:
            yield (
                f"the pullback is not linear in dy, or what it gives for a statistic depends on "
                f"dy: {name} is off by {gap:.3g} of the largest gradient"
            )


def _first(a: Any, b: Any) -> Any:
    return a


def _worst(expected: Any, got: Any) -> tuple[float, str]:
    """Return the largest gap relative to the largest gradient, and where it is."""
    scale = largest(expected) or 1.0
    rows = zip(places(expected), numbers(expected), numbers(got), strict=True)
    gaps = [(float(np.max(np.abs(a - b), initial=0)) / scale, name) for name, a, b in rows]
    return max(gaps, key=lambda row: np.inf if np.isnan(row[0]) else row[0], default=(0.0, ""))


def float32_problems(case: Case) -> Iterator[str]:
    """Check that y and gradients in float32 are those of float64, but for rounding."""
    for n in case.sizes:
        problem = ""
        # Rounding may carry an element over a kink of relu: a fault shows at every draw.
        for draw in range(3):
            problem = float32_problem(case, n, draw)
            if not problem:
                break
        yield problem


def batch_problems(case: Case) -> Iterator[str]:
    """Check that in evaluation the examples of a batch do not see each other."""
    if case.ctx.train:
        return
    for dtype in DTYPES:
        for n in (2, 5, case.many):
            params, x = case.at(dtype, n)
            y, pullback = case.vjp(params, x)
            dy = case.dy(y)
            dparams, dx = pullback(dy)
            parts = [slice(0, 1), slice(1, 3), slice(3, n)]
            parts = [part for part in parts if part.start < min(part.stop, n)]
            ys, dxs, total = [], [], None
            for part in parts:
                its_y, its_pullback = case.vjp(params, fresh(_batch.take(x, part)))
                its_dparams, its_dx = its_pullback(_batch.take(dy, part))
                ys.append(its_y)
                dxs.append(its_dx)
                total = its_dparams if total is None else _add(total, its_dparams)
            if (gap := gap_between(y, _batch.concatenate(ys))) > rounding(dtype):
                yield f"y of {n} examples and y of its parts are {gap:.3g} apart"
            if (gap := gap_between(dx, _batch.concatenate(dxs))) > rounding(dtype):
                yield f"dx of {n} examples and dx of its parts are {gap:.3g} apart"
            if (gap := gap_between(_weights(dparams), _weights(total))) > rounding(dtype):
                yield f"dparams of {n} examples and the sum over its parts are {gap:.3g} apart"


def _weights(dparams: Tree) -> list[Any]:
    """Return the gradients of weights."""
    return [leaf for leaf in tree.leaves(dparams) if not isinstance(leaf, tree.Observation)]


def _add(total: Tree, more: Tree) -> Tree:
    return tree.map(np.add, total, more, statistic=_first)


def input_grad_problems(case: Case) -> Iterator[str]:
    """Check that y and dparams are the same without dx."""
    ctx = attrs.evolve(case.ctx, input_grad=False)
    for dtype in DTYPES:
        for n in case.sizes:
            params, x = case.at(dtype, n)
            y, pullback = case.vjp(params, x)
            bare_y, bare_pullback = case.vjp(params, x, ctx)
            expected, got = pullback(case.dy(y))[0], bare_pullback(case.dy(y))[0]
            if tree.digest(y) != tree.digest(bare_y):
                yield "without dx, y has different bits"
            if tree.structure(expected) != tree.structure(got):
                yield "without dx, dparams has another structure"
            if (gap := gap_between(expected, got)) > rounding(dtype):
                yield f"with and without dx, dparams are {gap:.3g} apart"
