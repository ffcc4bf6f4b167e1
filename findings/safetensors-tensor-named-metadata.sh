#!/usr/bin/env bash
# safetensors saves a tensor named "__metadata__" without complaint, into a file that it cannot load:
# all the other tensors in it are out of its reach, too.
#
# Versions: safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Guess before running: the name is refused when it is saved, since the format keeps it for a map of
# strings.
# Seen: save returns bytes; load says that the header's JSON is invalid. The header names the key of
# the metadata as if it were a tensor, beside the tensors that are lost with it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

saved = safetensors.save({"__metadata__": np.ones(3, np.float32), "a": np.ones(2, np.float32)})
print("saved", type(saved).__name__)
try:
    print("loaded", safetensors.load(saved))
except SafetensorError as error:
    print("refused, invalid JSON in header:", "invalid JSON in header" in str(error))
PYTHON
cat > "$folder/expected" <<'TEXT'
saved bytes
refused, invalid JSON in header: True
TEXT
diff "$folder/expected" "$folder/seen"
