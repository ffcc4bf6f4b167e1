#!/usr/bin/env bash
# tinygrad's max pool divides its gradient among equal numbers of a window, where PyTorch gives it to
# the first of them.
#
# Versions: tinygrad 0.14.0 (its Python device), torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Guess before running: to the first one, as in PyTorch, JAX's reduce_window and TensorFlow.
# Seen: a quarter to each of four zeros. Ties are the common case after a ReLU, whose zeros fill whole
# windows: there the gradient spreads over them. In a window with one largest number both agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tinygrad==0.14.0 torch==2.13.0 numpy==2.4.6
DEV=PYTHON "$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import numpy as np
import torch
from tinygrad import Tensor

for window in ([0, 0, 0, 0], [2, 1, 2, 0], [1, 2, 0, 0]):
    x = np.float32(window).reshape(1, 1, 2, 2)
    tensor = Tensor(x)
    (ours,) = tensor.max_pool2d((2, 2)).sum().gradient(tensor)
    leaf = torch.tensor(x, requires_grad=True)
    torch.nn.functional.max_pool2d(leaf, 2).sum().backward()
    print(window, "tinygrad", ours.numpy().ravel().tolist(), "torch", leaf.grad.ravel().tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
[0, 0, 0, 0] tinygrad [0.25, 0.25, 0.25, 0.25] torch [1.0, 0.0, 0.0, 0.0]
[2, 1, 2, 0] tinygrad [0.5, 0.0, 0.5, 0.0] torch [1.0, 0.0, 0.0, 0.0]
[1, 2, 0, 0] tinygrad [0.0, 1.0, 0.0, 0.0] torch [0.0, 1.0, 0.0, 0.0]
TEXT
diff "$folder/expected" "$folder/seen"
