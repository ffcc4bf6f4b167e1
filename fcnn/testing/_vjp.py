"""A pullback against the differences of its function.

For y = f(a) with Jacobian J, a direction v at the input and a gradient dy at the output, the
pullback claims that

    <Jᵀ dy, v>  =  <dy, J v>  ≈  <dy, f(a + h·v) - f(a - h·v)> / 2h

The left side is the pullback's; the right side needs f alone. One random v and one random dy
depend on every entry of J. In float64 with h = 1e-7 the difference quotient has about nine
digits, and a step so short rarely crosses a kink of relu or max-pooling.

Source: A. Griewank and A. Walther, "Evaluating derivatives", 2nd ed., 2008, chapter 3,
https://doi.org/10.1137/1.9780898717761; the check along random directions is that of
autograd's ``test_util``, https://github.com/HIPS/autograd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import aligned, is_float, largest, misfit
from fcnn.testing._law import KEY, normal

EPS = float(np.finfo(np.float64).eps)


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

    ``<Jᵀ dy, v> ≈ <dy, f(a + h·v) - f(a - h·v)> / 2h`` for ``directions`` draws of v and dy,
    and for each leaf of each argument by itself, so that a small leaf is not lost in the sum
    and the message can name it. Whole numbers and statistics are not moved: neither has a
    derivative (see `fcnn.tree`).

    Args:
        f: ``f(*args) -> y``, a number, an array or a tree of arrays.
        vjp: ``vjp(*args) -> (y, pullback)``, ``pullback(dy) -> one gradient per argument``.
        *args: where to check: trees, whose floating-point arrays are cast to float64.
        key: where the directions come from.
        step: h. A longer one crosses kinks, a shorter one loses digits to rounding.
        rtol: the allowed difference of the two sides, relative to the larger; the rounding
            of the difference quotient is allowed for besides.
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
        drawn = fold_in(key, draw)
        y, pullback = vjp(*at)
        dy = gradient_like(y, fold_in(drawn, 0))
        grads = tuple(pullback(dy))
        if len(grads) != len(at):
            raise AssertionError(
                f"expected one gradient for each of {len(at)} arguments, got {len(grads)}"
            )
        for name, arg, grad in zip(called, at, grads, strict=True):
            if problem := misfit(arg, grad):
                raise AssertionError(f"the gradient of {name} does not fit it: {problem}")
        for move in _moves(at, grads, called, drawn, step):
            _compare(f, move, y, dy, draw, step, rtol, scale)


def gradient_like(y: Tree, key: Key) -> Tree:
    """Draw a gradient for each leaf of y, in its dtype; a number for a number."""
    drawn = iter(range(1_000_000))

    def draw(leaf: Any) -> Any:
        dy = normal(fold_in(key, next(drawn)), np.shape(leaf))
        return dy.astype(np.asarray(leaf).dtype) if np.ndim(leaf) else float(dy)

    return tree.map(draw, y)


class _Move(NamedTuple):
    """One leaf moved both ways: where to, how far, and the gradient of that leaf."""

    name: str
    leaf: int
    ahead: tuple[Tree, ...]
    behind: tuple[Tree, ...]
    taken: Array
    grad: Any


def _moves(
    at: tuple[Tree, ...], grads: tuple[Tree, ...], called: Sequence[str], key: Key, step: float
) -> Iterator[_Move]:
    leaves, shape = tree.flatten(at)
    rows = zip(aligned(at, grads), tree.statistics(at), strict=True)
    for i, ((path, leaf, grad), is_statistic) in enumerate(rows):
        if is_statistic or not is_float(leaf) or np.size(leaf) == 0:
            continue
        offset = step * normal(fold_in(key, i + 1), np.shape(leaf))
        ahead, behind = np.asarray(leaf) + offset, np.asarray(leaf) - offset
        number, _, rest = path[1:].partition("]")

        def put(moved: Array, i: int = i) -> tuple[Tree, ...]:
            args: Any = tree.unflatten(shape, [*leaves[:i], moved, *leaves[i + 1 :]])
            return tuple(args)

        name = called[int(number)] + rest
        # The step as it was taken, after rounding: then the sum's rounding costs nothing.
        yield _Move(name, i, put(ahead), put(behind), ahead - behind, grad)


def _compare(
    f: Callable[..., Any],
    move: _Move,
    y: Tree,
    dy: Tree,
    draw: int,
    step: float,
    rtol: float,
    scale: float,
) -> None:
    claimed = float(np.vdot(move.grad, move.taken)) / (2 * step)
    seen = _inner(dy, f(*move.ahead), f(*move.behind)) / (2 * step)
    # Rounding errs by eps times the numbers computed with, which 1/h magnifies, and by eps
    # in each step.
    size = max(scale, largest(y)) + float(np.linalg.norm(move.taken))
    noise = 64 * EPS * math.sqrt(_inner(dy, dy)) * size / step
    if not abs(claimed - seen) <= rtol * max(abs(claimed), abs(seen)) + noise:
        ratio = claimed / seen if seen else math.inf
        raise AssertionError(
            f"the pullback is wrong for {move.name}: along random direction {draw} it gives "
            f"{claimed:.9g}, and differences give {seen:.9g} (ratio {ratio:.6g}, "
            f"step {step:g}, leaf {move.leaf})"
        )


def _inner(dy: Tree, a: Tree, b: Tree | None = None) -> float:
    """Return ``<dy, a - b>``, or ``<dy, a>`` without b."""
    ours, theirs = tree.leaves(dy), tree.leaves(a)
    if b is not None:
        pairs = zip(theirs, tree.leaves(b), strict=True)
        theirs = [np.asarray(x) - np.asarray(y) for x, y in pairs]
    return float(sum(np.vdot(x, y) for x, y in zip(ours, theirs, strict=True)))
