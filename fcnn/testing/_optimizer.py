"""The laws that an optimizer obeys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._check import whole
from fcnn._typing import Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._law import CALLS, KEY, Law, enforce, findings
from fcnn.testing._memory import fresh
from fcnn.testing._optimizer_case import OptimizerCase, sample_params
from fcnn.testing._optimizer_moves import (
    count_problems,
    downhill_problems,
    finite_problems,
    float32_problems,
    refusal_problems,
    statistic_problems,
)
from fcnn.testing._optimizer_purity import (
    alias_problems,
    call_problems,
    global_problems,
    init_problems,
    purity_problems,
    resume_problems,
    structure_problems,
    value_problems,
)


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


LAWS = (
    Law("init", "a tree that pickles, the same twice", init_problems),
    Law("structure", "structure, shapes and dtypes stay", structure_problems),
    Law("purity", "arguments unchanged, same bits again", purity_problems),
    Law("globals", "no global generator is used", global_problems),
    Law("aliases", "no memory shared with gradients", alias_problems),
    Law("statistics", "observations are mixed in", statistic_problems),
    Law("finite", "finite for zero and large gradients", finite_problems),
    Law("count", "whole numbers go up by one", count_problems),
    Law("refusal", "what does not fit is refused", refusal_problems),
    Law("downhill", "a convex objective gets lower", downhill_problems),
    Law("float32", "as float64, but for rounding", float32_problems),
    Law("resume", "pickled, it goes on in the same bits", resume_problems),
    Law("calls", "the same bits, call after call", call_problems),
    Law("value", "pickles, compares, prints as its call", value_problems),
)
