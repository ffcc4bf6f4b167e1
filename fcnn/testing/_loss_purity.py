"""Laws of a loss's purity: arguments in, numbers out, and nothing else read, written or kept."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._value import Value
from fcnn.losses import Loss
from fcnn.testing._compare import DTYPES, gap_between, numbers, rounding
from fcnn.testing._globals import global_problem
from fcnn.testing._law import calls_problem
from fcnn.testing._loss_case import LossCase
from fcnn.testing._memory import overwrite, writeable
from fcnn.testing._value import importable, value_problem


def purity_problems(case: LossCase) -> Iterator[str]:
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


def alias_problems(case: LossCase) -> Iterator[str]:
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


def global_problems(case: LossCase) -> Iterator[str]:
    def run() -> str:
        p, t = case.at(np.float32)
        value, pullback = case.loss.vjp(p, t)
        return tree.digest((case.loss.apply(p, t), value, pullback(1.0)))

    yield global_problem(run)


def call_problems(case: LossCase) -> Iterator[str]:
    p, t = case.at(np.float32, 1)

    def call() -> bytes:
        value, pullback = case.loss.vjp(p, t)
        results = (case.loss.apply(p, t), value, pullback(1.0))
        return b"".join([array.tobytes() for array in numbers(results)])

    yield calls_problem(call, case.calls)


def value_problems(case: LossCase) -> Iterator[str]:
    yield value_problem(case.loss)
    p, t = case.at(np.float32)
    value = case.loss.apply(p, t)
    if isinstance(case.loss, Loss) and case.loss(p, t) != value:
        yield "calling it and its apply give different values"
    if isinstance(case.loss, Value) and importable(case.loss):
        copy = pickle.loads(pickle.dumps(case.loss))
        if copy.apply(p, t) != value:
            yield "its copy by pickle gives another value"
