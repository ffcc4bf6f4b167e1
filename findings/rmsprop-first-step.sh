#!/usr/bin/env bash
# RMSprop with the same settings: the first step of Optax and of PyTorch differs by a factor of
# thousands where gradients are small.
#
# Versions: optax 0.2.8 with jax 0.10.2, torch 2.13.0 (CPU), Python 3.11.
# Guess before running: the same number for decay 0.9, eps 1e-8 and a gradient of 1e-8, since
# optax.rmsprop and torch.optim.RMSprop implement one formula.
# Seen: Optax adds eps inside the square root, PyTorch outside. sqrt(1e-17 + 1e-8) is 1e-4, and
# sqrt(1e-17) + 1e-8 is 1.3e-8: steps of 0.0001 and 0.76 for a learning rate of 1. With
# eps_in_sqrt=False Optax does what PyTorch does. Adam has its eps outside in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8 torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$folder/seen"
import jax.numpy as jnp
import optax
import torch

grads = jnp.array([1e-8], jnp.float32)
for name, settings in (("optax", {}), ("optax, eps_in_sqrt=False", {"eps_in_sqrt": False})):
    optimizer = optax.rmsprop(1.0, decay=0.9, eps=1e-8, **settings)
    updates, _ = optimizer.update(grads, optimizer.init(grads))
    print(f"{name}: {float(updates[0]):.4f}")
param = torch.nn.Parameter(torch.zeros(1))
param.grad = torch.tensor([1e-8])
torch.optim.RMSprop([param], lr=1.0, alpha=0.9, eps=1e-8).step()
print(f"torch: {param.item():.4f}")
PYTHON
cat > "$folder/expected" <<'TEXT'
optax: -0.0001
optax, eps_in_sqrt=False: -0.7597
torch: -0.7597
TEXT
diff "$folder/expected" "$folder/seen"
