"""Full-batch training by SciPy's minimisers, and masks by paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError, TreeError

A = np.array([[3.0, 0.5], [0.5, 1.0]])
MINIMUM = np.array([1.0, -2.0])


def bowl(params: Any) -> tuple[float, Any]:
    """½ (p - m)ᵀ A (p - m) of ``{"a": p[0], "b": [p[1]]}``."""
    p = np.array([params["a"], params["b"][0]], np.float64) - MINIMUM
    slope = A @ p
    return float(p @ slope / 2), {"a": slope[0], "b": slope[1:]}


START = {"a": 0.0, "b": np.array([0.5])}


@pytest.mark.parametrize("method", ["L-BFGS-B", "CG", "BFGS", "Newton-CG", "slsqp", "trust-constr"])
def test_each_method_finds_the_minimum(method: str) -> None:
    before = tree.digest(START)
    seen: list[Any] = []
    params, result = optim.scipy_minimize(
        bowl, START, method=method, tol=1e-10, callback=seen.append
    )
    assert [params["a"], params["b"][0]] == pytest.approx(MINIMUM, abs=1e-6)
    assert result.fun == pytest.approx(0, abs=1e-12)
    assert type(params["a"]) is float
    assert tree.digest(START) == before
    assert len(seen) >= 2
    assert tree.structure(seen[-1]) == tree.structure(START)


def test_bounds_are_numbers_or_trees() -> None:
    params, _ = optim.scipy_minimize(bowl, START, bounds=(0.0, None))
    # On b = 0 the minimum is where A (p - m) has no part along a.
    assert [params["a"], params["b"][0]] == pytest.approx([1 - 0.5 * 2 / 3, 0.0], abs=1e-6)
    low = {"a": -np.inf, "b": np.array([-1.0])}
    params, _ = optim.scipy_minimize(bowl, START, bounds=(low, 5.0))
    assert params["b"][0] == pytest.approx(-1.0)
    assert params["a"] == pytest.approx(1 - 0.5 / 3, abs=1e-6)


def test_maxiter_options_and_a_callback_that_stops() -> None:
    _, result = optim.scipy_minimize(bowl, START, maxiter=1)
    assert result.nit == 1
    _, result = optim.scipy_minimize(bowl, START, options={"maxfun": 2})
    assert result.nfev <= 4
    seen = []

    def stop(params: Any) -> None:
        seen.append(params)
        raise StopIteration

    optim.scipy_minimize(bowl, START, callback=stop)
    assert len(seen) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_keeps_dtypes_and_statistics(dtype: Any) -> None:
    model = fcnn.serial(fcnn.dense(4), fcnn.batch_norm(), fcnn.tanh, fcnn.dense(1))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(dtype)
    y = (x[:, :1] * x[:, 1:2]).astype(dtype)
    params = tree.astype(model.init(fcnn.key(0), (3,))[0], dtype)
    f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error)
    ctx = fcnn.training()
    before = tree.digest(params)
    trained, result = optim.scipy_minimize(lambda p: f(p, x, y, ctx), params, maxiter=40)
    assert result.fun < f(params, x, y, ctx)[0] / 4
    assert f(trained, x, y, ctx)[0] == pytest.approx(result.fun, rel=1e-5)
    assert all(leaf.dtype == dtype for leaf in tree.leaves(trained))
    assert tree.equal((trained[1].mean, trained[1].var), (params[1].mean, params[1].var))
    assert tree.digest(params) == before
    again, _ = optim.scipy_minimize(lambda p: f(p, x, y, ctx), params, maxiter=40)
    assert tree.equal(again, trained)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.scipy_minimize(0.5, START), "function of params"),  # type: ignore[arg-type]
        (lambda: optim.scipy_minimize(bowl, START, method="Nelder-Mead"), "takes gradients, CG"),
        (lambda: optim.scipy_minimize(bowl, START, method="CG", bounds=(0, 1)), "and bounds, L-B"),
        (lambda: optim.scipy_minimize(bowl, START, bounds=0.5), "low, high"),  # type: ignore
        (lambda: optim.scipy_minimize(bowl, START, bounds=(1.0, 0.0)), "not above"),
        (lambda: optim.scipy_minimize(bowl, START, maxiter=0), "whole number"),
    ],
)
def test_what_is_wrong_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
    with pytest.raises(TreeError, match="structure of the params"):
        optim.scipy_minimize(lambda params: (0.0, (1.0,)), START)  # type: ignore[arg-type]


# Masks by paths.


def params_of_a_model() -> Any:
    model = fcnn.serial(fcnn.conv2d(2, 3), fcnn.batch_norm(), fcnn.flatten, fcnn.dense(3))
    return model.init(fcnn.key(0), (5, 5, 1))[0]


@pytest.mark.parametrize(
    ("mask", "chosen"),
    [
        (optim.by_path("weight$"), {"[0].weight", "[3].weight"}),
        (optim.by_path(r"^\[0\]", "bias"), {"[0].weight", "[0].bias", "[1].bias", "[3].bias"}),
        (optim.by_path(lambda path: path.startswith("[1].m")), {"[1].mean"}),
        (optim.by_path(""), set(tree.paths(params_of_a_model()))),
    ],
    ids=lambda part: str(sorted(part) if isinstance(part, set) else part),
)
def test_by_path_chooses_the_weights_whose_path_fits(mask: Any, chosen: set[str]) -> None:
    params = params_of_a_model()
    made = mask(params)
    assert tree.structure(made) == tree.structure(params)
    flags = zip(tree.paths(params), tree.leaves(made), strict=True)
    assert {path for path, flag in flags if flag} == chosen
    assert all(type(flag) is bool for flag in tree.leaves(made))


def test_frozen_by_path_weights_stay_and_the_others_move() -> None:
    params = params_of_a_model()
    grads = tree.map(np.ones_like, params, statistic=lambda p: tree.Observation(p + 1, 0.5))
    frozen = optim.freeze(optim.by_path(r"^\[0\]", r"\[3\]\.bias"))
    optimizer = optim.descend(optim.chain(optim.scale(-0.1), frozen))
    after, _ = optimizer.step(params, grads, optimizer.init(params))
    rows = zip(tree.paths(params), tree.leaves(params), tree.leaves(after), strict=True)
    kept = {path for path, p, new in rows if np.array_equal(p, new)}
    assert kept == {"[0].weight", "[0].bias", "[3].bias"}


def test_a_mask_by_path_is_a_value() -> None:
    import copy
    import pickle

    mask = optim.by_path("bias$", r"\[0\]")
    assert repr(mask) == "by_path('bias$', '\\\\[0\\\\]')"
    assert eval(repr(mask), vars(optim)) == mask != optim.by_path("bias$")
    assert pickle.loads(pickle.dumps(mask)) == copy.deepcopy(mask) == mask
    optimizer = optim.adamw(0.1, mask=optim.by_path("weight"))
    assert repr(optimizer) == "adamw(0.1, mask=by_path('weight'))"
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer


def test_a_mask_by_path_that_chooses_nothing_or_is_wrong_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"fits 'wieght', got \[0\]\.weight, \[0\]\.bias, "):
        optim.by_path("wieght")(params_of_a_model())
    assert optim.by_path("x")(()) == ()
    with pytest.raises(ArgumentError, match=r"expected a regular expression, got '\[0': "):
        optim.by_path("[0")
    for wrong in (lambda: optim.by_path(), lambda: optim.by_path(3)):  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match=r"^expected "):
            wrong()
