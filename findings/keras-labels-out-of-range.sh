#!/usr/bin/env bash
# Keras' SparseCategoricalCrossentropy of a label that names no class is 0 under JAX, the loss of a
# perfect prediction.
#
# Versions: keras 3.15.1, jax 0.10.2, numpy 2.4.6, Python 3.11.
# Guess before running: an error, under JAX as under PyTorch, where it is an IndexError.
# Seen: for -1 and for 5 of three classes, from logits and from probabilities. So a data set with
# labels from 1 to 10 in the place of 0 to 9 trains under JAX: the last class never counts, and the
# loss looks better for it. Optax, also on JAX, gives the last class's loss for -1 and NaN for 5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat > "$folder/one.py" <<'PYTHON'
import keras
import numpy as np

print(keras.backend.backend())
scores = np.float32([[0.2, 0.5, 0.3]])
for label in (1, -1, 5):
    for from_logits in (True, False):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        try:
            print(label, from_logits, f"{abs(float(loss(np.array([label]), scores))):.3f}")
        except Exception as error:
            print(label, from_logits, type(error).__name__)
PYTHON
KERAS_BACKEND=jax "$folder/venv/bin/python" -W ignore "$folder/one.py" 2>/dev/null | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
jax
1 True 0.940
1 False 0.693
-1 True 0.000
-1 False 0.000
5 True 0.000
5 False 0.000
TEXT
diff "$folder/expected" "$folder/seen"
