#!/usr/bin/env bash
# PyTorch turns infinity, and whatever is too large, into 448 when it converts to float8_e4m3fn;
# ml_dtypes, and with it JAX, gives NaN for the same conversion.
#
# Versions: torch 2.13.0 (CPU), ml_dtypes 0.6.0, numpy 2.4.6, Python 3.11.
# Guess before running: this format has no infinity, so inf is NaN in both; what is finite and too
# large is NaN or 448, the same in both.
# Seen: PyTorch gives 448 for 465, 10000 and inf, and -448 for -inf: a loss or a weight that has
# diverged comes out of the conversion finite. ml_dtypes gives NaN. In the other three formats both
# agree, also on NaN for inf in float8_e4m3fnuz, which has none either. To find an overflow in
# PyTorch one must look before the conversion.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ml_dtypes==0.6.0 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import ml_dtypes
import numpy as np
import torch

x = np.float32([448, 464, 465, 1e4, np.inf, -np.inf, np.nan])
for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"):
    ours = torch.tensor(x).to(getattr(torch, name)).float().numpy()
    theirs = x.astype(getattr(ml_dtypes, name)).astype(np.float32)
    if np.array_equal(ours, theirs, equal_nan=True):
        print(name, "the same, of inf:", ours[4])
    else:
        print(name, "torch", ours.tolist())
        print(name, "ml_dtypes", theirs.tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
float8_e4m3fn torch [448.0, 448.0, 448.0, 448.0, 448.0, -448.0, nan]
float8_e4m3fn ml_dtypes [448.0, 448.0, nan, nan, nan, nan, nan]
float8_e4m3fnuz the same, of inf: nan
float8_e5m2 the same, of inf: inf
float8_e5m2fnuz the same, of inf: nan
TEXT
diff "$folder/expected" "$folder/seen"
