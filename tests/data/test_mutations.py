"""Damaged IDX files: each is read right or refused, in memory of the order of its data.

FCNN_MUTATIONS=20000 makes more of them.
"""

import collections
import gzip
import math
import os
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest

from fcnn.data import read_idx
from fcnn.errors import DataError

COUNT = int(os.environ.get("FCNN_MUTATIONS", "2000"))
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
SHAPES = [(), (0,), (7,), (3, 0, 2), (5, 4), (2, 3, 4, 5), (300,)]


# From Python 3.14 on io.DEFAULT_BUFFER_SIZE is 128 KiB; before, it was 8.
BUFFER = 150_000 if sys.version_info >= (3, 14) else 0


def expected(content):
    """The array of a file or None, and the bytes of data that are there for its header.

    By another way than the reader's: unzip all of it, then compare its length.
    """
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except Exception:
            return None, unzipped_size(content)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        return None, 0
    kind, axes = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        return None, 0
    shape = struct.unpack_from(f">{axes}I", content, 4)
    size = math.prod((kind.itemsize, *shape))
    there = min(size, len(content) - start)
    if len(content) != start + size:
        return None, there
    try:
        array = np.zeros(shape, kind.newbyteorder("="))
    except ValueError:  # 65 axes, or a zero beside lengths whose product is too large
        return None, there
    array.ravel()[:] = np.frombuffer(content[start:], kind)
    return array, there


def unzipped_size(content):
    """The bytes that come out of a gzip file before its damage."""
    try:
        return len(zlib.decompressobj(wbits=31).decompress(content))
    except zlib.error:
        return 4096


