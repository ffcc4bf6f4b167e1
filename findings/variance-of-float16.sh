#!/usr/bin/env bash
# np.var of float16 numbers adds them up in float16, while np.mean does so in float32: the variance of
# 5000 times 300 is inf, and that of 50 times 300 is 3.055.
#
# Versions: numpy 2.4.6, Python 3.11.
# Guess before running: 0 for equal numbers: the mean is right, and so is the variance about it.
# Seen: np.var and np.std compute a mean of their own, with no wider type for the sum, and take that
# off. Pixels from 0 to 255 in float16 have the mean 125 and the variance inf, where it is 5322. With
# an axis the sum in float16 loses its lower bits before it overflows. dtype=np.float32 is the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np

equal = np.full(5000, 300, np.float16)
pixels = (np.arange(2000) % 256).astype(np.float16)
rows = np.full((50, 2), 300, np.float16)
for name, x, axis in (("equal", equal, None), ("pixels", pixels, None), ("rows", rows, 0)):
    with np.errstate(all="ignore"):
        found = [np.mean(x, axis), np.var(x, axis), np.std(x, axis), np.var(x, axis, dtype=np.float32)]
    print(name, *(f"{float(np.ravel(each)[0]):.4g}" for each in found))
PYTHON
cat > "$folder/expected" <<'TEXT'
equal 300 inf inf 0
pixels 125 inf inf 5322
rows 300 3.055 1.748 0
TEXT
diff "$folder/expected" "$folder/seen"
