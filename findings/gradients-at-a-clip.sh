#!/usr/bin/env bash
# JAX has three gradients for a number that stands on the bound of a clip, by the name of the function
# alone: 0, 0.5 or 1. PyTorch has 1 for clamp and 0 for hardtanh.
#
# Versions: jax 0.10.2, torch 2.13.0 (CPU), Python 3.11.
# Guess before running: 1 or 0.5, one of them for all functions of a library that cut off at a bound.
# Seen: of 1, cut off at 1, the gradient is 0.5 by jnp.clip and jnp.minimum, 0 by lax.clamp and by
# jax.nn.relu6 at its bound, 1 by jax.nn.hard_tanh. Numbers on the bound are no accident: pixels are
# 0 and 1, and what was clipped once is clipped again; adversarial steps and quantization-aware
# training lose half or all of their gradient there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import jax
import jax.numpy as jnp
import torch

functions = {
    "jnp.clip": lambda x: jnp.clip(x, -1.0, 1.0),
    "jnp.minimum": lambda x: jnp.minimum(x, 1.0),
    "jax.lax.clamp": lambda x: jax.lax.clamp(-1.0, x, 1.0),
    "jax.nn.hard_tanh": jax.nn.hard_tanh,
    "jax.nn.relu6, at 6": lambda x: jax.nn.relu6(5.0 + x),
    "torch.clamp": lambda x: x.clamp(-1, 1),
    "torch.minimum": lambda x: torch.minimum(x, torch.ones(())),
    "torch hardtanh": torch.nn.functional.hardtanh,
    "torch relu6, at 6": lambda x: torch.nn.functional.relu6(5 + x),
}
for name, function in functions.items():
    if name.startswith("j"):
        print(name, float(jax.grad(function)(1.0)))
    else:
        x = torch.tensor(1.0, requires_grad=True)
        function(x).backward()
        print(name, x.grad.item())
PYTHON
cat > "$folder/expected" <<'TEXT'
jnp.clip 0.5
jnp.minimum 0.5
jax.lax.clamp 0.0
jax.nn.hard_tanh 1.0
jax.nn.relu6, at 6 0.0
torch.clamp 1.0
torch.minimum 0.5
torch hardtanh 0.0
torch relu6, at 6 0.0
TEXT
diff "$folder/expected" "$folder/seen"
