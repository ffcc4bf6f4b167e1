#!/usr/bin/env bash
# The CTC loss of labels that do not fit into the frames is inf in PyTorch, with NaN for the gradient
# of every frame, and 99999 in Optax, with a gradient that looks like any other.
#
# Versions: torch 2.13.0 (CPU), optax 0.2.8 with jax 0.10.2, numpy 2.4.6, Python 3.11.
# Guess before running: for no labels the same to 1e-6, which held; for too many none was written
# down, as inf is what the formula gives: no path spells the labels.
# Seen: of two frames and three labels. In Optax a mean over a batch shows one such pair as a loss
# too large, and training goes on; in PyTorch one such pair makes all params NaN (zero_infinity=True
# is the remedy there). The empty sequence of labels is right in both, to 1e-6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

scores = np.random.default_rng(0).normal(size=(1, 2, 3)).astype(np.float32)


def of_optax(scores, labels):
    return optax.ctc_loss(
        scores, jnp.zeros((1, 2)), jnp.array([labels], int), jnp.zeros((1, len(labels)))
    ).sum()


for labels in ([], [1, 1, 2]):
    leaf = torch.tensor(scores, requires_grad=True)
    loss = torch.nn.functional.ctc_loss(
        leaf.log_softmax(-1).transpose(0, 1), torch.tensor([labels], dtype=torch.long),
        torch.tensor([2]), torch.tensor([len(labels)]), reduction="sum",
    )
    loss.backward()
    value, gradient = jax.value_and_grad(of_optax)(scores, labels)
    print(labels, "torch", f"{loss.item():.3f}", "NaN" if leaf.grad.isnan().all() else "finite")
    print(labels, "optax", round(float(value)), "finite" if jnp.isfinite(gradient).all() else "NaN")
    print(labels, "the same", bool(abs(loss.item() - float(value)) < 1e-5))
PYTHON
cat > "$folder/expected" <<'TEXT'
[] torch 2.274 finite
[] optax 2 finite
[] the same True
[1, 1, 2] torch inf NaN
[1, 1, 2] optax 99999 finite
[1, 1, 2] the same False
TEXT
diff "$folder/expected" "$folder/seen"
