#!/usr/bin/env bash
# optax.rprop is a step late: the first call to update returns zeros, and each later one the step for
# the gradients of the call before.
#
# Versions: optax 0.2.8 with jax 0.10.2, numpy 2.4.6, Python 3.11.
# Guess before running: twelve steps from drawn gradients are equal to 1e-5 in optax.rprop and
# torch.optim.Rprop (torch 2.13.0), whose settings have the same defaults.
# Seen: they differed by the whole learning rate after the first step, and by more than three times
# that after twelve. Below is the published rule beside Optax: its updates are those of the call
# before. Where the sign of a gradient turns, the step for the gradient before is never taken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$folder/seen"
import jax.numpy as jnp
import optax

optimizer = optax.rprop(0.1)
params = jnp.zeros(1)
state = optimizer.init(params)
size, before = 0.1, 0.0
for grad in (1.0, 1.0, 1.0, -1.0, -1.0):
    updates, state = optimizer.update(jnp.array([grad]), state, params)
    if grad * before > 0:
        size *= 1.2
    elif grad * before < 0:
        size, grad = size / 2, 0.0
    before = grad
    print(f"rule {-size * grad:+.3f} optax {float(updates[0]):+.3f}")
PYTHON
cat > "$folder/expected" <<'TEXT'
rule -0.100 optax -0.000
rule -0.120 optax -0.100
rule -0.144 optax -0.120
rule -0.000 optax -0.000
rule +0.072 optax -0.000
TEXT
diff "$folder/expected" "$folder/seen"
