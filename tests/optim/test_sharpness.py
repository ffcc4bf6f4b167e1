"""Sharpness-aware gradients by hand, and statistics of the first of the two passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_statistics_and_prediction_are_those_here_and_the_gradient_is_that_uphill(
    dtype: Any,
) -> None:
    model = fcnn.serial(fcnn.dense(5), fcnn.batch_norm(), fcnn.tanh, fcnn.dropout(0.3),
                        fcnn.dense(2))  # fmt: skip
    loss = fcnn.losses.mean_squared_error
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)).astype(dtype), rng.normal(size=(12, 2)).astype(dtype)
    params = tree.astype(model.init(fcnn.key(0), (3,))[0], dtype)
    ctx = fcnn.training(fcnn.key(1))
    plain = fcnn.value_and_grad(model, loss, has_aux=True)
    before = tree.digest(params)
    (value, prediction), grads = optim.sam(plain, 0.1)(params, x, y, ctx=ctx)
    (expected, its_prediction), here = plain(params, x, y, ctx)
    assert value == expected
    assert np.array_equal(prediction, its_prediction)
    assert grads[1].mean == here[1].mean
    vector, unravel = tree.ravel(params)
    slope, _ = tree.ravel(here)
    _, there = plain(unravel(vector + 0.1 * slope / np.linalg.norm(slope)), x, y, ctx)
    found, uphill = tree.ravel(grads)[0], tree.ravel(there)[0]
    assert found.dtype == dtype
    assert found == pytest.approx(uphill, rel=1e-4 if dtype == np.float32 else 1e-12, abs=1e-6)
    assert not np.allclose(found, slope, rtol=1e-2)
    assert tree.digest(params) == before
    optimizer = optim.sgd(0.1)
    after, _ = optimizer.step(params, grads, optimizer.init(params))
    assert not np.array_equal(after[1].mean, params[1].mean)


@pytest.mark.parametrize("gradient", [0.0, np.nan, np.inf])
def test_no_step_uphill_along_zero_or_what_is_not_finite(gradient: float) -> None:
    calls = []

    def f(params: Any) -> Any:
        calls.append(params)
        return 1.0, (np.array([gradient, 0.0]),)

    value, grads = optim.sam(f)((np.ones(2),))
    assert value == 1.0
    assert np.array_equal(grads[0], [gradient, 0.0], equal_nan=True)
    assert len(calls) == 1


def test_a_tiny_gradient_in_float32_is_followed_all_the_way() -> None:
    f = optim.sam(lambda params: (0.0, (np.float32(1e-40) * params[0],)), rho=0.5)
    _, (grad,) = f((np.array([1.0, 0.0], np.float32),))
    assert grad == pytest.approx(np.array([1.5e-40, 0.0]), rel=1e-3)


def test_what_is_wrong_is_refused() -> None:
    for call in (lambda: optim.sam(0.1), lambda: optim.sam(lambda p: p, 0.0)):  # type: ignore
        with pytest.raises(ArgumentError, match=r"^expected "):
            call()
