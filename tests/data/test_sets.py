import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest

from fcnn.data import _catalogue, _sets, available, fashion_mnist, mnist, read_idx, write_idx
from fcnn.data._embed import embed
from fcnn.errors import ArgumentError, DataError, FcnnError, LabelError

WHOLE = os.environ.get("FCNN_DATA")
needs_whole_sets = pytest.mark.skipif(not WHOLE, reason="FCNN_DATA names no folder of whole sets")


@pytest.fixture
def embedded(monkeypatch, tmp_path):
    """Neither FCNN_DATA nor the user's cache nor Debian's package is there."""
    monkeypatch.delenv("FCNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_sets, "DEBIAN", tmp_path / "debian")


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A folder with a small "MNIST": image i is all i, label i is i % 10."""
    files = {}
    (tmp_path / "mnist").mkdir()
    for split, n in (("train", 30), ("test", 20)):
        images, labels = _catalogue.stems(split)
        arrays = {
            images: np.repeat(np.arange(n, dtype=np.uint8), 784).reshape(n, 28, 28),
            labels: np.arange(n, dtype=np.uint8) % 10,
        }
        for stem, array in arrays.items():
            path = tmp_path / "mnist" / f"{stem}.gz"
            write_idx(path, array)
            content = gzip.decompress(path.read_bytes())
            files[stem] = _catalogue.File(len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(_catalogue, "MNIST", attrs.evolve(_catalogue.MNIST, files=files))
    monkeypatch.setitem(_catalogue.SOURCES, "mnist", _catalogue.MNIST)
    monkeypatch.setenv("FCNN_DATA", str(tmp_path))
    return tmp_path / "mnist"


@pytest.mark.parametrize(
    ("load", "split", "n"),
    [(mnist, "train", 5000), (mnist, "test", 1200), (fashion_mnist, "train", 10000)],
)
def test_the_embedded_sets_are_whole(embedded, load, split, n):
    data = load(split)
    assert data.inputs.shape == (n, 28, 28, 1)
    assert data.inputs.dtype == np.float32
    assert data.inputs.min() == 0.0
    assert data.inputs.max() == 1.0
    assert data.targets.shape == (n,)
    assert data.targets.dtype == np.int64
    assert set(data.targets.tolist()) == set(range(10))
    assert len(data.classes) == 10
    assert not data.inputs.flags.writeable


def test_pixels_are_divided_by_255_in_float32(embedded):
    raw = read_idx(_catalogue.EMBEDDED / "mnist-t10k-images-idx3-ubyte.gz")
    np.testing.assert_array_equal(
        mnist("test").inputs[..., 0], raw.astype(np.float32) / np.float32(255)
    )


def test_available_says_what_is_at_hand(embedded):
    assert available("mnist", "train") == 5000
    assert available("mnist", "test") == 1200
    assert available("fashion-mnist", "train") == 10000
    assert available("fashion-mnist", "test") == 0
    with pytest.raises(ArgumentError, match="one of mnist, fashion-mnist, got 'cifar'"):
        available("cifar", "train")


def test_the_embedded_files_are_small():
    assert sum(path.stat().st_size for path in _catalogue.EMBEDDED.iterdir()) < 6_000_000


def test_origin_and_licences_lie_beside_the_files():
    text = (_catalogue.EMBEDDED / "ORIGIN.md").read_text("utf-8")
    for words in ("LeCun", "Cortes", "Burges", "by-sa/3.0", "Zalando SE", "MIT License"):
        assert words in text


def test_limit_is_the_first_so_many(embedded):
    assert mnist("train", 100) == mnist("train")[:100]


def test_per_class_is_the_first_so_many_of_each_in_the_order_of_the_set(embedded):
    data, whole = mnist("test", per_class=3), mnist("test")
    expected = sorted(np.concatenate([np.flatnonzero(whole.targets == c)[:3] for c in range(10)]))
    assert data == whole[np.array(expected)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_first_hundred_zeros_and_ones_are_embedded(embedded, split):
    data, whole = mnist(split, classes=(1, 0), per_class=100), mnist(split)
    zeros, ones = [np.flatnonzero(whole.targets == label)[:100] for label in (0, 1)]
    assert data == whole[np.sort(np.concatenate([zeros, ones]))]
    assert np.bincount(data.targets).tolist() == [100, 100]


def test_limit_counts_what_the_other_arguments_leave(embedded):
    data = mnist("train", 7, classes=(3,))
    assert data == mnist("train", classes=(3,))[:7]
    assert data.targets.tolist() == [3] * 7


@pytest.mark.parametrize(
    ("load", "arguments", "message"),
    [
        (mnist, {"split": "train", "limit": 5001}, "expected 5001 examples, got 5000"),
        (mnist, {"split": "test", "per_class": 200}, "expected 200 of class ., got"),
        (mnist, {"split": "test", "classes": (5,), "limit": 1000}, "expected 1000 examples, got"),
        (
            fashion_mnist,
            {"split": "test"},
            "Fashion-MNIST test: expected examples, got none; none of its",
        ),
        (fashion_mnist, {"split": "test", "limit": 10}, "none of its examples are embedded"),
    ],
)
def test_more_than_is_embedded_is_refused_and_the_way_out_named(embedded, load, arguments, message):
    with pytest.raises(DataError, match=message) as caught:
        load(**arguments)
    assert "FCNN_DATA" in str(caught.value)
    assert "fcnn.data.download" in str(caught.value)
    assert "embedded" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"split": "validation"}, ArgumentError),
        ({"split": "train", "limit": 0}, ArgumentError),
        ({"split": "train", "limit": 2.5}, ArgumentError),
        ({"split": "train", "per_class": -1}, ArgumentError),
        ({"split": "train", "classes": ()}, LabelError),
        ({"split": "train", "classes": (0, 10)}, LabelError),
        ({"split": "train", "classes": (-1,)}, LabelError),
        ({"split": "train", "classes": 3}, LabelError),
        ({"split": "train", "classes": ("3",)}, LabelError),
        ({"split": "train", "classes": (0.5,)}, LabelError),
    ],
)
def test_arguments_out_of_range_are_refused(embedded, arguments, error):
    with pytest.raises(error):
        mnist(**arguments)


def test_a_damaged_embedded_file_is_refused_by_name(embedded, tmp_path, monkeypatch):
    for path in _catalogue.EMBEDDED.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    name = "mnist-t10k-labels-idx1-ubyte.gz"
    labels = read_idx(tmp_path / name).copy()
    labels[7] ^= 1
    write_idx(tmp_path / name, labels)
    monkeypatch.setattr(_catalogue, "EMBEDDED", tmp_path)
    with pytest.raises(DataError, match=f"{name}: expected the SHA-256"):
        mnist("test")


def test_fcnn_data_names_the_folder_of_the_whole_sets(made_up):
    data = mnist("train")
    assert len(data) == available("mnist", "train") == 30
    assert data.targets[:3].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(data.inputs[29], np.full((28, 28, 1), 29, np.float32) / 255)
    assert len(mnist("test", per_class=2)) == available("mnist", "test") == 20
    with pytest.raises(DataError, match=r"expected 31 examples, got 30; .*mnist has 30"):
        mnist("train", 31)


def test_uncompressed_files_will_do(made_up):
    before = mnist("train")
    for path in list(made_up.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert mnist("train") == before


def test_fcnn_data_may_begin_with_a_tilde(made_up, monkeypatch):
    monkeypatch.setenv("HOME", str(made_up.parent.parent))
    monkeypatch.setenv("FCNN_DATA", f"~/{made_up.parent.name}")
    assert len(mnist("train")) == 30


def test_a_file_of_another_size_is_not_read(made_up):
    """A header that promises more than the catalogue is refused before the data are read."""
    write_idx(made_up / "t10k-labels-idx1-ubyte.gz", np.zeros(21, np.uint8))
    with pytest.raises(DataError, match=r"ubyte\.gz: expected at most 28 bytes, got 29 bytes"):
        mnist("test")


def test_the_catalogues_sizes_are_those_of_the_shapes():
    for source in _catalogue.SOURCES.values():
        for split, n in (("train", 60_000), ("test", 10_000)):
            images, labels = _catalogue.stems(split)
            assert source.files[images].size == 16 + n * 28 * 28
            assert source.files[labels].size == 8 + n
        assert len(source.files) == 4


def test_an_empty_fcnn_data_is_none(monkeypatch):
    monkeypatch.setenv("FCNN_DATA", "")
    assert len(mnist("test")) == 1200


def test_a_missing_file_is_told_by_name(made_up):
    (made_up / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        DataError, match=r"mnist/train-labels-idx1-ubyte\.gz in the folder of FCNN_DATA"
    ):
        mnist("train")
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz in the folder"):
        available("mnist", "train")
    with pytest.raises(DataError, match=r"fashion-mnist/train-images-idx3-ubyte\.gz in the folder"):
        fashion_mnist("train")


def test_a_wrong_file_is_told_by_name(made_up):
    write_idx(made_up / "t10k-labels-idx1-ubyte.gz", np.zeros(20, np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: expected the SHA-256"):
        mnist("test")


@needs_whole_sets
@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_the_whole_sets_have_their_sizes(load):
    assert load("train").inputs.shape == (60000, 28, 28, 1)
    assert load("test").inputs.shape == (10000, 28, 28, 1)


@needs_whole_sets
@pytest.mark.parametrize(
    ("load", "split"), [(mnist, "train"), (mnist, "test"), (fashion_mnist, "train")]
)
def test_the_embedded_examples_are_the_first_of_the_whole_sets(monkeypatch, load, split):
    whole = load(split)
    monkeypatch.delenv("FCNN_DATA")
    embedded = load(split)
    assert embedded == whole[: len(embedded)]


@needs_whole_sets
def test_embedding_can_be_repeated(tmp_path):
    embed(Path(WHOLE), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in _catalogue.EMBEDDED.iterdir()
    } - {"ORIGIN.md"}
    sums = "SHA256SUMS.txt"
    assert (tmp_path / sums).read_text() == (_catalogue.EMBEDDED / sums).read_text()


@pytest.mark.parametrize("where", ["cache", "debian"])
def test_more_than_is_embedded_is_looked_for_elsewhere(made_up, monkeypatch, tmp_path, where):
    monkeypatch.delenv("FCNN_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_sets, "DEBIAN", tmp_path / "debian")
    with pytest.raises(DataError, match="expected 5001 examples"):
        mnist("train", 5001)
    target = {"cache": tmp_path / "cache" / "fcnn", "debian": tmp_path / "debian"}[where]
    target.mkdir(parents=True)
    made_up.rename(target / "mnist")
    with pytest.raises(DataError, match=r"expected 5001 examples, got 30; .* has 30 in all"):
        mnist("train", 5001)
    # The embedded test set has fewer of some class, the small set elsewhere has two of each.
    monkeypatch.setattr(
        _catalogue, "MNIST", attrs.evolve(_catalogue.MNIST, embedded={"train": 0, "test": 0})
    )
    assert mnist("test", per_class=2).targets.tolist() == [*range(10)] * 2


def test_importing_takes_nothing_that_only_files_need():
    code = (
        "import sys, numpy, attrs; before = set(sys.modules); import fcnn.data; "
        "print(*(set(sys.modules) - before) & {'gzip', 'lzma', 'http.client', 'urllib.request'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_refusal_is_an_fcnn_error():
    assert issubclass(DataError, FcnnError)
    assert issubclass(DataError, ValueError)
