"""Files that ask for more than numbers: refused by name, nothing executed, memory bounded."""

import collections
import json
import pickle
import struct
import sys
import tracemalloc
import zipfile

import pytest

import fcnn
from fcnn.errors import DataError, TreeError

MODEL, SHAPE = fcnn.serial(fcnn.dense(2)), (3,)


def archive(path, pickled, **members):
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("net/data.pkl", pickled)
        for name, data in members.items():
            out.writestr(f"net/{name}", data)


def call(module, name):
    """Protocol 2: the result of a function without arguments, in a dict."""
    return f"\x80\x02}}X\x01\x00\x00\x00ac{module}\n{name}\n)Rs.".encode("latin-1")


@pytest.fixture
def tripwire(tmp_path, monkeypatch):
    """A module that tells that it was imported, and a function in it."""
    (tmp_path / "tripwire_of_fcnn.py").write_text("ran = []\ndef touch():\n    ran.append(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "tripwire_of_fcnn"
    assert "tripwire_of_fcnn" not in sys.modules


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_is_imported_or_called(tmp_path, tripwire, legacy):
    path = tmp_path / "net.pt"
    hostile = call(tripwire, "touch")
    if legacy:
        magic = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        path.write_bytes(b"".join(pickle.dumps(each, 2) for each in magic) + hostile)
    else:
        archive(path, hostile)
    with pytest.raises(DataError, match=r"tripwire_of_fcnn\.touch"):
        fcnn.weights.load(path, MODEL, SHAPE)
    assert tripwire not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        ("collections", "Counter"), ("argparse", "Namespace"), ("builtins", "print"),
        ("numpy._core.multiarray", "scalar"), ("torch.nn.modules.linear", "Linear"),
        ("torch._utils", "_rebuild_qtensor"), ("torch", "load"), ("collections", "namedtuple"),
        ("__torch__.net", "Net"), ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused_by_name(tmp_path, name):
    path = tmp_path / "net.pt"
    archive(path, call(*name))
    with pytest.raises(DataError, match=r"got '" + r"\.".join(name)):
        fcnn.weights.load(path, MODEL, SHAPE)


class Plain:
    """Made by NEWOBJ, which is not an instruction that tensors need."""


@pytest.mark.parametrize("protocol", [2, 4])
def test_objects_of_classes_are_refused(tmp_path, protocol):
    path = tmp_path / "net.pt"
    for thing in (Plain(), collections.Counter("a"), {1, 2}, {"a": 1j}):
        archive(path, pickle.dumps({"a": thing}, protocol))
        with pytest.raises(DataError, match="expected a state_dict of tensors"):
            fcnn.weights.load(path, MODEL, SHAPE)


def test_a_function_of_the_list_is_no_value(tmp_path):
    """It has no attributes that a pickle could set or reach."""
    path = tmp_path / "net.pt"
    setting = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n}bs."
    archive(path, setting)
    with pytest.raises(DataError, match="BUILD of function"):
        fcnn.weights.load(path, MODEL, SHAPE)


PICKLES = {
    "a memo of 2^31": b"\x80\x02}r\xff\xff\xff\x7f.",
    "bytes of 2^60": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"ab.",
    "text of 2^31": b"\x80\x02X\xff\xff\xff\x7fab.",
    "a frame of 2^60": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}.",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "no end": b"\x80\x02}" + b"h\x00" * 100,
    "an empty stack": b"\x80\x020.",
    "a tuple of nothing": b"\x80\x02\x87.",
    "nested lists": b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
    "a number of many digits": b"\x80\x02L" + b"9" * 10_000 + b"L\n.",
}


