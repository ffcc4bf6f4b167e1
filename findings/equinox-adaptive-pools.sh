#!/usr/bin/env bash
# Equinox' adaptive pools cut the axis into other pieces than PyTorch's: of 0, 1, ..., 6 the three
# means are 1, 3.5, 5.5, and 1, 3, 5 in PyTorch. AvgPool with use_ceil counts elements that are not
# there.
#
# Versions: equinox 0.13.8 with jax 0.10.2, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Guess before running: the same, since the layers have the names and arguments of PyTorch's, and
# weights are carried over one by one.
# Seen: Equinox makes pieces of n // k + 1 elements first and then of n // k, which do not overlap;
# PyTorch's begin at floor(i n / k), end at ceil((i + 1) n / k) and overlap. They agree where k
# divides n, so a network moved at its own image size is right and at another size it is not. Of
# five ones the last mean of two with use_ceil=True is 0.5, and 1 in PyTorch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet equinox==0.13.8 jax==0.10.2 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import torch

row = np.arange(7, dtype=np.float32)[None]
for size in (3, 4):
    for kind in ("AdaptiveAvgPool1d", "AdaptiveMaxPool1d"):
        ours = getattr(eqx.nn, kind)(size)(jnp.array(row)).ravel()
        theirs = getattr(torch.nn, kind)(size)(torch.tensor(row)).ravel()
        print(kind, size, "equinox", ours.tolist(), "torch", theirs.tolist())
ones = np.ones((1, 5), np.float32)
print("ceil, equinox", eqx.nn.AvgPool1d(2, 2, use_ceil=True)(jnp.array(ones)).ravel().tolist())
print("ceil, torch", torch.nn.AvgPool1d(2, 2, ceil_mode=True)(torch.tensor(ones)).ravel().tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
AdaptiveAvgPool1d 3 equinox [1.0, 3.5, 5.5] torch [1.0, 3.0, 5.0]
AdaptiveMaxPool1d 3 equinox [2.0, 4.0, 6.0] torch [2.0, 4.0, 6.0]
AdaptiveAvgPool1d 4 equinox [0.5, 2.5, 4.5, 6.0] torch [0.5, 2.0, 4.0, 5.5]
AdaptiveMaxPool1d 4 equinox [1.0, 3.0, 5.0, 6.0] torch [1.0, 3.0, 5.0, 6.0]
ceil, equinox [1.0, 1.0, 0.5]
ceil, torch [1.0, 1.0, 1.0]
TEXT
diff "$folder/expected" "$folder/seen"
