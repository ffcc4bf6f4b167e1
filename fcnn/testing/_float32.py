"""Whether float32 results follow those of float64 as closely as rounding allows.

The allowance for rounding is measured: the same function at arguments that differ by one
rounding error. It is capped, so that arithmetic in less than float32 is not its own excuse.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import is_float, numbers, places
from fcnn.testing._law import normal
from fcnn.testing._layer_case import Case

RTOL = 1e-4
"""The allowed difference of an element, relative to it: an error of 0.05 % is five times this."""
FLOOR = 2e-6
"""The allowed difference of an element, relative to the largest of its array."""
CAP = 3e-5
"""The most that measured rounding allows, relative to the largest of all arrays."""
EPS = float(np.finfo(np.float32).eps)


def float32_problem(case: Case, n: int, draw: int) -> str:
    """Return where y or a gradient in float32 is too far from that in float64."""
    params, x = case.at(np.float32, n, draw)
    dy = case.dy(case.apply(params, x), draw)

    def run(params: Tree, x: Tree, dy: Tree) -> list[Tree]:
        y, pullback = case.vjp(params, x)
        return [y, pullback(dy)]

    y, grads = run(params, x, dy)
    names = [[f"y{path}" for path in tree.paths(y)], places(grads)]
    problem = compare(run, (params, x, dy), names, fold_in(case.key, 7))
    return f"{problem} for {n} example(s)" if problem else ""


def compare(
    run: Callable[..., Sequence[Tree]],
    args: tuple[Tree, ...],
    names: Sequence[Sequence[str]],
    key: Key,
    size: float = 0.0,
) -> str:
    """Return which result of ``run`` in float32 is too far from that in float64.

    ``run(*args)`` gives groups of results; within one, rounding may go from leaf to leaf.
    ``size`` is that of the numbers computed with, where results are their small differences.
    """
    got = [numbers(group) for group in run(*args)]
    expected = [numbers(group) for group in run(*(tree.astype(a, np.float64) for a in args))]
    moved = [[numbers(group) for group in run(*_jittered(args, fold_in(key, i)))] for i in range(2)]
    for g, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        scale = max([size, *(float(np.max(np.abs(a), initial=0)) for a in theirs)])
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            noise = max(float(np.max(np.abs(m[g][i] - a), initial=0)) for m in moved)
            if problem := _apart(a, b, min(8 * noise, CAP * scale) + 4 * EPS * size):
                return f"{names[g][i]} {problem}"
    return ""


def _apart(got: Array, expected: Array, noise: float) -> str:
    if got.dtype.kind != "f" or not got.size:
        return ""
    gap = np.abs(got.astype(np.float64) - expected)
    floor = noise + FLOOR * float(np.max(np.abs(expected)))
    wrong = ~(gap <= RTOL * np.abs(expected) + floor)
    if not wrong.any():
        return ""
    at = np.unravel_index(int(np.argmax(wrong * gap)), gap.shape)
    return (
        f"in float32 and in float64 are apart at {tuple(map(int, at))}: "
        f"{got[at]:.9g} against {expected[at]:.9g}"
    )


def _jittered(args: tuple[Tree, ...], key: Key) -> tuple[Tree, ...]:
    """Return the arguments with every float moved by one rounding error up or down."""
    numbers = itertools.count()

    def move(leaf: Any) -> Any:
        if not is_float(leaf):
            return leaf
        signs = np.sign(normal(fold_in(key, next(numbers)), np.shape(leaf)))
        return (leaf * (1 + EPS * signs)).astype(np.float32)

    return tree.map(move, args)
