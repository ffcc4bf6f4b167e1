#!/usr/bin/env bash
# Optax's cross-entropy takes labels that name no class: -1 counts as the last class, 5 of 3 is NaN.
#
# Versions: optax 0.2.8 with jax 0.10.2, Python 3.11.
# Guess before running: both are clamped to the nearest class, as JAX clamps indices elsewhere
# (jnp.arange(3)[7] is 2), or both are NaN.
# Seen: the loss of label -1 is that of the last class, a finite number, so a data set that marks
# "unknown" by -1 trains as if it were the last class; label 5 gives NaN, which the mean then is.
# jax.nn.one_hot of either is a row of zeros, with a loss of 0 (printed -0.0): three answers to one
# mistake.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 optax==0.2.8
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$folder/seen"
import jax
import jax.numpy as jnp
import optax

logits, labels = jnp.array([[1.0, 2.0, 4.0]] * 3), jnp.array([2, -1, 5])
whole = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
rows = optax.softmax_cross_entropy(logits, jax.nn.one_hot(labels, 3))
print("whole numbers:", [round(float(v), 4) for v in whole])
print("one-hot rows: ", [round(float(v), 4) for v in rows])
print("jnp.arange(3)[7]:", int(jnp.arange(3)[jnp.array(7)]))
PYTHON
cat > "$folder/expected" <<'TEXT'
whole numbers: [0.1698, 0.1698, nan]
one-hot rows:  [0.1698, -0.0, -0.0]
jnp.arange(3)[7]: 2
TEXT
diff "$folder/expected" "$folder/seen"
