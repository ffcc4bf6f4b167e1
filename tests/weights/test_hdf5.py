"""The reader of HDF5 files against h5py, which wrote them."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.errors import DataError
from fcnn.weights._hdf5 import File, Group
from fcnn.weights._stored import Stored, mapped

h5py = pytest.importorskip("h5py", exc_type=ImportError)

DTYPES = ["<f2", "<f4", "<f8", ">f4", ">f8", "<i8", "<u2", "|i1", "|u1", ">i4"]
NAMES = st.text("abcdefgh0123_:é", min_size=1, max_size=12).filter(lambda n: n.strip("."))


@st.composite
def arrays(draw):
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return (rng.standard_normal(shape) * 50).astype(draw(st.sampled_from(DTYPES)))


TREES = st.recursive(
    arrays(), lambda inner: st.dictionaries(NAMES, inner, max_size=7), max_leaves=12
)
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)


def write(group, tree):
    for name, each in tree.items():
        if isinstance(each, dict):
            write(group.create_group(name), each)
        else:
            group[name] = each


def same(found, tree):
    assert isinstance(found, Group)
    assert set(found) == set(tree)
    for name, each in tree.items():
        if isinstance(each, dict):
            same(found[name], each)
        else:
            assert isinstance(found[name], Stored)
            assert found[name].shape == each.shape
            values = found[name].read()
            assert values.dtype == each.dtype
            assert values.tobytes() == each.tobytes()


@settings(max_examples=60)
@given(
    tree=st.dictionaries(NAMES, TREES, max_size=7),
    texts=st.dictionaries(NAMES, st.one_of(TEXTS, st.lists(TEXTS, max_size=5)), max_size=6),
    oldest=st.sampled_from(["earliest", "v108", "v110", "v114"]),
)
def test_what_h5py_writes(tmp_path_factory, tree, texts, oldest):
    path = tmp_path_factory.mktemp("hdf5") / "a.h5"
    with h5py.File(path, "w", libver=(oldest, "latest")) as file:
        write(file, tree)
        for name, text in texts.items():
            file.attrs[name] = np.array(text, h5py.string_dtype()) if type(text) is list else text
        file.attrs["number"] = 3.0
        file.attrs["bytes"] = np.array([b"ab", b"abc"])
    root = File.of(mapped(path)).root()
    same(root, tree)
    assert root.attrs == {**texts, "number": None, "bytes": ["ab", "abc"]}


def test_many_in_a_group(tmp_path):
    """More than one node of the tree, and two levels of nodes."""
    path, names = tmp_path / "a.h5", [f"layer_{i}" for i in range(700)]
    with h5py.File(path, "w", libver=("earliest", "latest")) as file:
        for i, name in enumerate(names):
            file[name] = np.full(2, i, np.float32)
            file[name].attrs["name"] = name[::-1]
    root = File.of(mapped(path)).root()
    assert list(root) == sorted(names)
    assert [root[name].read()[0] for name in names] == list(range(700))


def test_bfloat16(tmp_path):
    path, values = tmp_path / "a.h5", np.array([1.0, -2.5, 3e38], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    with h5py.File(path, "w") as file:
        file["opaque"] = halves.view("V2")
    read = File.of(mapped(path)).root()["opaque"].read()
    assert np.array_equal(read, (halves.astype(np.uint32) << 16).view(np.float32))


def chunks(file):
    file.create_dataset("a", data=np.ones((8, 8)), chunks=(4, 4))


def packed(file):
    file.create_dataset("a", data=np.ones((8, 8)), compression="gzip")


def pairs(file):
    file["a"] = np.ones(3, [("x", "f4"), ("y", "f4")])


def text(file):
    file["a"] = ["x", "y"]


def soft(file):
    file["b"] = 1.0
    file["a"] = h5py.SoftLink("/b")


def in_a_heap(file):
    group = file.create_group("a", track_order=True)
    for i in range(20):
        group[str(i)] = i


@pytest.mark.parametrize(
    ("make", "said"),
    [
        *((chunks, "chunks"), (packed, "filtered|chunks"), (pairs, "type 6"), (text, "text")),
        *((soft, "link"), (in_a_heap, "heap")),
    ],
)
def test_what_is_not_read_is_refused(tmp_path, make, said):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with pytest.raises(DataError, match=said):
        list(File.of(mapped(tmp_path / "a.h5")).root()["a"])


def test_names_that_overlap_take_no_memory(tmp_path):
    """One long name for each of many entries: the work is bounded, not by what they claim."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(4):
            file[f"{i}{'x' * 1900}"] = 1.0
    data = bytearray(path.read_bytes())
    tree, node = data.index(b"TREE"), data.index(b"SNOD")
    data[tree + 32 : tree + 40] = struct.pack("<Q", len(data))  # the tree's first child
    data += data[node : node + 6] + struct.pack("<H", 60_000)
    data += data[node + 8 : node + 48] * 60_000
    path.write_bytes(data)
    with pytest.raises(DataError, match="too big"):
        list(File.of(mapped(path)).root())


def test_a_group_in_itself_ends(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers")["layers"] = file
    import fcnn

    with pytest.raises(DataError, match="too deep"):
        fcnn.weights.load(path, fcnn.dense(2), (3,))
