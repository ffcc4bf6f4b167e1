"""The same trajectories as PyTorch's optimizers, where PyTorch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnn import optim

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")

CASES: list[tuple[Any, str, dict[str, Any]]] = [
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
]


@pytest.mark.parametrize(("optimizer", "name", "options"), CASES, ids=repr)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_fifty_steps_as_pytorch_makes_them(
    optimizer: Any, name: str, options: Any, dtype: Any, rtol: float
) -> None:
    rng = np.random.default_rng(0)
    params: Any = tuple(rng.normal(size=shape).astype(dtype) for shape in ((3, 4), (4,)))
    theirs = [torch.tensor(leaf, requires_grad=True) for leaf in params]
    peer = getattr(torch.optim, name)(theirs, lr=0.1, **options)
    state = optimizer.init(params)
    for _ in range(50):
        grads = tuple(rng.normal(size=leaf.shape).astype(dtype) for leaf in params)
        params, state = optimizer.step(params, grads, state)
        for tensor, g in zip(theirs, grads, strict=True):
            tensor.grad = torch.tensor(g)
        peer.step()
    for ours, tensor in zip(params, theirs, strict=True):
        np.testing.assert_allclose(ours, tensor.detach().numpy(), rtol=rtol, atol=rtol)