def idx(rng):
    code = int(rng.choice(list(TYPES)))
    shape = SHAPES[rng.integers(len(SHAPES))]
    numbers = rng.integers(0, 100, shape).astype(TYPES[code])
    return b"\0\0" + bytes([code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + (
        numbers.tobytes()
    )  # fmt: skip


def zipped(rng, content):
    return gzip.compress(content, int(rng.integers(10)), mtime=0)


def span(rng, content):
    first, last = sorted(rng.integers(0, len(content) + 1, 2).tolist())
    return first, last


def as_it_is(rng, content):
    return content


def truncated(rng, content):
    return content[: rng.integers(len(content) + 1)]


def flipped(rng, content):
    changed = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def flipped_in_front(rng, content):
    return flipped(rng, content[:12]) + content[12:]


def emptied(rng, content):
    first, last = span(rng, content)
    return content[:first] + bytes(last - first) + content[last:]


def cut_out(rng, content):
    first, last = span(rng, content)
    return content[:first] + content[last:]


def repeated(rng, content):
    first, last = span(rng, content)
    return content[:last] + content[first:]


def inserted(rng, content):
    first, _ = span(rng, content)
    return content[:first] + rng.bytes(int(rng.integers(1, 9))) + content[first:]


def concatenated(rng, content):
    other = idx(rng)
    return content + (zipped(rng, other) if content[:2] == b"\x1f\x8b" else other)


def padded(rng, content):
    return content + bytes(int(rng.integers(1, 600)))


def other_header(rng, content):
    """The lengths promise more or less, up to the most that a header can say."""
    axes = int(rng.choice([0, 1, 2, 3, 4, 64, 65, 255]))
    lengths = rng.choice([0, 1, 2, 3, 60, 300, 2**16, 2**32 - 1], axes)
    code = int(rng.integers(7, 16))
    return bytes([0, 0, code, axes]) + struct.pack(f">{axes}I", *lengths) + content[8:]


MUTATIONS = [
    as_it_is, truncated, flipped, flipped_in_front, emptied, cut_out, repeated, inserted,
    concatenated, padded, other_header,
]  # fmt: skip


def members(rng, content):
    """A gzip file of several members is the file of their contents together."""
    first, last = span(rng, content)
    parts = [content[:first], content[first:last], content[last:]]
    return b"".join([zipped(rng, part) for part in parts])


def bomb(rng, content):
    return gzip.compress(content + bytes(2 << 20), 6, mtime=0)


def mutated(rng):
    """The kind of damage, and the content of a damaged file."""
    mutate = MUTATIONS[rng.integers(len(MUTATIONS))]
    way = rng.integers(20)
    if way < 6:
        return f"plain, {mutate.__name__}", mutate(rng, idx(rng))
    if way < 12:
        return f"gzip of {mutate.__name__}", zipped(rng, mutate(rng, idx(rng)))
    if way < 18:
        return f"gzip, {mutate.__name__}", mutate(rng, zipped(rng, idx(rng)))
    if way < 19:
        return "members", members(rng, mutate(rng, idx(rng)))
    return "bomb", bomb(rng, mutate(rng, idx(rng)))


def traced(call):
    """What ``call`` returns, None for a `DataError`, and the memory that it takes at most."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        result = call()
    except DataError:
        result = None
    return result, tracemalloc.get_traced_memory()[1] - before


@pytest.fixture
def trace():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("trace")
def test_every_damaged_file_is_read_right_or_refused(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "file"
    counts = collections.Counter()
    for i in range(COUNT):
        kind, content = mutated(rng)
        path.write_bytes(content)
        right, there = expected(content)
        array, memory = traced(lambda: read_idx(path))
        counts[kind, "refused" if array is None else "read"] += 1
        assert (array is None) == (right is None), (i, kind)
        if array is not None:
            assert array.dtype == right.dtype, (i, kind)
            assert array.shape == right.shape, (i, kind)
            assert array.tobytes() == right.tobytes(), (i, kind)
        # 1.2 times the data, and the buffers of gzip and of the file.
        assert memory < 1.2 * there + 500_000 + BUFFER, (i, kind, memory, there)
    outcomes = collections.Counter()
    for (_, outcome), n in counts.items():
        outcomes[outcome] += n
    assert min(outcomes["read"], outcomes["refused"]) > COUNT / 10
    if COUNT > 2000:
        for key, n in sorted(counts.items()):
            print(n, *key)
        print(outcomes)


@pytest.mark.usefixtures("trace")
@pytest.mark.parametrize("name", ["numbers", "numbers.gz"])
@pytest.mark.parametrize("code", [8, 14])
def test_reading_takes_little_more_memory_than_the_data(tmp_path, name, code):
    kind = np.dtype(TYPES[code])
    numbers = np.random.default_rng(0).integers(0, 100, 4_000_000 // kind.itemsize).astype(kind)
    content = bytes([0, 0, code, 1]) + struct.pack(">I", numbers.size) + numbers.tobytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, 1) if name.endswith("gz") else content)
    array, memory = traced(lambda: read_idx(path))
    np.testing.assert_array_equal(array, numbers)
    assert array.nbytes == 4_000_000
    assert memory < 1.2 * array.nbytes + 300_000 + BUFFER


@pytest.mark.usefixtures("trace")
@pytest.mark.parametrize("is_zipped", [False, True])
def test_a_header_of_four_gigabytes_takes_the_memory_of_what_is_there(tmp_path, is_zipped):
    content = bytes([0, 0, 8, 1]) + struct.pack(">I", 2**32 - 1) + bytes(1_000_000)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if is_zipped else content)
    array, memory = traced(lambda: read_idx(path))
    assert array is None
    assert memory < 1.2 * 1_000_000 + 300_000 + BUFFER


@pytest.mark.usefixtures("trace")
def test_no_more_is_unzipped_than_max_bytes_allows(tmp_path):
    content = bytes([0, 0, 8, 1]) + struct.pack(">I", 4_000_000) + bytes(4_000_000)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content))
    array, memory = traced(lambda: read_idx(path, max_bytes=4_000_007))
    assert array is None
    assert memory < 600_000
    assert len(read_idx(path, max_bytes=4_000_008)) == 4_000_000
