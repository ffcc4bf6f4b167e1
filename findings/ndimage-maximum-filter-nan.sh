#!/usr/bin/env bash
# What scipy.ndimage.maximum_filter makes of a NaN depends on the direction in which one looks: from
# the left one element is NaN, from the right none.
#
# Versions: scipy 1.17.1, numpy 2.4.6, Python 3.11.
# Guess before running: NaN wherever the window holds one, as np.max has it and as median_filter of
# the same window does.
# Seen: of a window of three, two of the three places that hold the NaN have the maximum of something
# else; which one is NaN, if any, changes when the array is reversed. minimum_filter likewise, the
# other way round: none from the left, one from the right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
from scipy import ndimage

x = np.array([1, 2, np.nan, 0, 5, 1, 3])
for name in ("maximum_filter", "minimum_filter", "median_filter"):
    run = getattr(ndimage, name)
    print(name, run(x, size=3).tolist(), "reversed:", run(x[::-1], size=3)[::-1].tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
maximum_filter [2.0, 2.0, 2.0, nan, 5.0, 5.0, 3.0] reversed: [2.0, 2.0, 2.0, 5.0, 5.0, 5.0, 3.0]
minimum_filter [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0] reversed: [1.0, nan, 0.0, 0.0, 0.0, 1.0, 1.0]
median_filter [1.0, nan, nan, nan, 1.0, 3.0, 3.0] reversed: [1.0, nan, nan, nan, 1.0, 3.0, 3.0]
TEXT
diff "$folder/expected" "$folder/seen"