def peak_of(path, error=(DataError, TreeError)):
    fcnn.weights.rule  # noqa: B018 (imported before memory is counted)
    tracemalloc.start()
    with pytest.raises(error):
        fcnn.weights.load(path, MODEL, SHAPE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickles_claims_take_no_memory(tmp_path, name):
    path = tmp_path / "net.pt"
    archive(path, PICKLES[name])
    assert peak_of(path) < 3e6


def tensor(size, stride, offset=0, count=6, key="0"):
    """A state_dict of one tensor, as `torch.save` pickles it."""
    head = b"\x80\x02}X\x08\x00\x00\x000.weight"
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    storage += b"X" + struct.pack("<I", len(key)) + key.encode() + b"X\x03\x00\x00\x00cpu"
    storage += pickled(count) + b"tQ"
    arguments = b"(" + storage + pickled(offset) + pickled(size) + pickled(stride) + b"\x89}t"
    return head + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def pickled(value):
    return pickle.dumps(value, 2)[2:-1]


def test_a_tensor_by_hand(tmp_path):
    path = tmp_path / "net.pt"
    archive(path, tensor((2, 3), (3, 1)), **{"data/0": struct.pack("<6f", *range(6))})
    found = fcnn.weights.load(path, MODEL, SHAPE, strict=False)
    assert found.params[0].weight.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found.filled == ["0.bias"]
    archive(path, tensor((2, 3), (1, 0)), **{"data/0": struct.pack("<6f", *range(6))})
    found = fcnn.weights.load(path, MODEL, SHAPE, strict=False)  # an expanded one
    assert found.params[0].weight.tolist() == [[0, 1], [0, 1], [0, 1]]


@pytest.mark.parametrize(
    "view",
    [
        ((2, 3), (3, 1), 1), ((2, 3), (4, 1), 0), ((2, 3), (-3, 1), 3), ((2, 3), (3,), 0),
        ((2, 3), (3, 1), -1), ((2, 3), (3, 1), 0, 7), ((2, 3), (3, 1), 0, 6, "../0"),
        ((2, 3), (2**62, 1), 0), ((10**9, 10**9), (0, 0), 0), ((2.0, 3), (3, 1), 0),
        ((1,) * 40, (1,) * 40, 0), ((2, 3), (3, 1), 0, -6), ((True, 3), (3, 1), 0),
    ],
)  # fmt: skip
def test_views_that_leave_their_storage_are_refused(tmp_path, view):
    path = tmp_path / "net.pt"
    archive(path, tensor(*view), **{"data/0": struct.pack("<6f", *range(6))})
    assert peak_of(path) < 3e6


def test_claims_of_other_files_take_no_memory(tmp_path):
    path = tmp_path / "net.safetensors"
    for claim in (2**62, 2**27, 90):
        path.write_bytes(struct.pack("<Q", claim) + b"{}" + b" " * 80)
        assert peak_of(path) < 3e6
    for shape, place in (([2**40, 2], [0, 8]), ([2, 1], [0, 2**50]), ([-1, -2], [0, 8])):
        entry = {"0.weight": {"dtype": "F32", "shape": shape, "data_offsets": place}}
        text = json.dumps(entry).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
        assert peak_of(path) < 3e6
    path = tmp_path / "net.msgpack"
    sizes = (
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 9999,
    )
    for claim in sizes:
        path.write_bytes(b"\x81\xa1a" + claim)
        assert peak_of(path) < 3e6


def test_a_compressed_archive_is_refused(tmp_path):
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("net/data.pkl", b"\x80\x02}." + bytes(10_000_000))
    assert path.stat().st_size < 20_000
    assert peak_of(path) < 3e6


def test_links_out_of_an_hdf5_file_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py", exc_type=ImportError)
    import numpy as np

    other, path = tmp_path / "other.h5", tmp_path / "net.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.ones((3, 2), np.float32)
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/1"] = np.zeros(2, np.float32)
        file["layers/dense/vars"]["0"] = h5py.ExternalLink(other, "secret")
    with pytest.raises(DataError, match="link"):
        fcnn.weights.load(path, MODEL, SHAPE)
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(24))
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (3, 2), "f4", external=[(str(raw), 0, 24)])
    with pytest.raises(DataError, match="elsewhere"):
        fcnn.weights.load(path, MODEL, SHAPE)
    with h5py.File(path, "w") as file:
        group = file.create_group("layers")
        group["layers"] = group
    with pytest.raises((DataError, TreeError)):
        fcnn.weights.load(path, MODEL, SHAPE)
