import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcnn.data import read_idx, write_idx
from fcnn.errors import DataError, DTypeError, ShapeError

TYPES = [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]
arrays = st.sampled_from(TYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
    )
)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_folder
@given(arrays, st.sampled_from(["numbers", "numbers.gz"]))
def test_what_is_written_is_read(tmp_path, array, name):
    write_idx(tmp_path / name, array)
    back = read_idx(tmp_path / name)
    assert back.dtype == array.dtype
    assert back.dtype.isnative
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, array)


@in_one_folder
@given(arrays, st.data())
def test_every_truncation_is_refused(tmp_path, array, data):
    path = tmp_path / "numbers"
    write_idx(path, array)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError, match="numbers"):
        read_idx(path)


@in_one_folder
@given(arrays, st.data())
def test_every_truncation_of_a_gzip_file_is_refused(tmp_path, array, data):
    path = tmp_path / "numbers.gz"
    write_idx(path, array)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError, match=r"numbers\.gz"):
        read_idx(path)


@in_one_folder
@given(arrays, st.binary(min_size=1, max_size=9))
def test_every_addition_is_refused(tmp_path, array, more):
    path = tmp_path / "numbers"
    write_idx(path, array)
    path.write_bytes(path.read_bytes() + more)
    with pytest.raises(DataError, match=r"numbers.*bytes"):
        read_idx(path)


@pytest.mark.parametrize("head", [b"\0\1\x08\1", b"\1\0\x08\1", b"\0\0\x0a\1", b"PK\3\4", b"\0\0"])
def test_a_wrong_magic_number_is_refused_by_name(tmp_path, head):
    path = tmp_path / "picture.png"
    path.write_bytes(head + b"\0" * 9)
    if head == b"\0\0":
        path.write_bytes(head)
    with pytest.raises(DataError, match=rf"picture\.png.*{head.hex(' ')}"):
        read_idx(path)


@pytest.mark.parametrize(
    ("axes", "content"),
    [
        ((1,) * 65, b"\1"),
        ((0, 2**32 - 1, 2**32 - 1), b""),
        ((2**32 - 1,) * 255, b""),
        ((2**32 - 1,) * 64, bytes(9)),
    ],
)
@pytest.mark.parametrize("is_zipped", [False, True])
def test_a_shape_that_numpy_cannot_hold_is_refused(tmp_path, axes, content, is_zipped):
    path = tmp_path / "huge"
    head = bytes([0, 0, 14 if not content else 8, len(axes)])
    content = head + struct.pack(f">{len(axes)}I", *axes) + content
    path.write_bytes(gzip.compress(content) if is_zipped else content)
    with pytest.raises(DataError, match="huge: expected"):
        read_idx(path)


def test_more_than_max_bytes_is_refused(tmp_path):
    for name in ("a", "a.gz"):
        write_idx(tmp_path / name, np.arange(3, dtype=np.uint8))
        assert len(read_idx(tmp_path / name, max_bytes=11)) == 3
        with pytest.raises(DataError, match="at most 10 bytes, got 11 bytes for shape"):
            read_idx(tmp_path / name, max_bytes=10)


def test_a_gzip_file_is_not_longer_than_its_content_allows(tmp_path):
    """The zeros after a gzip file are padding; a gigabyte of them would take minutes."""
    path = tmp_path / "a.gz"
    write_idx(path, np.arange(3, dtype=np.uint8))
    content = path.read_bytes()
    path.write_bytes(content + bytes(100_000))
    assert len(read_idx(path)) == 3
    path.write_bytes(content + bytes(200_000))
    with pytest.raises(DataError, match="bytes of gzip"):
        read_idx(path)


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, -2]], np.int16))
    content = (tmp_path / "a").read_bytes()
    assert content == bytes.fromhex("00000b02 00000001 00000002 0001 fffe")


def test_whether_it_is_gzipped_is_told_by_content_not_by_name(tmp_path):
    write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    (tmp_path / "b").write_bytes(gzip.compress((tmp_path / "a").read_bytes()))
    (tmp_path / "c.gz").write_bytes((tmp_path / "a").read_bytes())
    assert read_idx(tmp_path / "b").tolist() == read_idx(tmp_path / "c.gz").tolist() == [0, 1, 2]


def test_a_damaged_gzip_file_is_refused(tmp_path):
    path = tmp_path / "a.gz"
    write_idx(path, np.arange(200, dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[30] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.gz: expected a whole gzip file, got a damaged one"):
        read_idx(path)


def test_the_checksum_is_that_of_the_unzipped_content(tmp_path):
    for name in ("a", "a.gz"):
        write_idx(tmp_path / name, np.arange(3, dtype=np.uint8))
    right = hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    for name in ("a", "a.gz"):
        assert len(read_idx(tmp_path / name, sha256=right)) == 3
        with pytest.raises(DataError, match=rf"{name}: expected the SHA-256 00, got {right}"):
            read_idx(tmp_path / name, sha256="00")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.arange(3), r"got int64; convert with array\.astype\(np\.int32\)"),
        (np.zeros(3, np.float16), r"got float16; .*np\.float32"),
        (np.zeros(3, bool), r"got bool; .*np\.uint8"),
        ("abc", "got <U3"),
    ],
)
def test_a_type_that_idx_lacks_is_refused(tmp_path, array, said):
    with pytest.raises(DTypeError, match=said):
        write_idx(tmp_path / "a", array)
    assert not list(tmp_path.iterdir())


def test_an_axis_that_idx_cannot_count_is_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"2\*\*32"):
        write_idx(tmp_path / "a", np.broadcast_to(np.uint8(0), (2**32,)))
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "a")
