import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcnn.data import read_idx, write_idx
from fcnn.errors import DataError, DTypeError

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


def test_a_header_that_promises_the_moon_takes_no_memory(tmp_path):
    path = tmp_path / "huge"
    path.write_bytes(b"\0\0\x0e\xff" + b"\xff" * (4 * 255))
    with pytest.raises(DataError, match="huge"):
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
    with pytest.raises(DataError, match=r"a\.gz: a damaged gzip file"):
        read_idx(path)


def test_the_checksum_is_that_of_the_unzipped_content(tmp_path):
    for name in ("a", "a.gz"):
        write_idx(tmp_path / name, np.arange(3, dtype=np.uint8))
    right = hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    for name in ("a", "a.gz"):
        assert len(read_idx(tmp_path / name, sha256=right)) == 3
        with pytest.raises(DataError, match=rf"{name}: its SHA-256 should be 00, and is {right}"):
            read_idx(tmp_path / name, sha256="00")


def test_a_type_that_idx_lacks_is_refused(tmp_path):
    with pytest.raises(DTypeError, match="int64"):
        write_idx(tmp_path / "a", np.arange(3))
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "a")
