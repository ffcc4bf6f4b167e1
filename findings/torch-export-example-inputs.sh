#!/usr/bin/env bash
# torch.export.save writes the example inputs that the program was traced with into the .pt2 file:
# whoever gets the network gets the images, too.
#
# Versions: torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Guess before running: the archive holds program, weights and shapes; inputs serve the tracing only.
# Seen: the member data/sample_inputs/model.pt is a pickle of them, and torch.export.load gives them
# back as example_inputs. A network of 35 params, exported with a batch of 64 images of 28 by 28 as
# people do, is a file of more than 200 kB that holds the images bit by bit. Nothing on the way says
# so; inputs of zeros are the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder/net.pt2" <<'PYTHON' | tee "$folder/seen"
import os
import sys
import zipfile

import torch

path = sys.argv[1]
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(2, 5)
).eval()
private = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
torch.export.save(torch.export.export(model, (private,)), path)
print("params", sum(p.numel() for p in model.parameters()))
print("more than 200 kB", os.path.getsize(path) > 200_000)
with zipfile.ZipFile(path) as archive:
    for name in archive.namelist():
        if private.numpy().tobytes() in archive.read(name):
            print("the images are in", name)
(loaded,), _ = torch.export.load(path).example_inputs
print("given back, the same bits", torch.equal(loaded, private))
PYTHON
cat > "$folder/expected" <<'TEXT'
params 35
more than 200 kB True
the images are in net/data/sample_inputs/model.pt
given back, the same bits True
TEXT
diff "$folder/expected" "$folder/seen"
