"""Laws of an optimizer's purity: what goes in, what comes out, and nothing kept besides."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.testing._compare import DTYPES, numbers
from fcnn.testing._globals import global_problem
from fcnn.testing._law import calls_problem
from fcnn.testing._optimizer_case import OptimizerCase
from fcnn.testing._value import value_problem
from fcnn.tree import Observation


def init_problems(case: OptimizerCase) -> Iterator[str]:
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


def structure_problems(case: OptimizerCase) -> Iterator[str]:
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


def purity_problems(case: OptimizerCase) -> Iterator[str]:
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


def global_problems(case: OptimizerCase) -> Iterator[str]:
    def run() -> str:
        return tree.digest(list(case.run(case.at(np.float32), case.grads, 2)))

    yield global_problem(run)


def alias_problems(case: OptimizerCase) -> Iterator[str]:
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


def resume_problems(case: OptimizerCase) -> Iterator[str]:
    for dtype in DTYPES:
        run = list(case.run(case.at(dtype), case.grads, 6))
        params, state = pickle.loads(pickle.dumps(run[3]))
        for i in range(3, 6):
            params, state = case.step(params, case.grads(params, i), state)
        if tree.digest((params, state)) != tree.digest(run[6]):
            yield "a run resumed from pickled params and state ends in other bits"


def call_problems(case: OptimizerCase) -> Iterator[str]:
    params = case.at(np.float32)
    grads, state = case.grads(params), case.optimizer.init(params)

    def call() -> bytes:
        return b"".join([array.tobytes() for array in numbers(case.step(params, grads, state))])

    yield calls_problem(call, case.calls)


def value_problems(case: OptimizerCase) -> Iterator[str]:
    yield value_problem(case.optimizer)
