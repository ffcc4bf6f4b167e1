"""The laws that an optimizer obeys."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Collection, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._check import whole
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._case import fresh
from fcnn.testing._compare import DTYPES, finite, gap_between, numbers, rounding
from fcnn.testing._globals import global_problem
from fcnn.testing._law import CALLS, KEY, Law, calls_problem, enforce, findings, normal
from fcnn.testing._value import value_problem
from fcnn.tree import Observation


def check_optimizer(
    optimizer: Any,
    params: Tree = None,
    *,
    key: Key = KEY,
    steps: int = 30,
    calls: int = CALLS,
    skip: Collection[str] = (),
) -> None:
    """Hold an optimizer to everything that fcnn relies on in an optimizer.

    - *init* gives the same bits twice, and a state that is a tree and pickles.
    - *structure*: a step keeps the structure, shapes and dtypes of params and state.
    - *purity*: nothing that is passed in is changed; the same bits come out again, whatever
      is called in between, from read-only arrays too.
    - *globals*: no global generator is drawn from, seeded or read; NumPy's settings stay.
    - *aliases*: neither params nor state share memory with the gradients.
    - *statistics*: the new one is ``fcnn.tree.mix(stored, observation)``, whatever happens
      to the weights, and no weight depends on an observation.
    - *finite*: zero gradients and large ones give finite params.
    - *count*: a whole number in the state stays, goes up by one, or starts again at 0.
    - *refusal*: gradients of other shapes, and the state of other params, raise an error.
    - *downhill*: the first move is downhill, and a convex objective gets lower.
    - *float32*: params in float32 move as those in float64, but for rounding.
    - *resume*: a run whose params and state were pickled ends in the same bits.
    - *calls*: ``calls`` calls in a row give the same bits.
    - *value*: the optimizer pickles, equals its copy, and prints as the call that makes it.

    Args:
        optimizer: what has ``init(params) -> state`` and ``step(params, grads, state) ->
            (params, state)``.
        params: where to start; a small tree with a statistic if None.
        key: where gradients and objective come from.
        steps: how many steps the runs take.
        calls: how often the law *calls* calls.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the optimizer, the law and what was seen.
        ArgumentError: if ``skip`` names no law.

    >>> from fcnn import optim
    >>> from fcnn.testing import check_optimizer
    >>> check_optimizer(optim.sgd(0.1, momentum=0.9))
    """
    start = sample_params(fold_in(key, 1)) if params is None else params
    start = tree.astype(fresh(start), np.float64)
    case = OptimizerCase(optimizer, start, key, whole(steps, "steps"), whole(calls, "calls"))
    enforce(optimizer, findings(LAWS, [("", case)], skip))


@tree.node
class SampleParams:
    """Params of a layer with a statistic."""

    weight: Array
    bias: Array
    seen: Array = tree.statistic()


def sample_params(key: Key) -> Tree:
    """Return a small tree of every container, with a statistic."""
    weight, bias, seen, kernel, scale = (
        normal(fold_in(key, i), shape)
        for i, shape in enumerate([(3, 2), (2,), (2,), (2, 1, 4), (4,)])
    )
    layer = SampleParams(weight, bias, np.abs(seen))
    return (layer, (), {"kernel": kernel, "scale": scale, "nothing": None})


@attrs.frozen
class OptimizerCase:
    """An optimizer, and where it starts."""

    optimizer: Any
    params: Tree
    key: Key
    steps: int
    calls: int

    def at(self, dtype: Any = np.float64) -> Tree:
        """Return params in memory of their own."""
        return fresh(self.params, dtype)

    def grads(self, params: Tree, i: int = 0, scale: float = 1.0) -> Tree:
        """Draw a gradient for each weight and an observation for each statistic."""
        drawn = itertools.count()

        def draw(leaf: Any) -> Any:
            array = normal(fold_in(fold_in(self.key, 100 + i), next(drawn)), np.shape(leaf))
            return (scale * array).astype(np.asarray(leaf).dtype)

        return tree.map(draw, params, statistic=lambda leaf: Observation(draw(leaf), 0.75))

    def slope(self, params: Tree) -> Tree:
        """Return the gradient of a convex objective: half the squared distance to a point."""
        return tree.map(
            lambda p, start: (p - 0.5 * start).astype(np.asarray(p).dtype),
            params,
            self.params,
            statistic=lambda p, start: Observation(np.asarray(start).astype(p.dtype), 0.9),
        )

    def distance(self, params: Tree) -> float:
        """Return the objective."""
        pairs = zip(weights(params), weights(self.params), strict=True)
        return sum(float(np.square(p.astype(np.float64) - 0.5 * q).sum()) for p, q in pairs) / 2

    def step(self, params: Tree, grads: Tree, state: Any) -> tuple[Tree, Any]:
        """Take a step."""
        stepped: tuple[Tree, Any] = self.optimizer.step(params, grads, state)
        return stepped

    def run(self, params: Tree, grads: Callable[[Tree, int], Tree], steps: int) -> Iterator[Any]:
        """Yield params and state before the first step and after each."""
        state = self.optimizer.init(params)
        yield params, state
        for i in range(steps):
            params, state = self.step(params, grads(params, i), state)
            yield params, state


def weights(params: Tree) -> list[Array]:
    """Return the arrays of params that are no statistics."""
    marked = zip(tree.leaves(params), tree.statistics(params), strict=True)
    return [np.asarray(leaf) for leaf, is_statistic in marked if not is_statistic]


def form(values: Tree) -> Any:
    """Return structure, shapes and dtypes."""
    return tree.structure(values), [(a.shape, a.dtype) for a in numbers(values)]


def _init_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        params = case.at(dtype)
        before = tree.digest(params)
        state = case.optimizer.init(params)
        if tree.digest(state) != tree.digest(case.optimizer.init(params)):
            yield "one tree of params gave two states"
        if tree.digest(params) != before:
            yield "params were changed"
        if tree.digest(pickle.loads(pickle.dumps(state))) != tree.digest(state):
            yield "the state's copy by pickle is another one"


def _structure_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        start = case.at(dtype)
        state = case.optimizer.init(start)
        stepped = case.step(start, case.grads(start), state)
        if not isinstance(stepped, tuple) or len(stepped) != 2:
            yield f"expected (params, state) from step, got {type(stepped).__name__}"
        for params, its_state in itertools.islice(case.run(start, case.grads, 3), 1, None):
            yield _changed("params", start, params)
            yield _changed("the state", state, its_state)


def _changed(name: str, before: Tree, after: Tree) -> str:
    """Return how the form of a tree has changed; empty if it has not."""
    if tree.structure(before) != tree.structure(after):
        return f"{name} after a step has another structure"
    rows = zip(tree.paths(before), numbers(before), numbers(after), strict=True)
    for path, a, b in rows:
        if a.shape != b.shape:
            return f"{name}{path} had the shape {a.shape}, and has {b.shape} after a step"
        if a.dtype != b.dtype:
            return f"{name}{path} was {a.dtype}, and is {b.dtype} after a step"
    return ""


def _purity_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        *_, (params, state) = case.run(case.at(dtype), case.grads, 3)
        arguments = [read_only(params), read_only(case.grads(params, 9)), state]
        before = [tree.digest(each) for each in arguments]
        results = case.step(*arguments)
        kept = tree.digest(results)
        for name, was, now in zip(("params", "grads", "state"), before, arguments, strict=True):
            if tree.digest(now) != was:
                yield f"{name} was changed"
        if tree.digest(case.step(*arguments)) != kept:
            yield "the same arguments gave different bits"
        others = case.at(dtype)
        case.step(others, case.grads(others, 8), case.optimizer.init(others))
        list(case.run(case.at(DTYPES[0]), case.grads, 2))
        if tree.digest(results) != kept:
            yield "later calls overwrite results that were returned before"
        if tree.digest(case.step(*arguments)) != kept:
            yield "other calls change what the same arguments give"


def read_only(values: Tree) -> Tree:
    """Return the tree with its arrays as read-only views."""

    def view(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            return leaf
        seen = leaf.view()
        seen.setflags(write=False)
        return seen

    return tree.map(view, values)


def _global_problems(case: OptimizerCase) -> Iterator[str]:
    def run() -> str:
        return tree.digest(list(case.run(case.at(np.float32), case.grads, 2)))

    yield global_problem(run)


def _alias_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        params = case.at(dtype)
        state = case.optimizer.init(params)
        for i in range(2):
            drawn = case.grads(params, i)
            held = [leaf if isinstance(leaf, Observation) else np.array(leaf) for leaf in
                    tree.leaves(drawn)]  # fmt: skip
            grads = tree.unflatten(tree.structure(drawn), held)  # nodes hold views of these
            params, state = case.step(params, grads, state)
            before = tree.digest((params, state))
            for leaf in held:
                if isinstance(leaf, np.ndarray):
                    leaf[...] = 7
            if tree.digest((params, state)) != before:
                yield "writing into the gradients changes the new params or state; keep a copy"


def _statistic_problems(case: OptimizerCase) -> Iterator[str]:
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


def _finite_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        for what, scale in (("zero", 0.0), ("large", 1e4)):

            def grads(params: Tree, i: int, scale: float = scale) -> Tree:
                return case.grads(params, i, scale)

            for params, _ in case.run(case.at(dtype), grads, 3):
                if not finite(params):
                    yield f"{what} gradients give params that are not finite in {dtype}"


def _count_problems(case: OptimizerCase) -> Iterator[str]:
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


def _refusal_problems(case: OptimizerCase) -> Iterator[str]:
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


def _downhill_problems(case: OptimizerCase) -> Iterator[str]:
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


def _float32_problems(case: OptimizerCase) -> Iterator[str]:
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


def _resume_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        run = list(case.run(case.at(dtype), case.grads, 6))
        params, state = pickle.loads(pickle.dumps(run[3]))
        for i in range(3, 6):
            params, state = case.step(params, case.grads(params, i), state)
        if tree.digest((params, state)) != tree.digest(run[6]):
            yield "a run resumed from pickled params and state ends in other bits"


def _call_problems(case: OptimizerCase) -> Iterator[str]:
    params = case.at(np.float32)
    grads, state = case.grads(params), case.optimizer.init(params)

    def call() -> bytes:
        return b"".join([array.tobytes() for array in numbers(case.step(params, grads, state))])

    yield calls_problem(call, case.calls)


def _value_problems(case: OptimizerCase) -> Iterator[str]:
    yield value_problem(case.optimizer)


LAWS = (
    Law("init", "a tree that pickles, the same twice", _init_problems),
    Law("structure", "structure, shapes and dtypes stay", _structure_problems),
    Law("purity", "arguments unchanged, same bits again", _purity_problems),
    Law("globals", "no global generator is used", _global_problems),
    Law("aliases", "no memory shared with gradients", _alias_problems),
    Law("statistics", "observations are mixed in", _statistic_problems),
    Law("finite", "finite for zero and large gradients", _finite_problems),
    Law("count", "whole numbers go up by one", _count_problems),
    Law("refusal", "what does not fit is refused", _refusal_problems),
    Law("downhill", "a convex objective gets lower", _downhill_problems),
    Law("float32", "as float64, but for rounding", _float32_problems),
    Law("resume", "pickled, it goes on in the same bits", _resume_problems),
    Law("calls", "the same bits, call after call", _call_problems),
    Law("value", "pickles, compares, prints as its call", _value_problems),
)
