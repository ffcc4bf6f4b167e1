#!/usr/bin/env bash
# A .pt file that torch.save wrote after torch.serialization.set_crc32_options(False) is a zip
# archive that Python's zipfile refuses to read, while torch.load reads it.
#
# Versions: torch 2.13.0 (CPU), Python 3.11.
# Guess before running: torch.load reads the file; zipfile raises BadZipFile for its members.
# Seen: the guess held. What was not guessed: the field of the checksum is 0 in every member, so a
# reader can tell such a file from a damaged one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/net.pt" <<'PYTHON'
import sys
import zipfile

import torch

path, state = sys.argv[1], torch.nn.Linear(3, 4).state_dict()
for with_checksums in (True, False):
    torch.serialization.set_crc32_options(with_checksums)
    torch.save(state, path)
    assert all(torch.equal(a, state[n]) for n, a in torch.load(path).items())
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
        zeros = {each.CRC for each in archive.infolist()} == {0}
    print("torch", torch.__version__, "checksums", with_checksums, "zipfile refuses", bad, zeros)
    assert (bad is None) == with_checksums, "this has changed"
    assert zeros == (not with_checksums), "this has changed"
PYTHON
