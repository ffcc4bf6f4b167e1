#!/usr/bin/env bash
# patience=2 means two steps without improvement in Optax's reduce_on_plateau, and three in PyTorch's
# ReduceLROnPlateau; with patience=0 Optax reduces the rate at every step, whether the loss falls or
# not.
#
# Versions: optax 0.2.8 with jax 0.10.2, torch 2.13.0 (CPU), Python 3.11.
# Guess before running: both reduce on the third step without improvement; for patience=0 none.
# Seen: of losses that stay where they are the first is the best, and Optax reduces at the third call
# and PyTorch at the fourth, then every two and every three calls. Of falling losses with patience=0
# PyTorch never reduces; Optax divides by ten each time, 1e-5 after five calls. Count patience one
# higher in Optax than in PyTorch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8 torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import jax.numpy as jnp
import optax.contrib
import torch


def of_torch(patience, losses):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=patience)
    rates = []
    for loss in losses:
        plateau.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def of_optax(patience, losses):
    plateau = optax.contrib.reduce_on_plateau(factor=0.1, patience=patience)
    state, rates = plateau.init(jnp.zeros(1)), []
    for loss in losses:
        update, state = plateau.update(jnp.ones(1), state, value=loss)
        rates.append(float(update[0]))
    return rates


for name, patience, losses in (("flat", 2, [1.0] * 7), ("flat", 3, [1.0] * 7),
                               ("falling", 0, [5.0, 4.0, 3.0, 2.0, 1.0])):
    for run in (of_optax, of_torch):
        print(name, patience, run.__name__, *(f"{rate:.0e}" for rate in run(patience, losses)))
PYTHON
cat > "$folder/expected" <<'TEXT'
flat 2 of_optax 1e+00 1e+00 1e-01 1e-01 1e-02 1e-02 1e-03
flat 2 of_torch 1e+00 1e+00 1e+00 1e-01 1e-01 1e-01 1e-02
flat 3 of_optax 1e+00 1e+00 1e+00 1e-01 1e-01 1e-01 1e-02
flat 3 of_torch 1e+00 1e+00 1e+00 1e+00 1e-01 1e-01 1e-01
falling 0 of_optax 1e-01 1e-02 1e-03 1e-04 1e-05
falling 0 of_torch 1e+00 1e+00 1e+00 1e+00 1e+00
TEXT
diff "$folder/expected" "$folder/seen"
