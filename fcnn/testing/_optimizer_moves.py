"""Laws of an optimizer's moves: downhill, in float32 as in float64, statistics mixed in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.testing._compare import DTYPES, finite, gap_between, rounding
from fcnn.testing._optimizer_case import OptimizerCase, form, weights
from fcnn.tree import Observation


def statistic_problems(case: OptimizerCase) -> Iterator[str]:
    """Give the same gradients every time: who accumulates them mixes in their mean."""
    for dtype in DTYPES:
        start = case.at(dtype)
        grads = case.grads(start, 5)
        mixed = set()
        for before, after in itertools.pairwise(case.run(start, _always(grads), case.steps)):
            for path, stored, seen, new in _statistics(before[0], grads, after[0]):
                if tree.digest(new) == tree.digest(stored):
                    continue
                mixed.add(path)
                gap = gap_between(new, tree.mix(stored, seen))
                if not gap <= rounding(dtype) / 100:
                    yield f"params{path} is not fcnn.tree.mix(stored, observation)"
        for path, *_ in _statistics(start, grads, start):
            if path not in mixed:
                yield f"params{path} is the same after {case.steps} steps; fcnn.tree.mix it"
        yield _weights_by_observation(case, start, grads)


def _always(grads: Tree) -> Callable[[Tree, int], Tree]:
    return lambda params, i: grads


def _statistics(params: Tree, grads: Tree, new: Tree) -> list[tuple[str, Any, Any, Any]]:
    """Return path, stored value, observation and new value of each statistic."""
    rows = zip(
        tree.statistics(params),
        tree.paths(params),
        tree.leaves(params),
        tree.leaves(grads),
        tree.leaves(new),
        strict=True,
    )
    return [(path, stored, seen, end) for marked, path, stored, seen, end in rows if marked]


def _weights_by_observation(case: OptimizerCase, params: Tree, grads: Tree) -> str:
    larger = tree.map(lambda g: g, grads, statistic=lambda g: Observation(1000 * g.value, g.weight))
    ends = []
    for each in (grads, larger):
        *_, (end, _) = case.run(params, _always(each), 3)
        ends.append(tree.digest(weights(end)))
    return "weights depend on the observations of statistics" if ends[0] != ends[1] else ""


def finite_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        for what, scale in (("zero", 0.0), ("large", 1e4)):

            def grads(params: Tree, i: int, scale: float = scale) -> Tree:
                return case.grads(params, i, scale)

            for params, _ in case.run(case.at(dtype), grads, 3):
                if not finite(params):
                    yield f"{what} gradients give params that are not finite in {dtype}"


def count_problems(case: OptimizerCase) -> Iterator[str]:
    states = [state for _, state in case.run(case.at(), case.grads, case.steps)]
    for before, after in itertools.pairwise(states):
        rows = zip(tree.paths(before), tree.leaves(before), tree.leaves(after), strict=True)
        for path, was, now in rows:
            if _is_count(was) and int(now) not in (0, int(was), int(was) + 1):
                yield f"state{path} jumps from {was} to {now}"


def _is_count(leaf: Any) -> bool:
    if isinstance(leaf, Observation | bool):
        return False
    return np.ndim(leaf) == 0 and np.asarray(leaf).dtype.kind in "iu"


def refusal_problems(case: OptimizerCase) -> Iterator[str]:
    params = case.at()
    state = case.optimizer.init(params)
    grads = case.grads(params)
    for what, other in _others(params):
        if _accepts(case, params, case.grads(other), state):
            yield f"a step takes gradients of {what}"
        its_state = case.optimizer.init(other)
        if form(its_state) != form(state) and _accepts(case, params, grads, its_state):
            yield f"a step takes the state of params of {what}"


def _accepts(case: OptimizerCase, params: Tree, grads: Tree, state: Any) -> bool:
    try:
        case.step(params, grads, state)
    except Exception:
        return False
    return True


def _others(params: Tree) -> Iterator[tuple[str, Tree]]:
    """Yield params with a leaf that broadcasts to the given one, and with another structure."""
    leaves, structure = tree.flatten(params)
    for i, leaf in enumerate(leaves):
        if np.ndim(leaf) and np.shape(leaf)[0] > 1:
            one = tree.unflatten(structure, [*leaves[:i], leaf[:1], *leaves[i + 1 :]])
            yield f"other shapes, {np.shape(leaf[:1])} for {np.shape(leaf)}", one
    yield "another structure", (params, np.ones(2))


def downhill_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        run = list(case.run(case.at(dtype), lambda params, i: case.slope(params), case.steps))
        moved = False
        for (before, _), (after, _) in itertools.pairwise(run):
            slope = case.slope(before)
            inner = sum(
                float(np.vdot(g, np.subtract(b, a)))
                for g, a, b in zip(weights(slope), weights(before), weights(after), strict=True)
            )
            if inner:
                moved = True
                if inner > 0:
                    yield f"the first move goes uphill: <gradient, move> is {inner:.3g}"
                break
        if not moved:
            yield f"{len(run) - 1} steps move no weight"
        start, lowest = case.distance(run[0][0]), min(case.distance(p) for p, _ in run)
        if not lowest < start:
            yield f"a convex objective starts at {start:.6g} and never gets lower"


def float32_problems(case: OptimizerCase) -> Iterator[str]:
    """Compare moves from small params, beside which the rounding of params is small."""
    start = tree.map(lambda p: p / 128, case.at(np.float32), statistic=lambda p: p)
    taken = 10
    moves = []
    for dtype in DTYPES:

        def grads(params: Tree, i: int, dtype: Any = dtype) -> Tree:
            return tree.astype(case.grads(start, i), dtype)

        begin = tree.astype(start, dtype)
        *_, (end, _) = case.run(begin, grads, taken)
        pairs = zip(weights(end), weights(begin), strict=True)
        moves.append([b.astype(np.float64) - a.astype(np.float64) for b, a in pairs])
    names = [f"params{path}" for path, marked in zip(
        tree.paths(start), tree.statistics(start), strict=True) if not marked]  # fmt: skip
    for name, got, expected, p in zip(names, *moves, weights(start), strict=True):
        size = float(np.max(np.abs(p), initial=0)) + float(np.max(np.abs(expected), initial=0))
        floor = 4 * taken * float(np.finfo(np.float32).eps) * size
        wrong = ~(np.abs(got - expected) <= 1e-4 * np.abs(expected) + floor)
        if wrong.any():
            at = tuple(int(i[0]) for i in np.nonzero(wrong))
            yield (
                f"{name} moves in {taken} steps by {got[at]:.9g} in float32 and by "
                f"{expected[at]:.9g} in float64"
            )
