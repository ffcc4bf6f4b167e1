"""Laws of purity: arguments in, results out, and nothing else read, written or kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._layer import EVAL, training
from fcnn._typing import Array, Tree
from fcnn.prng import fold_in
from fcnn.testing._compare import DTYPES, gap_between, numbers, places, rounding
from fcnn.testing._globals import global_problem
from fcnn.testing._layer_case import Case
from fcnn.testing._memory import fresh, overwrite, writeable


def purity_problems(case: Case) -> Iterator[str]:
    """Check that nothing passed in is changed, and the same bits come out twice."""
    for dtype in DTYPES:
        yield _repeated(case, dtype)
        yield _between_others(case, dtype)
        yield _other_layout(case, dtype)


def _repeated(case: Case, dtype: Any) -> str:
    params, x = case.at(dtype)
    outputs = []
    for arrays in ("writeable", "writeable", "read-only"):
        dy = case.dy(case.apply(params, x))
        if arrays == "read-only":
            for leaf in writeable((params, x, dy)):
                leaf.flags.writeable = False
        before = [tree.digest(each) for each in (params, x, dy)]
        try:
            applied = case.apply(params, x)
            y, pullback = case.vjp(params, x)
            outputs.append(tree.digest((applied, y, pullback(dy))))
            repeated = tree.digest((applied, y, pullback(dy)))
        except ValueError as error:
            if "read-only" in str(error):
                return f"it does not work on read-only arrays: {error}"
            raise
        after = [tree.digest(each) for each in (params, x, dy)]
        for name, was, is_now in zip(("params", "x", "dy"), before, after, strict=True):
            if was != is_now:
                return f"{name} was changed"
        if repeated != outputs[-1]:
            return "a pullback called twice gives different bits, or changes y"
    return "the same arguments gave different bits" if len(set(outputs)) > 1 else ""


def _between_others(case: Case, dtype: Any) -> str:
    """Check that calls between a vjp and its pullback, and after it, change neither."""
    params, x = case.at(dtype)
    applied = case.apply(params, x)
    y, pullback = case.vjp(params, x)
    dy = case.dy(y)
    grads = pullback(dy)
    kept = tree.digest((applied, y, grads))
    other_y, other_pullback = case.vjp(params, x)
    pullback(case.dy(y, 1))
    if tree.digest((applied, y, grads)) != kept:
        return "a later call of the pullback overwrites its earlier results"
    for _ in _other_calls(case, dtype):
        if tree.digest((applied, y, grads)) != kept:
            return "later calls overwrite results that were returned before"
        if tree.digest((applied, other_y, other_pullback(dy))) != kept:
            return "a vjp call changes what the pullback of an earlier one returns"
        if tree.digest(case.apply(params, x)) != tree.digest(applied):
            return "other calls change what apply gives for the same arguments"
    return ""


def _other_calls(case: Case, dtype: Any) -> Iterator[None]:
    """Call the layer with another input, other params, lengths, dtypes and modes, one at a time."""
    params, x = case.at(dtype)
    other = next(each for each in DTYPES if each != dtype)
    mode = EVAL if case.ctx.train else training(fold_in(case.key, 9))
    calls = (
        (params, fresh(case.x(draw=1), dtype), case.ctx),
        (case.others(dtype), x, case.ctx),
        (params, fresh(case.x(case.batch + 1), dtype), case.ctx),
        (*case.at(other), case.ctx),
        (params, fresh(case.x(draw=1), dtype), mode),
    )
    for each_params, each_x, ctx in calls:
        case.apply(each_params, each_x, ctx)
        yield
        y, pullback = case.vjp(each_params, each_x, ctx)
        yield
        pullback(case.dy(y, 2))
        yield


def _other_layout(case: Case, dtype: Any) -> str:
    params, x = case.at(dtype)
    y, pullback = case.vjp(params, x)
    dy = case.dy(y)
    plain = (y, pullback(dy))
    for name, laid in (("Fortran-ordered", np.asfortranarray), ("strided", _strided)):
        y, pullback = case.vjp(tree.map(np.asfortranarray, params), tree.map(laid, x))
        if (gap := gap_between((y, pullback(tree.map(laid, dy))), plain)) > rounding(dtype):
            return f"{name} arrays give results {gap:.3g} apart from contiguous ones"
    ones = tree.map(np.ones_like, y)
    spread = tree.map(lambda leaf: np.broadcast_to(leaf.dtype.type(1), leaf.shape), y)
    if (gap := gap_between(pullback(spread), pullback(ones))) > rounding(dtype):
        return f"a dy made by np.broadcast_to gives gradients {gap:.3g} apart from a full one"
    return ""


def _strided(array: Array) -> Array:
    """Return the same numbers, every other element of a wider array, backwards."""
    if not array.ndim:
        return array
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::-2] = array
    return wide[..., ::-2]


def alias_problems(case: Case) -> Iterator[str]:
    """Check that no result shares memory with dy or with what a pullback still reads."""
    for dtype, n in itertools.product(DTYPES, case.sizes):
        params, x = case.at(dtype, n)
        y, pullback = case.vjp(params, x)
        dy = case.dy(y)
        grads = pullback(dy)
        expected, given = tree.digest(grads), tree.digest((params, x))
        for name, grad in zip(places(grads), numbers(grads), strict=True):
            if any(np.may_share_memory(grad, each) for each in tree.leaves(dy)):
                yield f"{name} shares memory with dy; return a copy"
        overwrite(_plain(grads))
        if tree.digest(pullback(dy)) != expected:
            yield "writing into a gradient changes what the pullback returns next; return a copy"
        if tree.digest((params, x)) != given:
            yield "writing into a gradient changes params or x; return a copy"
        y, pullback = case.vjp(params, x)
        overwrite(y)
        if tree.digest(pullback(dy)) != expected:
            yield "writing into y changes what the pullback returns; keep a copy"


def _plain(grads: tuple[Tree, Tree]) -> Tree:
    """Return the arrays of gradients, observations left out."""
    return [leaf for leaf in tree.leaves(grads) if isinstance(leaf, np.ndarray)]


def global_problems(case: Case) -> Iterator[str]:
    """Check that no global generator is used and NumPy's settings stay."""
    for dtype in DTYPES:
        params, x = case.at(dtype)

        def run(params: Tree = params, x: Tree = x) -> str:
            made = case.init(case.seed)[0]
            y, pullback = case.vjp(params, x)
            return tree.digest((made, case.apply(params, x), y, pullback(case.dy(y))))

        yield global_problem(run)


def call_problems(case: Case) -> Iterator[str]:
    """Check that after hundreds of calls the bits are those of the first."""
    args = case.short()
    first = case.calls.first or case.bits(*args)
    while True:
        if case.bits(*args) != first:
            yield f"call {case.calls.made} gives other bits than the first of the same arguments"
        if case.calls.made >= case.calls.target:
            return
