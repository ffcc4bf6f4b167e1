"""A pullback against the differences of its function.

A derivative is checked against the function itself. For y = f(a) with Jacobian J, a
direction v at the input and a gradient dy at the output, the pullback's claim is that

    <Jᵀ dy, v>  =  <dy, J v>  ≈  <dy, f(a + h·v) - f(a - h·v)> / 2h

The left side is the pullback's, the right side asks nothing of it but y; one random v
and one random dy see every entry of J at once. In float64 with h = 1e-7 the difference
quotient is good to about 1e-9, and the step is too short to reach over a kink of relu
or max-pooling by accident.

Source: A. Griewank and A. Walther, "Evaluating derivatives", 2nd ed., 2008, chapter 3,
https://doi.org/10.1137/1.9780898717761; the check along random directions is that of
autograd's ``test_util``, https://github.com/HIPS/autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import KEY, misfit, normal


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., tuple[Any, Callable[[Any], Sequence[Tree]]]],
    *args: Tree,
    key: Key = KEY,
    step: float = 1e-7,
    rtol: float = 1e-5,
    directions: int = 3,
    scale: float = 0.0,
    names: Sequence[str] = (),
) -> None:
    """Compare a pullback with central differences, along random directions, in float64.

    ``<Jᵀ dy, v> ≈ <dy, f(a + h·v) - f(a - h·v)> / 2h`` for ``directions`` draws of v and
    dy, for each leaf of each argument by itself: a leaf that is small beside the others
    is not lost in their sum, and the message can name it. Statistics are passed over,
    because what a pullback returns for them is no derivative (see `fcnn.tree`).

    Args:
        f: ``f(*args) -> y``, an array or a number.
        vjp: ``vjp(*args) -> (y, pullback)``, ``pullback(dy) -> one gradient an argument``.
        *args: where to check: trees, whose floating-point arrays are cast to float64.
        key: where the directions come from.
        step: h. A longer one reaches over kinks, a shorter one drowns in rounding.
        rtol: how much the two sides may differ, relative to the larger; what rounding
            alone can do to the difference quotient is allowed for besides.
        directions: how many draws for each leaf.
        scale: the size of the numbers that f computes with, where y is their small
            difference: their rounding is allowed for.
        names: what to call the arguments in messages.

    Raises:
        AssertionError: if the pullback is not the transpose of f's Jacobian.

    >>> import numpy as np
    >>> from fcnn.testing import check_vjp
    >>> x = np.array([0.3, 0.7])
    >>> check_vjp(np.sin, lambda x: (np.sin(x), lambda dy: (dy * np.cos(x),)), x)
    >>> check_vjp(np.sin, lambda x: (np.sin(x), lambda dy: (dy * 1.001 * np.cos(x),)), x)
    Traceback (most recent call last):
    AssertionError: the pullback is wrong for argument 0: ...
    """
    at = tuple(tree.astype(arg, np.float64) for arg in args)
    called = [*names, *(f"argument {i}" for i in range(len(names), len(at)))]
    for draw in range(directions):
        y, pullback = vjp(*at)
        dy = normal(fold_in(fold_in(key, draw), 0), np.shape(y))
        grads = tuple(pullback(dy if np.ndim(y) else float(dy)))
        if len(grads) != len(at):
            raise AssertionError(
                f"the pullback must return one gradient an argument, {len(at)}, "
                f"and {len(grads)} came"
            )
        for name, arg, grad in zip(called, at, grads, strict=True):
            if problem := misfit(arg, grad):
                raise AssertionError(f"the gradient of {name} does not fit it: {problem}")
        for i, (name, moved) in enumerate(_moves(at, called, fold_in(key, draw), step)):
            ahead, behind = moved(+1), moved(-1)
            # The step as it was taken, after rounding: then the sum's rounding costs nothing.
            taken = tree.map(np.subtract, ahead, behind)
            claimed = _inner(grads, taken) / (2 * step)
            change = np.asarray(f(*ahead)) - np.asarray(f(*behind))
            seen = float(np.vdot(dy, change)) / (2 * step)
            # Rounding errs by eps times what was computed with, which 1/h magnifies, and by
            # eps in each step.
            eps, length = 64 * np.finfo(np.float64).eps, np.sqrt(_inner(taken, taken))
            largest = max(scale, float(np.max(np.abs(y), initial=0)))
            noise = eps * float(np.linalg.norm(dy)) * (largest + length) / step
            if not abs(claimed - seen) <= rtol * max(abs(claimed), abs(seen)) + noise:
                raise AssertionError(
                    f"the pullback is wrong for {name}: along random direction {draw} it says "
                    f"{claimed:.9g}, and differences say {seen:.9g} (ratio "
                    f"{claimed / seen if seen else np.inf:.6g}, step {step:g}, leaf {i})"
                )


def _inner(a: Tree, b: Tree) -> float:
    pairs = zip(tree.leaves(a), tree.leaves(b), strict=True)
    return float(sum(np.vdot(x, y) for x, y in pairs))


def _moves(
    at: tuple[Tree, ...], called: Sequence[str], key: Key, step: float
) -> Iterator[tuple[str, Callable[[int], tuple[Tree, ...]]]]:
    """For each leaf that may be moved, its name and a function that moves it by ±step·v."""
    found, shape = tree.flatten(at)
    places = zip(found, tree.paths(at), tree.statistics(at), strict=True)
    for i, (leaf, path, is_statistic) in enumerate(places):
        if is_statistic or np.asarray(leaf).dtype.kind != "f" or np.size(leaf) == 0:
            continue
        offset = step * normal(fold_in(key, i + 1), np.shape(leaf))
        number, _, rest = path[1:].partition("]")

        def moved(sign: int, i: int = i, offset: Array = offset) -> tuple[Tree, ...]:
            leaves = [np.asarray(leaf) for leaf in found]
            leaves[i] = leaves[i] + sign * offset
            return tree.unflatten(shape, leaves)

        yield called[int(number)] + rest, moved
