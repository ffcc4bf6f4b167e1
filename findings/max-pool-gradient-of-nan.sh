#!/usr/bin/env bash
# The gradient of a max pool whose window holds several NaN: PyTorch gives it to the last of them,
# though of equal numbers the first one gets it.
#
# Versions: torch 2.13.0 (CPU), Python 3.11.
# Guess before running: the first in row-major order, for NaN as for equal numbers.
# Seen: ties go to the first place, NaN to the last: the kernel's comparison takes a later element
# if it is larger or a NaN. Channels-last memory gives the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$folder/seen"
import torch

nan = float("nan")
for name, window in (("ties", [[2.0, 1.0], [2.0, 2.0]]), ("NaN", [[1.0, nan], [nan, 2.0]])):
    for order in (torch.contiguous_format, torch.channels_last):
        x = torch.tensor([[window, window]]).contiguous(memory_format=order).requires_grad_()
        torch.nn.functional.max_pool2d(x, 2).sum().backward()
        print(name, x.grad[0, 0].flatten().tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
ties [1.0, 0.0, 0.0, 0.0]
ties [1.0, 0.0, 0.0, 0.0]
NaN [0.0, 0.0, 1.0, 0.0]
NaN [0.0, 0.0, 1.0, 0.0]
TEXT
diff "$folder/expected" "$folder/seen"
