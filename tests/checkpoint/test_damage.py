"""Damaged files are refused with a documented error, or give what was saved."""

import contextlib
import os
import tracemalloc

import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.errors import DataError, TreeError

COUNT = int(os.environ.get("FCNN_MUTATIONS", "400"))
"""Of each format; `FCNN_MUTATIONS=10000` for the whole count."""


def damaged(rng, whole):
    """A file's bytes truncated, flipped, overwritten, with a part left out, repeated or empty."""
    data = bytearray(whole)
    match rng.integers(7):
        case 0:
            return bytes(data[: rng.integers(len(data))])
        case 1:
            for _ in range(rng.integers(1, 4)):
                data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        case 2:  # in the description or the directory, not in the numbers
            place = rng.choice([rng.integers(2000), len(data) - 1 - rng.integers(1000)])
            data[place % len(data)] = rng.integers(256)
        case 3:
            start, length = rng.integers(len(data)), rng.integers(1, 200)
            del data[start : start + length]
        case 4:
            start, length = rng.integers(len(data)), rng.integers(1, 200)
            data[start:start] = data[start : start + length]
        case 5:
            start = rng.integers(len(data))
            data[start : start + 8] = rng.bytes(8)
        case 6:  # a digit of a shape or a size
            digits = [i for i in range(min(len(data), 3000)) if 48 <= data[i] < 58]
            data[rng.choice(digits)] = 48 + rng.integers(10)
    return bytes(data)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_damaged_files_are_right_or_refused(rng, tmp_path, kind):
    if kind == "safetensors":
        pytest.importorskip("safetensors")
    model = fcnn.serial(fcnn.named("a", fcnn.conv2d(4, 3)), fcnn.batch_norm(), fcnn.dense(8))
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    path = tmp_path / f"net.{kind}"
    fcnn.save(path, params, model=model, class_names=("x", "y"))
    whole, like = path.read_bytes(), params
    right = refused = 0
    for _ in range(COUNT):
        path.write_bytes(damaged(rng, whole))
        try:
            found = fcnn.load(path, like=like)
        except (DataError, TreeError):
            refused += 1
        else:  # .safetensors has no checksum: numbers may differ, structure and shapes not
            assert tree.structure(found) == tree.structure(params)
            assert [leaf.shape for leaf in tree.leaves(found)] == [
                leaf.shape for leaf in tree.leaves(params)
            ]
            if kind == "npz":
                assert found == params
            right += 1
        for read in (fcnn.load, fcnn.load_model, fcnn.load_info):
            with contextlib.suppress(DataError, TreeError):  # any other error fails
                read(path)
    assert refused > COUNT // 2
    assert right > 0


def test_a_files_claims_take_no_memory(tmp_path):
    """A header that claims more than the file holds is refused before anything is allocated."""
    path = tmp_path / "a.npz"
    fcnn.save(path, np.zeros(1000))
    claim, other = b"'shape': (1000,), }" + b" " * 7, b"'shape': (9999999999,), }"
    whole = path.read_bytes()
    assert claim in whole
    forged = whole.replace(claim, other + b" " * (len(claim) - len(other)))
    assert len(forged) == len(whole)
    path.write_bytes(forged)
    tracemalloc.start()
    with pytest.raises(DataError):
        fcnn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_reading_takes_the_files_size(tmp_path, kind):
    if kind == "safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"net.{kind}"
    fcnn.save(path, {"a": np.ones(1_000_000), "b": np.ones((500, 2000), order="F")})
    fcnn.load(path)
    tracemalloc.start()
    fcnn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * path.stat().st_size


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[]", "7", '{"tree": 7}', '{"format": 2, "tree": null}', "[" * 9999]
)
def test_other_descriptions_are_refused(tmp_path, text):
    import zipfile

    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("fcnn.json", text)
    if text == "null":  # as without a description: a dict of arrays
        assert fcnn.load(path) == {}
        return
    with pytest.raises(DataError, match="expected"):
        fcnn.load(path)


def test_another_version_is_named(tmp_path):
    import json
    import zipfile

    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as out:
        doc = {"format": 99, "tree": None, "environment": {"fcnn": "7.1"}}
        out.writestr("fcnn.json", json.dumps(doc))
    with pytest.raises(DataError, match=r"format 1, got 99; read it with .* 7\.1"):
        fcnn.load(path)
