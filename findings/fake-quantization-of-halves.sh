#!/usr/bin/env bash
# PyTorch's fake quantization, which a network is trained with, rounds halves another way than the
# quantization that it stands for, where the zero point is odd. NaN is another number in each.
#
# Versions: torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Guess before running: fake_quantize_per_tensor_affine is quantize_per_tensor and back, to the bit;
# all round half to even.
# Seen: with scale 1 and zero point 1, 0.5, 1.5 and 2.5 are 2, 2, 4 after quantize_per_tensor, which
# rounds x / scale + zero_point, and 1, 3, 3 in fake quantization, which rounds x / scale and then
# adds. With an even zero point they agree. quantize_per_tensor of NaN is the largest whole number,
# 255; fake quantization and quantize_per_channel give 0, the smallest.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import torch

x = torch.tensor([0.5, 1.5, 2.5, 300.0, -300.0, float("nan")])
for zero in (0, 1):
    points, scales = torch.tensor([zero]), torch.tensor([1.0])
    of = {
        "quantize_per_tensor": torch.quantize_per_tensor(x, 1.0, zero, torch.quint8).int_repr(),
        "quantize_per_channel": torch.quantize_per_channel(
            x[None], scales, points, 0, torch.quint8).int_repr()[0],
        "fake_per_tensor": torch.fake_quantize_per_tensor_affine(x, 1.0, zero, 0, 255) + zero,
        "fake_per_channel": torch.fake_quantize_per_channel_affine(
            x[None], scales, points.int(), 0, 0, 255)[0] + zero,
    }
    for name, y in of.items():
        print(zero, name, y.int().tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
0 quantize_per_tensor [0, 2, 2, 255, 0, 255]
0 quantize_per_channel [0, 2, 2, 255, 0, 0]
0 fake_per_tensor [0, 2, 2, 255, 0, 0]
0 fake_per_channel [0, 2, 2, 255, 0, 0]
1 quantize_per_tensor [2, 2, 4, 255, 0, 255]
1 quantize_per_channel [2, 2, 4, 255, 0, 0]
1 fake_per_tensor [1, 3, 3, 255, 0, 0]
1 fake_per_channel [1, 3, 3, 255, 0, 0]
TEXT
diff "$folder/expected" "$folder/seen"
