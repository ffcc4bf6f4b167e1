"""One table runs every optimizer through every objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fcnn import optim, tree


def quadratic(params: Any) -> tuple[float, Any]:
    """An ill-conditioned bowl: ½ Σ a x², with a from 1 to 10."""
    (x,) = params
    a = np.linspace(1.0, 10.0, x.size)
    return float(np.sum(a * x * x) / 2), (a * x,)


def rosenbrock(params: Any) -> tuple[float, Any]:
    x, y = params["x"], params["y"]
    value = (1 - x) ** 2 + 10 * (y - x * x) ** 2
    dx = -2 * (1 - x) - 40 * x * (y - x * x)
    return float(value.sum()), {"x": dx, "y": 20 * (y - x * x)}


def _logistic() -> Callable[[Any], tuple[float, Any]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    t = (x @ np.array([1.0, -2.0, 0.5, 0.0], np.float32) + 0.3 > 0).astype(np.float32)

    def value_and_grad(params: Any) -> tuple[float, Any]:
        weight, bias = params
        z = x @ weight + bias
        value = np.mean(np.logaddexp(0, z) - t * z)
        dz = (1 / (1 + np.exp(-z)) - t) / np.float32(len(t))
        return float(value), (x.T @ dz, np.array([dz.sum()]))

    return value_and_grad


OBJECTIVES: dict[str, tuple[Any, Any, float]] = {
    # name: (value_and_grad, start, what the value after 400 steps may be)
    "quadratic": (quadratic, (np.array([1.0, -1.0, 2.0, 0.5]),), 1e-3),
    "rosenbrock": (rosenbrock, {"x": np.array([-1.0]), "y": np.array([1.0])}, 0.1),
    "logistic": (_logistic(), (np.zeros(4, np.float32), np.zeros(1, np.float32)), 0.25),
}


def _descend(learning_rate: Any, *transforms: optim.Transform) -> optim.Optimizer:
    return optim.descend(optim.chain(*transforms, optim.scale_by_learning_rate(learning_rate)))


OPTIMIZERS: dict[
    str, tuple[Callable[[Any], optim.Optimizer], tuple[float, float | None, float]]
] = {
    # name: (how it is made from a learning rate, the rate for each of the objectives in turn)
    "sgd": (optim.sgd, (0.1, 0.01, 1.0)),
    "momentum": (lambda r: optim.sgd(r, momentum=0.9), (0.02, 0.003, 0.3)),
    "nesterov": (lambda r: optim.sgd(r, momentum=0.9, nesterov=True), (0.02, 0.003, 0.3)),
    "decayed": (lambda r: optim.sgd(r, weight_decay=1e-3), (0.1, 0.01, 1.0)),
    "adam": (optim.adam, (0.1, 0.1, 0.1)),
    "adamw": (optim.adamw, (0.1, 0.1, 0.1)),
    "kernels decay": (lambda r: optim.adamw(r, mask=optim.matrices), (0.1, 0.1, 0.1)),
    "rmsprop": (optim.rmsprop, (0.01, 0.01, 0.05)),
    "rmsprop, momentum": (lambda r: optim.rmsprop(r, momentum=0.9), (0.001, 0.001, 0.01)),
    "cosine": (lambda r: optim.adam(optim.cosine(2 * r, 400)), (0.1, 0.1, 0.1)),
    "warm-up": (lambda r: optim.sgd(optim.warmup(20, r)), (0.1, 0.01, 1.0)),
    "clipped": (lambda r: _descend(r, optim.clip_by_global_norm(1.0)), (0.1, 0.05, 1.0)),
    "averaged": (lambda r: _descend(r, optim.ema(0.5)), (0.1, 0.01, 1.0)),
    "partition": (lambda r: optim.partition({0: optim.adam(r)}, 0), (0.1, 0.1, 0.1)),
    "accumulated": (lambda r: optim.accumulate(optim.adam(r), 2), (0.1, 0.2, 0.2)),
    "adagrad": (optim.adagrad, (1.0, 0.3, 0.5)),
    "adadelta": (lambda r: optim.adadelta(r, eps=1e-3), (0.1, 0.1, 1.0)),
    "adamax": (optim.adamax, (0.1, 0.1, 0.1)),
    "amsgrad": (optim.amsgrad, (0.1, 0.1, 0.1)),
    "nadam": (optim.nadam, (0.1, 0.1, 0.1)),
    "radam": (optim.radam, (0.1, 0.1, 0.1)),
    "lion": (lambda r: optim.lion(optim.cosine(r, 400)), (0.05, 0.02, 0.1)),
    # Its steps are proportional to the weights, so that x does not get from -1 to 1.
    "lamb": (lambda r: optim.lamb(optim.cosine(r, 400)), (0.1, None, 0.03)),
    "muon": (lambda r: optim.muon(optim.cosine(r, 400), mask=True), (0.1, 0.03, 0.1)),
    "schedule-free sgd": (optim.schedule_free_sgd, (0.15, 0.01, 3.0)),
    "schedule-free adamw": (optim.schedule_free_adamw, (0.1, 0.1, 0.1)),
    "skip_nonfinite": (lambda r: optim.skip_nonfinite(optim.adam(r)), (0.1, 0.1, 0.1)),
    "params_ema": (lambda r: optim.params_ema(optim.adam(r), 0.9), (0.1, 0.1, 0.1)),
}


@pytest.mark.parametrize(
    ("name", "objective", "rate"),
    [
        (name, objective, rate)
        for name, (_, rates) in OPTIMIZERS.items()
        for objective, rate in zip(OBJECTIVES, rates, strict=True)
        if rate is not None
    ],
)
def test_every_optimizer_minimises_every_objective(name: str, objective: str, rate: float) -> None:
    make, _ = OPTIMIZERS[name]
    value_and_grad, start, bound = OBJECTIVES[objective]
    optimizer = make(rate)
    params, state = start, optimizer.init(start)
    for _ in range(400):
        _, grads = value_and_grad(params)
        params, state = optimizer.step(params, grads, state)
        assert all(np.isfinite(leaf).all() for leaf in tree.leaves(params))
    assert value_and_grad(params)[0] < bound
    assert [x.dtype for x in tree.leaves(params)] == [x.dtype for x in tree.leaves(start)]
    if name == "params_ema":
        assert value_and_grad(optim.current_params_ema(state))[0] < bound
    if name.startswith("schedule-free"):
        assert value_and_grad(optim.schedule_free_params(params, state))[0] < bound
