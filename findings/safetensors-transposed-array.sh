#!/usr/bin/env bash
# safetensors.numpy.save writes a transposed NumPy array with its elements in the order of memory:
# what is loaded has the right shape and type, and other numbers.
#
# Versions: safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Guess before running: the numbers that come back are those that were saved, or an error says that
# the array is not contiguous, as safetensors.torch does.
# Seen: a weight `w.T`, as one writes it when a dense layer of PyTorch goes to a library that has the
# inputs first, comes back scrambled, without a word. np.ascontiguousarray(w.T) is the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
from safetensors import numpy as safetensors

weight = np.arange(6, dtype=np.float32).reshape(2, 3)
for name, array in (("w.T", weight.T), ("contiguous", np.ascontiguousarray(weight.T))):
    loaded = safetensors.load(safetensors.save({"weight": array}))["weight"]
    print(f"{name}: saved {array.tolist()}, loaded {loaded.tolist()}")
PYTHON
cat > "$folder/expected" <<'TEXT'
w.T: saved [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]], loaded [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
contiguous: saved [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]], loaded [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
TEXT
diff "$folder/expected" "$folder/seen"
