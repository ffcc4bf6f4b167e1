#!/usr/bin/env bash
# A Keras model with a bicubic UpSampling2D computes other numbers under JAX than under PyTorch, and
# quantile and top_k of equal numbers and the sign of NaN are others, too.
#
# Versions: keras 3.15.1, jax 0.10.2, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Guess before running: one Keras file means one function, to 1e-5, whichever backend runs it.
# Seen: nearest and bilinear agree, with and without antialias, and pools and convolutions of odd
# sizes. Bicubic does not: a step from 0 to 1, made twice as long, overshoots by 0.07 under JAX and by
# 0.11 under PyTorch, since the parameter of the cubic is -0.5 in one and -0.75 in the other. With
# antialias=True, which ought to change nothing when an image is enlarged, both use -0.5 and agree.
# The nearest quantile 0.5 of four numbers is the lower of the middle two or the upper; of equal
# numbers top_k lists other indices; the sign of NaN is NaN under JAX, and 0 under PyTorch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/one.py" <<'PYTHON'
import keras
import numpy as np
from keras import ops

step = np.tile(np.float32([0, 0, 0, 1, 1, 1]).reshape(1, 6, 1, 1), (1, 1, 4, 1))


def highest(y):
    return f"{float(ops.max(y)):.3f}"


print(keras.backend.backend())
for kind in ("bilinear", "bicubic"):
    print(kind, highest(keras.layers.UpSampling2D((2, 1), interpolation=kind)(step)))
print("antialias", highest(ops.image.resize(step, (12, 4), "bicubic", antialias=True)))
print("quantile", float(ops.quantile(np.float32([1, 2, 3, 4]), 0.5, method="nearest")))
print("top_k", ops.convert_to_numpy(ops.top_k(np.float32([1, 3, 3, 2, 3]), 3)[1]).tolist())
print("sign", float(ops.sign(np.float32(np.nan))))
PYTHON
for backend in jax torch; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" -W ignore "$folder/one.py" 2>/dev/null
done | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
jax
bilinear 1.000
bicubic 1.070
antialias 1.070
quantile 2.0
top_k [1, 2, 4]
sign nan
torch
bilinear 1.000
bicubic 1.105
antialias 1.070
quantile 3.0
top_k [2, 4, 1]
sign 0.0
TEXT
diff "$folder/expected" "$folder/seen"
