#!/usr/bin/env bash
# The gradient of PyTorch's instance_norm for a single image is wrong, without an error, when the
# gradient that it is handed is a transposed view, as permute and movedim give; for two images or
# more, and from contiguous memory, it is right.
#
# Versions: torch 2.13.0 (CPU), Python 3.11.
# Guess before running: the layout of a gradient in memory never changes its value.
# Seen: for one image the two gradients differ by 2.7 where entries are about 1, and the one from
# contiguous memory is that of central differences; for two images they are equal to the bit. A
# comparison with a channels-last program meets it at batch 1 alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn.functional import instance_norm


def gradients(images):
    """The gradient for dy in contiguous memory, for the same dy as a view, and by differences."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(images, 3, 4, 5, dtype=torch.float64, generator=draw)
    view = torch.randn(images, 4, 5, 3, dtype=torch.float64, generator=draw).movedim(-1, 1)
    found = []
    for dy in (view.contiguous(), view):
        leaf = x.clone().requires_grad_()
        instance_norm(leaf).backward(dy)
        found.append(leaf.grad)
    direction, step = torch.randn(x.shape, dtype=torch.float64, generator=draw), 1e-6
    up, down = (instance_norm(x + s * direction) for s in (step, -step))
    return *found, ((up - down) * view).sum() / (2 * step), direction


print("torch", torch.__version__)
for images in (1, 2):
    contiguous, from_view, slope, direction = gradients(images)
    apart = (contiguous - from_view).abs().max().item()
    error = ((contiguous * direction).sum() - slope).abs().item()
    print(f"{images} image(s): gradients apart by {apart:.3f}, the contiguous one off by {error:.1e}")
    assert error < 1e-6, "the gradient from contiguous memory is wrong too"
    assert (apart > 0.5) == (images == 1), "this has changed"
PYTHON
