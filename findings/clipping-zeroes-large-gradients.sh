#!/usr/bin/env bash
# Clipping by the global norm turns large finite float32 gradients into zeros, without a word.
#
# Versions: optax 0.2.8 with jax 0.10.2, torch 2.13.0 (CPU), Python 3.11.
# Guess before running: gradients (3e20, 4e20), clipped to norm 1, become (0.6, 0.8), as BLAS nrm2
# would have it; or infinity or NaN show that something is wrong.
# Seen: both square in float32, so the norm is inf; the gradients are multiplied by 1 / inf and
# are exactly 0. The step does nothing, and nothing is raised. The norm of (3e-25, 4e-25) is 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8 torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$folder/seen"
import jax.numpy as jnp
import optax
import torch

for name, values in (("large", [3e20, 4e20]), ("small", [3e-25, 4e-25])):
    grads = jnp.array(values, jnp.float32)
    clip = optax.clip_by_global_norm(1.0)
    updates, _ = clip.update(grads, clip.init(grads))
    print(name, "optax norm", float(optax.global_norm(grads)), "clipped", updates.tolist()[0] == 0)
    param = torch.nn.Parameter(torch.zeros(2))
    param.grad = torch.tensor(values)
    norm = torch.nn.utils.clip_grad_norm_([param], 1.0)
    print(name, "torch norm", float(norm), "clipped", param.grad.tolist()[0] == 0)
PYTHON
cat > "$folder/expected" <<'TEXT'
large optax norm inf clipped True
large torch norm inf clipped True
small optax norm 0.0 clipped False
small torch norm 0.0 clipped False
TEXT
diff "$folder/expected" "$folder/seen"
