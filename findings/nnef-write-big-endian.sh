#!/usr/bin/env bash
# nnef.write_tensor writes a big-endian array with its bytes reversed, and read_tensor reads other
# numbers, without an error.
#
# Versions: nnef 1.0.10, numpy 2.4.6, Python 3.11, x86-64.
# Guess before running: the same numbers, or an error; NumPy code is rarely aware of byte order.
# Seen: contiguous, transposed, reversed and broadcast arrays of seven types come back as they were;
# big-endian ones, as NumPy gives for FITS, IDX and some HDF5 files, come back with their bytes in
# reverse: 1.0 is 4.6e-41.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nnef==1.0.10 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/one.dat" <<'PYTHON' | tee "$folder/seen"
import sys

import nnef
import numpy as np


def again(array):
    with open(sys.argv[1], "wb") as file:
        nnef.write_tensor(file, array)
    with open(sys.argv[1], "rb") as file:
        found = nnef.read_tensor(file)
    return found[0] if isinstance(found, tuple) else found


a = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
for name, array in (
    ("contiguous", a), ("transposed", a.T), ("reversed", a[:, ::-1]),
    ("broadcast", np.broadcast_to(a[0], (2, 3))), ("big-endian", a.astype(">f4")),
):
    found = again(array)
    print(name, "right" if np.array_equal(found, array) else f"first {found.ravel()[0]:.1e}")
PYTHON
cat > "$folder/expected" <<'TEXT'
contiguous right
transposed right
reversed right
broadcast right
big-endian first 4.6e-41
TEXT
diff "$folder/expected" "$folder/seen"
