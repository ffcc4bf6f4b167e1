"""Whether a model's fused kernels compute what its layers compute one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import EVAL, Context, Layer, as_shape, training
from fcnn._typing import Tree
from fcnn.errors import ShapeError
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import DTYPES, numbers, places
from fcnn.testing._law import KEY, Law, enforce, findings
from fcnn.testing._memory import fresh
from fcnn.testing._points import Inputs, many, moved
from fcnn.testing._vjp import gradient_like

TOLERANCE = {"f": 1e-5, "d": 1e-12}
"""By dtype, the allowed difference relative to the largest number of the same kind."""


def check_fusion(
    model: Layer,
    shape: Any,
    *,
    key: Key = KEY,
    params: Tree = None,
    x: Tree = None,
    tolerance: float | None = None,
    skip: Collection[str] = (),
) -> None:
    """Compare a model that runs fused kernels with the same model layer by layer.

    In evaluation and in training, in float32 and float64, for batches of 1, 2, 5 and more than
    16 examples, ``Context(fuse=True)`` and ``Context(fuse=False)`` give nearly the same

    - *y*, from apply and from vjp;
    - *gradient*, with and without dx;
    - *observation*: the value and the weight of each statistic's.

    A model that fuses nothing passes: assert what a plan fuses on `fcnn.fusion.plan`.

    Args:
        model: a layer, `fcnn.serial` as a rule.
        shape: the shape of one example.
        key: where every random number of the check comes from.
        params: where to check; what init makes, moved at random, if None.
        x: where to check; normal draws if None.
        tolerance: the allowed difference, relative to the largest y, gradient or observation:
            1e-5 in float32 and 1e-12 in float64 if None.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the model, the law and what was seen.
        ArgumentError: if ``skip`` names no law.

    >>> import fcnn
    >>> from fcnn.testing import check_fusion
    >>> check_fusion(fcnn.serial(fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.relu), (6, 5, 2))
    """
    shape = as_shape(shape)
    at = moved(model.init(key, shape)[0], fold_in(key, 1)) if params is None else params
    inputs = Inputs(shape, fold_in(key, 2), x)
    cases = [
        (
            f"on {shape} in {'training' if ctx.train else 'evaluation'}",
            FusionCase(model, at, inputs, ctx, fold_in(key, 4), tolerance),
        )
        for ctx in (EVAL, training(fold_in(key, 3)))
    ]
    enforce(model, findings(LAWS, cases, skip))


@attrs.frozen
class FusionCase:
    """A model in one mode, and where to look at it."""

    model: Layer
    params: Tree
    inputs: Inputs
    ctx: Context
    key: Key
    tolerance: float | None

    def runs(self) -> Iterator[tuple[str, Any, int, Context, float]]:
        """Yield a name, dtype, length, context and tolerance for each comparison."""
        for dtype in DTYPES:
            for n in (1, 2, 5, many(self.inputs)):
                for input_grad in (True, False):
                    ctx = attrs.evolve(self.ctx, input_grad=input_grad)
                    where = f"{n} example(s) in {dtype}{'' if input_grad else ', without dx'}"
                    yield where, dtype, n, ctx, self.tolerance or TOLERANCE[dtype.char]

    def run(self, dtype: Any, n: int, ctx: Context, draw: int) -> Any:
        """Return applied y, y and the gradients."""
        params, x = fresh(self.params, dtype), fresh(self.inputs(n, draw=draw), dtype)
        y, pullback = self.model.vjp(params, x, ctx)
        return self.model.apply(params, x, ctx), y, pullback(gradient_like(y, fold_in(self.key, n)))


def _compared(case: FusionCase, pick: Any) -> Iterator[str]:
    """Yield what differs in what ``pick`` takes of the results, as named arrays.

    Rounding may decide which of two elements of a window is the larger, or on which side of a
    kink one lies: a wrong kernel is wrong at every draw.
    """
    for where, dtype, n, ctx, tolerance in case.runs():
        problem = ""
        for draw in range(3):
            try:
                unfused = case.run(dtype, n, attrs.evolve(ctx, fuse=False), draw)
            except ShapeError:
                if ctx.train and n < 5:  # as batch norm refuses a batch of one
                    break
                raise
            fused = case.run(dtype, n, ctx, draw)
            problem = _difference(pick(fused), pick(unfused), tolerance)
            if not problem:
                break
        if problem:
            yield f"{problem}, for {where}"


def _difference(fused: dict[str, Any], unfused: dict[str, Any], tolerance: float) -> str:
    if fused.keys() != unfused.keys():
        return f"fused {sorted(fused)} and unfused {sorted(unfused)} have other places"
    scale = max((float(np.max(np.abs(b), initial=0)) for b in unfused.values()), default=0.0)
    for name, a in fused.items():
        b = unfused[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name} is {a.dtype} {a.shape} fused and {b.dtype} {b.shape} unfused"
        gap = float(np.max(np.abs(a - b), initial=0))
        if not gap <= tolerance * scale:
            return f"{name} of fused and unfused kernels are {gap / scale:.3g} of the largest apart"
    return ""


def _y(results: Any) -> dict[str, Any]:
    applied, y, _ = results
    names = tree.paths(y)
    return {
        **{f"apply's y{path}": a for path, a in zip(names, numbers(applied), strict=True)},
        **{f"vjp's y{path}": a for path, a in zip(names, numbers(y), strict=True)},
    }


def _gradients(results: Any) -> dict[str, Any]:
    return _places(results, lambda leaf: not isinstance(leaf, tree.Observation))


def _observations(results: Any) -> dict[str, Any]:
    observed = [leaf for leaf in tree.leaves(results[2]) if isinstance(leaf, tree.Observation)]
    weights = {f"the weight of observation {i}": np.array(o.weight) for i, o in enumerate(observed)}
    return _places(results, lambda leaf: isinstance(leaf, tree.Observation)) | weights


def _places(results: Any, is_kind: Any) -> dict[str, Any]:
    grads = results[2]
    rows = zip(places(grads), tree.leaves(grads), numbers(grads), strict=True)
    return {name: array for name, leaf, array in rows if is_kind(leaf)}


LAWS = (
    Law("y", "fused and unfused y agree", lambda case: _compared(case, _y)),
    Law("gradient", "fused and unfused gradients agree", lambda case: _compared(case, _gradients)),
    Law(
        "observation",
        "fused and unfused observations agree",
        lambda case: _compared(case, _observations),
    ),
)
