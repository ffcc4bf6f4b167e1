#!/usr/bin/env bash
# Optax's AMSGrad and PyTorch's take other steps from the second one on: after a large gradient the
# step of Optax is a third smaller.
#
# Versions: optax 0.2.8 with jax 0.10.2, torch 2.13.0 (CPU), Python 3.11.
# Guess before running: equal to 1e-6, since both have Adam's formula with the largest v so far, and
# Adam itself agrees.
# Seen: Optax takes the largest of the corrected averages v / (1 - b2^t), PyTorch corrects the largest
# of the averages (and so does Keras 3.15.1). The correction of the first step divides by 0.001, so
# in Optax the first gradient counts in full ever after. Of gradients 1, 0.1, 0.1, 0.1, 0.1 with the
# learning rate 0.1 Optax has gone 0.24 and PyTorch 0.35.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8 torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import jax.numpy as jnp
import optax
import torch

for name, of_optax, amsgrad in (("adam", optax.adam, False), ("amsgrad", optax.amsgrad, True)):
    optimizer, params = of_optax(0.1), jnp.zeros(1)
    state = optimizer.init(params)
    leaf = torch.nn.Parameter(torch.zeros(1))
    of_torch = torch.optim.Adam([leaf], lr=0.1, amsgrad=amsgrad)
    for gradient in (1.0, 0.1, 0.1, 0.1, 0.1):
        updates, state = optimizer.update(jnp.array([gradient]), state, params)
        params = params + updates
        leaf.grad = torch.tensor([gradient])
        of_torch.step()
        print(name, f"{gradient} optax {float(params[0]):.4f} torch {leaf.item():.4f}")
PYTHON
cat > "$folder/expected" <<'TEXT'
adam 1.0 optax -0.1000 torch -0.1000
adam 0.1 optax -0.1741 torch -0.1741
adam 0.1 optax -0.2374 torch -0.2374
adam 0.1 optax -0.2947 torch -0.2947
adam 0.1 optax -0.3483 torch -0.3483
amsgrad 1.0 optax -0.1000 torch -0.1000
amsgrad 0.1 optax -0.1526 torch -0.1741
amsgrad 0.1 optax -0.1895 torch -0.2374
amsgrad 0.1 optax -0.2186 torch -0.2947
amsgrad 0.1 optax -0.2430 torch -0.3483
TEXT
diff "$folder/expected" "$folder/seen"
