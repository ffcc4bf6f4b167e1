#!/usr/bin/env bash
# PyTorch rounds float64 twice on the way to float16, through float32, and PyTorch and ml_dtypes do
# so on the way to bfloat16: the result is not the nearest number. NumPy's float16 is.
#
# Versions: torch 2.13.0 (CPU), ml_dtypes 0.6.0, numpy 2.4.6, Python 3.11.
# Guess before running: one rounding to the nearest, as IEEE 754 asks of a conversion.
# Seen: a number a little above the middle between 1 and the next float16 is 1 in PyTorch and the
# next float16 in NumPy; with bfloat16 it is 1 in both libraries. The whole number 2^24 + 2^16 + 1 goes
# wrong likewise in bfloat16. A test that compares halves made from float64 by PyTorch and by NumPy
# for equal bits fails for one drawn number in 16,000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ml_dtypes==0.6.0 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import ml_dtypes
import numpy as np
import torch

above = {"float16": 1 + 2**-11 + 2**-40, "bfloat16": 1 + 2**-8 + 2**-40}
nearest = {"float16": 1 + 2**-10, "bfloat16": 1 + 2**-7}
types = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
for name, value in above.items():
    x = np.float64([value])
    for library, y in (
        ("torch", torch.tensor(x).to(getattr(torch, name)).double().numpy()),
        ("numpy" if name == "float16" else "ml_dtypes", x.astype(types[name]).astype(np.float64)),
        ("by float32", x.astype(np.float32).astype(types[name]).astype(np.float64)),
    ):
        print(name, library, "nearest" if y[0] == nearest[name] else y[0])
whole = np.int64([2**24 + 2**16 + 1])
up = 2**24 + 2**17
print("whole, torch", int(torch.tensor(whole).bfloat16().double()[0]) == up)
print("whole, ml_dtypes", int(whole.astype(ml_dtypes.bfloat16).astype(np.float64)[0]) == up)
PYTHON
cat > "$folder/expected" <<'TEXT'
float16 torch 1.0
float16 numpy nearest
float16 by float32 1.0
bfloat16 torch 1.0
bfloat16 ml_dtypes 1.0
bfloat16 by float32 1.0
whole, torch False
whole, ml_dtypes False
TEXT
diff "$folder/expected" "$folder/seen"
