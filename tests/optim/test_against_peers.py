"""Trajectories of 200 steps in float64: those of PyTorch and Optax, where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fcnn import optim, tree

STEPS, TOLERANCE = 200, 1e-9


def start() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"b": rng.normal(size=4), "w": rng.normal(size=(3, 4))}


def gradient(params: dict[str, Any], step: int) -> dict[str, Any]:
    """Of a bowl with ripples, and of noise: every step's depends on the params."""
    rng = np.random.default_rng(1000 + step)
    return {
        name: np.linspace(0.5, 3, p.size).reshape(p.shape) * p
        + np.sin(3 * p)
        + 0.3 * rng.normal(size=p.shape)
        for name, p in sorted(params.items())
    }


def ours(optimizer: optim.Optimizer) -> Any:
    params: Any = start()
    state = optimizer.init(params)
    for step in range(STEPS):
        params, state = optimizer.step(params, gradient(params, step), state)
    return params


def agree(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, leaf in expected.items():
        np.testing.assert_allclose(found[name], leaf, rtol=TOLERANCE, atol=TOLERANCE)


TORCH: list[tuple[optim.Optimizer, str, dict[str, Any]]] = [
    (optim.sgd(0.1), "SGD", {}),
    (optim.sgd(0.1, weight_decay=0.1), "SGD", {"weight_decay": 0.1}),
    (optim.sgd(0.1, momentum=0.9), "SGD", {"momentum": 0.9}),
    (
        optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        "SGD",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    (optim.adam(0.1), "Adam", {}),
    (optim.adam(0.1, b1=0.5, b2=0.9, eps=1e-3), "Adam", {"betas": (0.5, 0.9), "eps": 1e-3}),
    (optim.adamw(0.1), "AdamW", {}),
    (optim.adamw(0.1, weight_decay=0.3), "AdamW", {"weight_decay": 0.3}),
    (optim.rmsprop(0.1), "RMSprop", {"alpha": 0.9}),
    (optim.rmsprop(0.1, decay=0.99, momentum=0.5), "RMSprop", {"alpha": 0.99, "momentum": 0.5}),
    (optim.adagrad(0.1), "Adagrad", {}),
    (
        optim.adagrad(0.1, eps=1e-3, weight_decay=0.1),
        "Adagrad",
        {"eps": 1e-3, "weight_decay": 0.1},
    ),
    (optim.adadelta(0.1), "Adadelta", {}),
    (
        optim.adadelta(0.1, decay=0.7, eps=1e-3, weight_decay=0.1),
        "Adadelta",
        {"rho": 0.7, "eps": 1e-3, "weight_decay": 0.1},
    ),
    (optim.adamax(0.1), "Adamax", {}),
    (optim.adamax(0.1, b1=0.5, b2=0.9, eps=1e-2), "Adamax", {"betas": (0.5, 0.9), "eps": 1e-2}),
    (optim.amsgrad(0.1), "Adam", {"amsgrad": True}),
    (
        optim.amsgrad(0.1, b1=0.5, b2=0.8, eps=1e-3, weight_decay=0.1),
        "AdamW",
        {"amsgrad": True, "betas": (0.5, 0.8), "eps": 1e-3, "weight_decay": 0.1},
    ),
    (optim.nadam(0.1), "NAdam", {}),
    (
        optim.nadam(0.1, b1=0.8, b2=0.9, momentum_decay=0.1, weight_decay=0.1),
        "NAdam",
        {
            "betas": (0.8, 0.9),
            "momentum_decay": 0.1,
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
        },
    ),
    (optim.radam(0.1), "RAdam", {}),
    (
        optim.radam(0.1, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
        "RAdam",
        {
            "betas": (0.8, 0.95),
            "eps": 1e-3,
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
        },
    ),
    (optim.radam(0.1, b2=0.5), "RAdam", {"betas": (0.9, 0.5)}),  # never rectified
]


@pytest.mark.parametrize(("optimizer", "name", "options"), TORCH, ids=repr)
def test_200_steps_as_pytorch_makes_them(optimizer: Any, name: str, options: Any) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = {key: torch.tensor(leaf, requires_grad=True) for key, leaf in start().items()}
    peer = getattr(torch.optim, name)(list(theirs.values()), lr=0.1, **options)
    for step in range(STEPS):
        grads = gradient({key: t.detach().numpy() for key, t in theirs.items()}, step)
        for key, tensor in theirs.items():
            tensor.grad = torch.tensor(grads[key])
        peer.step()
    agree(ours(optimizer), {key: t.detach().numpy() for key, t in theirs.items()})


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("consistent_rms", [None, 0.2])
def test_200_steps_of_muon_as_pytorch_makes_them(
    nesterov: bool, consistent_rms: Any, monkeypatch: Any
) -> None:
    """PyTorch's matrices are (out, in); it computes in bfloat16, here in float64.

    With a large learning rate the steps overshoot, and rounding errors grow exponentially.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda matrix: matrix.double().clone())
    ours_muon = optim.muon(
        0.003,
        momentum=0.8,
        nesterov=nesterov,
        weight_decay=0.1,
        consistent_rms=consistent_rms,
        adam_learning_rate=0.01,
    )
    rng = np.random.default_rng(0)
    params: Any = {"b": rng.normal(size=4), "tall": rng.normal(size=(6, 4)),
                   "wide": rng.normal(size=(2, 2, 1, 7))}  # fmt: skip
    theirs = {
        name: torch.tensor(params[name].reshape(-1, params[name].shape[-1]).T.copy())
        for name in ("tall", "wide")
    }
    bias = torch.tensor(params["b"])
    peers = [
        torch.optim.Muon(
            list(theirs.values()),
            lr=0.003,
            momentum=0.8,
            nesterov=nesterov,
            weight_decay=0.1,
            adjust_lr_fn="match_rms_adamw" if consistent_rms else None,
        ),
        torch.optim.Adam([bias], lr=0.01),
    ]
    state = ours_muon.init(params)
    for step in range(STEPS):
        grads = gradient(params, step)
        for name, tensor in theirs.items():
            tensor.grad = torch.tensor(grads[name].reshape(-1, grads[name].shape[-1]).T.copy())
        bias.grad = torch.tensor(grads["b"])
        for peer in peers:
            peer.step()
        params, state = ours_muon.step(params, grads, state)
    expected = {
        name: tensor.numpy().T.reshape(params[name].shape) for name, tensor in theirs.items()
    }
    agree(params, {**expected, "b": bias.numpy()})


def _chain(*transforms: optim.Transform) -> optim.Optimizer:
    return optim.descend(optim.chain(*transforms, optim.scale_by_learning_rate(0.1)))


KERNELS = {"b": False, "w": True}
LABELS = {"b": "x", "w": "y"}
OPTAX: dict[str, tuple[optim.Optimizer, Callable[[Any], Any]]] = {
    # name: (ours, optax -> theirs)
    "sgd": (optim.sgd(0.1), lambda o: o.sgd(0.1)),
    "nesterov": (
        optim.sgd(0.1, momentum=0.9, nesterov=True),
        lambda o: o.sgd(0.1, momentum=0.9, nesterov=True),
    ),
    "adam": (optim.adam(0.1, b1=0.8), lambda o: o.adam(0.1, b1=0.8)),
    "adamw with a mask": (
        optim.adamw(0.1, weight_decay=0.3, mask=KERNELS),
        lambda o: o.adamw(0.1, weight_decay=0.3, mask=KERNELS),
    ),
    "rmsprop": (
        optim.rmsprop(0.1, decay=0.95, momentum=0.5),
        lambda o: o.rmsprop(0.1, decay=0.95, momentum=0.5, eps_in_sqrt=False),
    ),
    "cosine": (
        optim.sgd(optim.cosine(0.3, 150, final=0.03)),
        lambda o: o.sgd(o.cosine_decay_schedule(0.3, 150, alpha=0.1)),
    ),
    "step_decay": (
        optim.adam(optim.step_decay(0.2, every=30, factor=0.5)),
        lambda o: o.adam(o.exponential_decay(0.2, 30, 0.5, staircase=True)),
    ),
    "clip_by_global_norm": (
        _chain(optim.clip_by_global_norm(1.0)),
        lambda o: o.chain(o.clip_by_global_norm(1.0), o.sgd(0.1)),
    ),
    "trace after scaling": (
        optim.descend(optim.chain(optim.scale(-0.1), optim.trace(0.8))),
        lambda o: o.chain(o.scale(-0.1), o.trace(0.8)),
    ),
    "scale_by_schedule": (
        optim.descend(optim.chain(optim.scale_by_schedule(lambda s: -0.1 / (s + 1)))),
        lambda o: o.scale_by_schedule(lambda s: -0.1 / (s + 1)),
    ),
    "ema": (_chain(optim.ema(0.9)), lambda o: o.chain(o.ema(0.9), o.sgd(0.1))),
    "ema, biased": (
        _chain(optim.ema(0.9, debias=False)),
        lambda o: o.chain(o.ema(0.9, debias=False), o.sgd(0.1)),
    ),
    "masked": (
        _chain(optim.masked(optim.scale_by_adam(), KERNELS)),
        lambda o: o.chain(o.masked(o.scale_by_adam(), KERNELS), o.sgd(0.1)),
    ),
    "freeze": (
        optim.descend(optim.chain(optim.scale(-0.1), optim.freeze(KERNELS))),
        lambda o: o.chain(o.scale(-0.1), o.freeze(KERNELS)),
    ),
    "partition": (
        optim.partition({"x": optim.adam(0.1), "y": optim.sgd(0.1, momentum=0.5)}, LABELS),
        lambda o: o.partition({"x": o.adam(0.1), "y": o.sgd(0.1, momentum=0.5)}, LABELS),
    ),
    "adadelta": (
        optim.adadelta(0.5, decay=0.8),
        lambda o: o.adadelta(0.5, rho=0.8),
    ),
    "adamax": (optim.adamax(0.1, b1=0.8), lambda o: o.adamax(0.1, b1=0.8)),
    "lion": (
        optim.lion(0.01, b1=0.8, b2=0.95, weight_decay=0.1),
        lambda o: o.lion(0.01, b1=0.8, b2=0.95, weight_decay=0.1),
    ),
    "lion with a mask": (
        optim.lion(0.01, weight_decay=0.1, mask=KERNELS),
        lambda o: o.lion(0.01, weight_decay=0.1, mask=KERNELS),
    ),
    "lamb": (
        optim.lamb(0.01, weight_decay=0.1, mask=KERNELS),
        lambda o: o.lamb(0.01, weight_decay=0.1, mask=KERNELS),
    ),
    "scale_by_trust_ratio": (
        _chain(optim.scale_by_trust_ratio()),
        lambda o: o.chain(o.scale_by_trust_ratio(), o.sgd(0.1)),
    ),
    "muon": (
        optim.muon(0.003, momentum=0.9, nesterov=False, eps=1e-30),
        lambda o: o.contrib.muon(0.003, beta=0.9, nesterov=False, eps=1e-30),
    ),
    "accumulate": (
        optim.accumulate(optim.adam(0.1), 3),
        lambda o: o.MultiSteps(o.adam(0.1), 3, accumulator_dtype=np.float64),
    ),
}


@pytest.mark.parametrize("name", OPTAX)
def test_200_steps_as_optax_makes_them(name: str) -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    optimizer, make = OPTAX[name]
    with jax.enable_x64(True):
        peer = make(optax)
        theirs: Any = start()
        state = peer.init(theirs)

        @jax.jit
        def move(grads: Any, state: Any, params: Any) -> Any:
            updates, state = peer.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        for step in range(STEPS):
            moved, state = move(gradient(theirs, step), state, theirs)
            theirs = {key: np.asarray(leaf) for key, leaf in moved.items()}
    assert all(leaf.dtype == np.float64 for leaf in theirs.values())
    agree(ours(optimizer), theirs)


def test_params_ema_is_optaxs_ema_of_the_params() -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    optimizer = optim.params_ema(optim.sgd(0.1), 0.9)
    params: Any = start()
    state = optimizer.init(params)
    with jax.enable_x64(True):
        ema = optax.ema(0.9)
        ema_state, average = ema.init(params), jax.jit(ema.update)
        for step in range(50):
            params, state = optimizer.step(params, gradient(params, step), state)
            expected, ema_state = average(params, ema_state)
            agree(optim.current_params_ema(state), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clipping_what_is_not_finite_as_pytorch_and_optax_do(bad: float) -> None:
    grads = {"b": np.array([1.0, bad]), "w": np.array([[2.0]])}
    clip = optim.clip_by_global_norm(1.0)
    found, _ = clip.update(grads, clip.init(grads), grads)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    tensors = {key: torch.zeros(leaf.shape, dtype=torch.float64) for key, leaf in grads.items()}
    for key, tensor in tensors.items():
        tensor.grad = torch.tensor(grads[key])
    torch.nn.utils.clip_grad_norm_(tensors.values(), 1.0)
    import jax

    with jax.enable_x64(True):
        theirs, _ = optax.clip_by_global_norm(1.0).update(grads, optax.EmptyState())
    for key, leaf in found.items():
        assert np.array_equal(leaf, tensors[key].grad.numpy(), equal_nan=True)
        assert np.array_equal(leaf, np.asarray(theirs[key]), equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_follows_pytorch_within_its_precision(dtype: Any) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    optimizer = optim.adamw(0.01)
    params: Any = tree.astype(start(), dtype)
    theirs = {key: torch.tensor(leaf, requires_grad=True) for key, leaf in params.items()}
    peer = torch.optim.AdamW(list(theirs.values()), lr=0.01)
    state = optimizer.init(params)
    for step in range(50):
        grads = tree.astype(gradient(start(), step), dtype)
        params, state = optimizer.step(params, grads, state)
        for key, tensor in theirs.items():
            tensor.grad = torch.tensor(grads[key])
        peer.step()
    for key, tensor in theirs.items():
        rtol = 2e-5 if dtype == np.float32 else 1e-12
        assert params[key].dtype == dtype
        np.testing.assert_allclose(params[key], tensor.detach().numpy(), rtol=rtol, atol=rtol)


WARMUP = optim.warmup(20, 0.1)
SCHEDULE_FREE: dict[str, tuple[optim.Optimizer, Callable[[Any], Any]]] = {
    "sgd": (
        optim.schedule_free_sgd(0.1),
        lambda o: o.contrib.schedule_free_sgd(0.1),
    ),
    "sgd with decay": (
        optim.schedule_free_sgd(0.1, b1=0.5, weight_decay=0.1, weight_lr_power=1.0),
        lambda o: o.contrib.schedule_free_sgd(0.1, b1=0.5, weight_decay=0.1, weight_lr_power=1.0),
    ),
    "adamw": (
        optim.schedule_free_adamw(0.1, b2=0.9, weight_decay=0.1),
        lambda o: o.contrib.schedule_free_adamw(0.1, b2=0.9, weight_decay=0.1),
    ),
    "falling": (
        optim.schedule_free_sgd(lambda step: 0.1 / (1 + 0.05 * step)),
        lambda o: o.contrib.schedule_free(
            o.sgd(lambda step: 0.1 / (1 + 0.05 * step)), lambda step: 0.1 / (1 + 0.05 * (step - 1))
        ),
    ),
    "masked and warmed up": (
        optim.schedule_free(
            optim.chain(optim.scale_by_rms(0.8), optim.add_decayed_weights(0.3, mask=KERNELS)),
            WARMUP,
        ),
        # Optax counts the steps of the weights of the average from 1.
        lambda o: o.contrib.schedule_free(
            o.chain(
                o.scale_by_rms(0.8, eps_in_sqrt=False),
                o.add_decayed_weights(0.3, mask=KERNELS),
                o.scale_by_learning_rate(lambda step: _warmup(step)),
            ),
            lambda step: _warmup(step - 1),
        ),
    ),
}


def _warmup(step: Any) -> Any:
    import jax.numpy as jnp

    return jnp.minimum(0.1, 0.1 * (step + 1) / 20)


@pytest.mark.parametrize("name", SCHEDULE_FREE)
def test_200_steps_and_the_average_as_optax_makes_them(name: str) -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    optimizer, make = SCHEDULE_FREE[name]
    params: Any = start()
    state = optimizer.init(params)
    for step in range(STEPS):
        params, state = optimizer.step(params, gradient(params, step), state)
    with jax.enable_x64(True):
        peer = make(optax)
        theirs: Any = start()
        its_state = peer.init(theirs)
        update = jax.jit(peer.update)
        for step in range(STEPS):
            updates, its_state = update(gradient(theirs, step), its_state, theirs)
            theirs = {key: np.asarray(leaf + updates[key]) for key, leaf in theirs.items()}
        average = optax.contrib.schedule_free_eval_params(its_state, theirs)
        average = {key: np.asarray(leaf) for key, leaf in average.items()}
    agree(params, theirs)
    agree(optim.schedule_free_params(params, state), average)


def spoiled(step: int, grads: dict[str, Any]) -> dict[str, Any]:
    """Gradients of which some are not finite: two in a row from step 10 on, four from 20 on."""
    bad = {3: np.nan, 10: np.inf, 11: -np.inf, 20: np.nan, 21: np.nan, 22: np.inf}.get(step)
    if bad is None:
        return grads
    return {**grads, "b": np.where(np.arange(4) == 2, bad, grads["b"])}


def test_200_steps_as_optaxs_apply_if_finite() -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    optimizer = optim.skip_nonfinite(optim.adam(0.1), 5)
    params: Any = start()
    state = optimizer.init(params)
    with jax.enable_x64(True):
        peer = optax.apply_if_finite(optax.adam(0.1), 5)
        theirs: Any = start()
        its_state = peer.init(theirs)
        update = jax.jit(peer.update)
        for step in range(200):
            params, state = optimizer.step(params, spoiled(step, gradient(params, step)), state)
            grads = spoiled(step, gradient(theirs, step))
            updates, its_state = update(grads, its_state, theirs)
            theirs = {key: np.asarray(leaf + updates[key]) for key, leaf in theirs.items()}
            assert state.consecutive == its_state.notfinite_count
            assert state.skipped == its_state.total_notfinite
    assert state.skipped == 6
    agree(params, theirs)


def test_200_steps_as_optaxs_sam() -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    f = optim.sam(lambda params, step: (0.0, gradient(params, step)), rho=0.3)
    optimizer = optim.sgd(0.1, momentum=0.5)
    params: Any = start()
    state = optimizer.init(params)
    for step in range(STEPS):
        params, state = optimizer.step(params, f(params, step)[1], state)
    with jax.enable_x64(True):
        adversary = optax.chain(optax.contrib.normalize(), optax.sgd(0.3))
        peer = optax.contrib.sam(
            optax.sgd(0.1, momentum=0.5), adversary, sync_period=2, opaque_mode=True
        )
        theirs: Any = start()
        its_state = peer.init(theirs)
        for step in range(STEPS):

            def grad_fn(at: Any, _: Any, step: int = step) -> Any:
                return gradient({key: np.asarray(leaf) for key, leaf in at.items()}, step)

            updates, its_state = peer.update(grad_fn(theirs, 0), its_state, theirs, grad_fn=grad_fn)
            theirs = {key: np.asarray(leaf + updates[key]) for key, leaf in theirs.items()}
    agree(params, theirs)
