#!/usr/bin/env bash
# "RuntimeWarning: invalid value encountered in matmul" for finite numbers: float32 rows of five
# elements times a vector, with NumPy 2.4.6 on a processor with AVX-512, if the stack happens to
# hold the bits of a signalling NaN. The result is right.
#
# Versions: numpy 2.4.6 (OpenBLAS 0.3.31), Python 3.11, AMD EPYC (Zen 4).
# Guess before running: a product of finite numbers that are not large never warns.
# Seen: for 5 columns and 2, 3, 6, 7, 10, 11, ... rows NumPy warns; for other lengths, in float64,
# with OPENBLAS_CORETYPE=Haswell, or with NumPy 2.3.0, 2.3.5, 2.4.0 (OpenBLAS 0.3.29 and 0.3.30) and
# 2.5.5 (0.3.34), it does not. The kernel computes lanes that it did not load and leaves them out.
# The signalling NaN is put there by passing a structure by value; without it the warning is rare
# (none came in 68,000 training steps run to find it).
set -euo pipefail
if ! grep -q avx512f /proc/cpuinfo; then echo "no AVX-512 here"; exit 0; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cat > "$folder/five.py" <<'PYTHON'
import ctypes
import warnings

import numpy as np


class Words(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 20_000)]


given = Words()
np.frombuffer(given.words, np.uint32)[:] = 0x7F800001
touch = ctypes.PyDLL(None).getpid
touch.argtypes = [Words]

for dtype in (np.float32, np.float64):
    for length in (4, 5, 6):
        warned = []
        for rows in range(1, 12):
            a, v = np.ones((rows, length), dtype), np.ones(length, dtype)
            touch(given)
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                y = a @ v
            assert (y == length).all(), "the result is wrong too"
            if seen:
                warned.append(rows)
        print(dtype.__name__, length, warned)
PYTHON
"$folder/venv/bin/python" "$folder/five.py" | tee "$folder/seen"
OPENBLAS_CORETYPE=Haswell "$folder/venv/bin/python" "$folder/five.py" > "$folder/haswell"
cat > "$folder/expected" <<'TEXT'
float32 4 []
float32 5 [2, 3, 6, 7, 10, 11]
float32 6 []
float64 4 []
float64 5 []
float64 6 []
TEXT
diff "$folder/expected" "$folder/seen"
diff <(sed 's/\[.*\]/[]/' "$folder/expected") "$folder/haswell"
