#!/usr/bin/env bash
# A NaN or an infinity among 32 weights makes all 32 of them zero when gguf quantizes to MXFP4, without
# a warning; in its other formats it makes them NaN.
#
# Versions: gguf 0.19.0, numpy 2.4.6, Python 3.11.
# Guess before running: NaN for the block, as the scale is made from the largest magnitude in it.
# Seen: so in Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1. MXFP4's scale is a byte of exponent, which a NaN becomes
# in a cast; the block comes back as zeros, and a network with a broken weight as one that was pruned.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gguf==0.19.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import numpy as np
from gguf import GGMLQuantizationType, quants

for value in (np.nan, np.inf):
    weights = np.ones((1, 64), np.float32)
    weights[0, 5] = value
    for name in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"):
        kind = GGMLQuantizationType[name]
        found = quants.dequantize(quants.quantize(weights, kind), kind)[0]
        first, second = found[:32], found[32:]
        print(value, name, "NaN or inf" if not np.isfinite(first).any() else first.tolist()[4:7],
              bool(np.abs(second - 1).max() < 0.01))
PYTHON
cat > "$folder/expected" <<'TEXT'
nan Q8_0 NaN or inf True
nan Q4_0 NaN or inf True
nan Q4_1 NaN or inf True
nan Q5_0 NaN or inf True
nan Q5_1 NaN or inf True
nan MXFP4 [0.0, 0.0, 0.0] True
inf Q8_0 NaN or inf True
inf Q4_0 NaN or inf True
inf Q4_1 NaN or inf True
inf Q5_0 NaN or inf True
inf Q5_1 NaN or inf True
inf MXFP4 [0.0, 0.0, 0.0] True
TEXT
diff "$folder/expected" "$folder/seen"
