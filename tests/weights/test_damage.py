"""Damaged files are refused with a documented error, or give params of the model's shapes."""

import os
import shutil
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.errors import DataError, TreeError
from tests.weights.test_files import FILES, KINDS, NETWORKS, SHAPE, network_of, skip_without

COUNT = int(os.environ.get("FCNN_MUTATIONS", "100"))
"""Of each format; `FCNN_MUTATIONS=10000` for the whole count."""


def damaged(rng, whole):
    """A file's bytes truncated, flipped, overwritten, with a part left out, repeated or empty."""
    data = bytearray(whole)
    match rng.integers(7):
        case 0:
            return bytes(data[: rng.integers(1, len(data))])
        case 1:
            for _ in range(rng.integers(1, 4)):
                data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        case 2:  # in a header or the directory, not in the numbers
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
        case 6:  # a size of many digits
            start = rng.integers(len(data))
            data[start : start + 4] = b"\xff\xff\xff\x7f"
    return bytes(data) or b"\0"


@pytest.fixture
def files(tmp_path):
    for file in KINDS:
        shutil.copy(FILES / file, tmp_path)
    model = NETWORKS["torch"]
    params = fcnn.weights.load(FILES / "torch.pt", model, SHAPE).params
    fcnn.weights.save(tmp_path / "torch.safetensors", model, params, shape=SHAPE)
    return tmp_path


@contextmanager
def memory_is_bounded(is_looked_at):
    """Files here have 1 to 32 kB; tracing is slow."""
    if not is_looked_at:
        yield
        return
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1e6


@pytest.mark.parametrize("file", [*KINDS, "torch.safetensors"])
def test_damaged_files_are_right_or_refused(rng, files, file):
    if file in KINDS:
        skip_without(file)
    path, model = files / file, network_of(file)
    whole = path.read_bytes()
    right = fcnn.weights.load(path, model, SHAPE).params
    refused = 0
    for i in range(COUNT):
        path.write_bytes(damaged(rng, whole))
        try:
            with memory_is_bounded(i % 20 == 0):
                found = fcnn.weights.load(path, model, SHAPE)
        except (DataError, TreeError):  # any other error fails
            refused += 1
        else:  # without a checksum numbers may differ, structure and shapes not
            assert tree.structure(found.params) == tree.structure(right)
            shapes = [leaf.shape for leaf in tree.leaves(found.params)]
            assert shapes == [leaf.shape for leaf in tree.leaves(right)]
            if file == "torch.pt":
                assert found.params == right
    assert refused > COUNT // 5


@pytest.mark.parametrize("kind", ["pt", "pth", "safetensors", "msgpack", "h5", "keras"])
def test_reading_takes_the_files_size(tmp_path, kind):
    """One dense layer holds most of the numbers, and each layer is transposed."""
    model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.flatten, fcnn.dense(300), fcnn.dense(10))
    path, shape = tmp_path / f"net.{kind}", (20, 20, 1)
    write_big(path, kind)
    fcnn.weights.load(path, model, shape)
    tracemalloc.start()
    fcnn.weights.load(path, model, shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * path.stat().st_size


def write_big(path, kind):
    if kind == "safetensors":
        model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.flatten, fcnn.dense(300), fcnn.dense(10))
        params, _ = model.init(fcnn.key(0), (20, 20, 1))
        fcnn.weights.save(path, model, params, shape=(20, 20, 1))
    elif kind in ("pt", "pth"):
        torch = pytest.importorskip("torch", exc_type=ImportError)
        net = torch.nn.Sequential(
            *(torch.nn.Conv2d(1, 8, 3), torch.nn.Flatten(), torch.nn.Linear(2592, 300)),
            torch.nn.Linear(300, 10),
        )
        torch.save(net.state_dict(), path, _use_new_zipfile_serialization=kind == "pt")
    else:
        arrays = [((3, 3, 1, 8), "Conv_0"), ((2592, 300), "Dense_0"), ((300, 10), "Dense_1")]
        layers = {
            name: {"kernel": np.ones(s, np.float32), "bias": np.ones(s[-1], np.float32)}
            for s, name in arrays
        }
        if kind == "msgpack":
            flax = pytest.importorskip("flax.serialization", exc_type=ImportError)
            path.write_bytes(flax.to_bytes({"params": layers}))
        else:
            write_keras(path, layers)


def write_keras(path, layers):
    """Write what Keras writes, with h5py."""
    import json
    import zipfile

    h5py = pytest.importorskip("h5py", exc_type=ImportError)
    inner = path.with_name("model.weights.h5")
    with h5py.File(inner, "w") as file:
        for (name, each), group in zip(layers.items(), ("conv2d", "dense", "dense_1"), strict=True):
            variables = file.create_group(f"layers/{group}/vars")
            variables.attrs["name"] = name
            for i, key in enumerate(("kernel", "bias")):
                variables[str(i)] = each[key]
    if path.suffix == ".h5":
        with h5py.File(inner, "a") as file:  # names of a class each, without a configuration
            for group in ("conv2d", "dense", "dense_1"):
                file[f"layers/{group}/vars"].attrs["name"] = group
        inner.rename(path)
        return
    kinds = {"Conv_0": "Conv2D", "Dense_0": "Dense", "Dense_1": "Dense"}
    config = [{"class_name": kinds[name], "config": {"name": name}} for name in layers]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": config}}))
        archive.write(inner, "model.weights.h5")
