"""Laws of a loss's numbers: value, gradient, float32, and the mean over examples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from fcnn import _batch, tree
from fcnn._typing import Tree
from fcnn.losses._loss import sharded
from fcnn.prng import fold_in
from fcnn.testing._compare import DTYPES, gap_between, is_float, largest, misfit, numbers, rounding
from fcnn.testing._float32 import compare
from fcnn.testing._loss_case import LossCase
from fcnn.testing._vjp import check_vjp


def vjp_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        for n in case.sizes:
            p, t = case.at(dtype, n)
            value, plain = case.loss.vjp(p, t)[0], case.loss.apply(p, t)
            for each in (value, plain):
                if type(each) is not float:
                    yield f"expected a Python float as value, got {type(each).__name__}"
                if not math.isfinite(each):
                    yield f"the value of finite arguments is {each} in {dtype}"
            if value != plain:
                yield f"apply gives {plain!r}, and vjp {value!r}"


def dtype_problems(case: LossCase) -> Iterator[str]:
    for dtype, n, dvalue in itertools.product(DTYPES, case.sizes, (1.0, 0.25, 1)):
        p, t = case.at(dtype, n)
        dp = case.loss.vjp(p, t)[1](dvalue)
        if problem := misfit(p, dp):
            yield f"dprediction: {problem}"
        for array in numbers(dp):
            if array.dtype != dtype:
                yield f"{dtype} went in, and dprediction is {array.dtype}"
            if not np.isfinite(array).all():
                yield f"dprediction is not finite in {dtype} for finite arguments"


def linear_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        p, t = case.at(dtype)
        _, pullback = case.loss.vjp(p, t)
        dp = pullback(1.0)
        for factor in (-2.5, 0.0, 1e3):
            expected = tree.map(lambda d, f=factor: f * d, dp)
            if (gap := gap_between(pullback(factor), expected)) > rounding(dtype):
                yield f"pullback({factor}) and {factor} · pullback(1) are {gap:.3g} apart"


def gradient_problems(case: LossCase) -> Iterator[str]:
    for scale in case.scales:
        for n in case.sizes:
            p, t = case.at(np.float64, n, scale)
            yield _differences(case, p, t, 3 if n == case.n else 1, f"for {n} example(s)")


def _differences(case: LossCase, p: Tree, t: Tree, directions: int, where: str) -> str:
    def vjp(p: Tree) -> tuple[float, Callable[[float], Sequence[Tree]]]:
        value, pullback = case.loss.vjp(p, t)
        return value, lambda dvalue: (pullback(dvalue),)

    try:
        check_vjp(
            lambda p: case.loss.apply(p, t),
            vjp,
            p,
            key=case.key,
            step=case.step,
            rtol=case.rtol,
            directions=directions,
            scale=largest(p),
            names=("the prediction",),
        )
    except AssertionError as error:
        return f"{where}, {error}"
    return ""


def float32_problems(case: LossCase) -> Iterator[str]:
    for scale in case.scales:
        for n in case.sizes:
            p, given = case.at(np.float32, n, scale)
            t = tree.astype(given, np.float32)

            def run(p: Tree, t: Tree = t) -> list[Tree]:
                value, pullback = case.loss.vjp(p, t)
                return [value, pullback(1.0)]

            names = [["the value"], [f"dprediction{path}" for path in tree.paths(p)]]
            size = max(1.0, largest(p), largest([a for a in tree.leaves(t) if is_float(a)]))
            yield compare(run, (p,), names, fold_in(case.key, 7), size)


def mean_problems(case: LossCase) -> Iterator[str]:
    for dtype in DTYPES:
        for n in case.sizes:
            p, t = case.at(dtype, n)
            pieces = [slice(i, i + 1) for i in range(min(n, 8))] + [slice(8, n)] * (n > 8)
            targets = [_batch.take(t, s) for s in pieces]
            losses = sharded(case.loss, targets)
            mean = sum(
                loss.apply(_batch.take(p, s), target)
                for loss, s, target in zip(losses, pieces, targets, strict=True)
            )
            gap = gap_between((case.loss.apply(p, t),), (mean,))
            if gap > rounding(dtype):
                yield f"the examples' mean and the batch's loss are {gap:.3g} apart, for {n}"
