"""Published data sets, in small files of their layouts written by others' libraries."""

import bz2
import gzip
import hashlib
import io
import pickle
import string
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from fcnn.data import (
    Dataset,
    _remotes,
    cifar10,
    cifar100,
    download,
    emnist,
    kmnist,
    medmnist,
    norb,
    qmnist,
    read_npz,
    sklearn_digits,
    stl10,
    svhn,
    usps,
)
from fcnn.data._pickled import unpickle
from fcnn.errors import ArgumentError, DataError, FcnnError, LabelError

RNG = np.random.default_rng(0)


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Put a file where its reader looks for it, and its checksum into the catalogue."""
    monkeypatch.setenv("FCNN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def put(name, file, content):
        path = tmp_path / name / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        md5 = hashlib.md5(content).hexdigest()
        known = _remotes.REMOTES[name]
        assert any(each.name == file for each in known), file
        changed = tuple(
            [
                _remotes.Remote(
                    each.name, md5 if each.name == file else each.md5, each.most, each.mirrors,
                    each.optional,
                )
                for each in known
            ]
        )  # fmt: skip
        monkeypatch.setattr(_remotes, "REMOTES", {**_remotes.REMOTES, name: changed})
        return path

    return put


def images(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def check(data, pixels, labels, classes):
    assert len(data.classes) == classes
    assert data[:] == Dataset(pixels.astype(np.float32) / 255, labels, data.classes)


def idx(array):
    idx2numpy = pytest.importorskip("idx2numpy", exc_type=ImportError)
    return gzip.compress(idx2numpy.convert_to_string(array))


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


class TestIdx:
    def test_kmnist(self, publish):
        pixels, labels = images(6, 28, 28), np.arange(6, dtype=np.uint8)
        publish("kmnist", "t10k-images-idx3-ubyte.gz", idx(pixels))
        publish("kmnist", "t10k-labels-idx1-ubyte.gz", idx(labels))
        check(kmnist("test"), pixels[..., None], labels, 10)
        check(kmnist("test", 4), pixels[:4, ..., None], labels[:4], 10)
        with pytest.raises(DataError, match="KMNIST test: expected 7 examples, got 6"):
            kmnist("test", 7)
        with pytest.raises(DataError, match=r"fcnn\.data\.download\(name='kmnist'\)"):
            kmnist("train")

    def test_qmnist_has_the_class_in_the_first_column(self, publish):
        pixels, labels = images(5, 28, 28), RNG.integers(0, 10, (5, 8)).astype(np.int32)
        publish("qmnist", "qmnist-train-images-idx3-ubyte.gz", idx(pixels))
        publish("qmnist", "qmnist-train-labels-idx2-int.gz", idx(labels))
        check(qmnist("train"), pixels[..., None], labels[:, 0], 10)

    @pytest.mark.parametrize(
        ("part", "first", "classes"), [("letters", 1, 26), ("balanced", 0, 47)]
    )
    def test_emnist_is_turned_and_its_letters_count_from_0(self, publish, part, first, classes):
        pixels, labels = images(5, 28, 28), np.array([0, 3, 25, 1, 9], np.uint8)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            turned = pixels.transpose(0, 2, 1).copy()
            file.writestr(f"gzip/emnist-{part}-test-images-idx3-ubyte.gz", idx(turned))
            file.writestr(f"gzip/emnist-{part}-test-labels-idx1-ubyte.gz", idx(labels + first))
        publish("emnist", "gzip.zip", archive.getvalue())
        data = emnist("test", part=part)
        check(data, pixels[..., None], labels, classes)
        assert data.classes[labels[2]] == {"letters": "Z", "balanced": "P"}[part]
        with pytest.raises(DataError, match="emnist-digits-test-images"):
            emnist("test", part="digits")

    def test_the_merged_classes_of_emnist(self, publish):
        from fcnn.data._idx_sets import _PARTS

        merged = "CIJKLMOPSUVWXYZ".lower()
        assert len(_PARTS["byclass"]) == 62
        assert set(_PARTS["byclass"]) - set(_PARTS["bymerge"]) == set(merged)
        assert "".join(_PARTS["bymerge"]) == string.digits + string.ascii_uppercase + "abdefghnqrt"


class TestCifar:
    @pytest.fixture
    def rows(self):
        pixels = images(7, 32, 32, 3)
        planes = pixels.transpose(0, 3, 1, 2).reshape(7, 3072)
        return pixels, planes

    def test_binary_of_ten(self, publish, rows):
        pixels, planes = rows
        labels = np.array([[0], [9], [4], [4], [1], [2], [3]], np.uint8)
        content = np.concatenate([labels, planes], axis=1)
        parts = {
            f"cifar-10-batches-bin/data_batch_{i + 1}.bin": content[i : i + 1] for i in range(4)
        }
        parts["cifar-10-batches-bin/data_batch_5.bin"] = content[4:]
        parts = {name: part.tobytes() for name, part in reversed(parts.items())}
        parts["cifar-10-batches-bin/batches.meta.txt"] = b"airplane\n"
        publish("cifar-10", "cifar-10-binary.tar.gz", tar(parts))
        check(cifar10("train"), pixels, labels[:, 0], 10)
        with pytest.raises(DataError, match=r"expected a file test_batch\.bin in the archive"):
            cifar10("test")

    def test_binary_of_a_hundred(self, publish, rows):
        pixels, planes = rows
        coarse, fine = np.arange(7, dtype=np.uint8), np.arange(93, 100, dtype=np.uint8)
        content = np.concatenate([coarse[:, None], fine[:, None], planes], axis=1)
        files = {"cifar-100-binary/test.bin": content.tobytes()}
        publish("cifar-100", "cifar-100-binary.tar.gz", tar(files))
        check(cifar100("test"), pixels, fine, 100)
        check(cifar100("test", labels="coarse"), pixels, coarse, 20)
        assert cifar100("test").classes[99] == "worm"

    @pytest.mark.parametrize("key_type", [str, str.encode])  # of Python 3, and as of Python 2
    def test_pickles(self, publish, rows, key_type):
        pixels, planes = rows
        fine, coarse = [5, 99, 0, 1, 2, 3, 4], [1, 2, 3, 19, 5, 6, 0]
        held = {
            "data": planes,
            "fine_labels": fine,
            "coarse_labels": coarse,
            "filenames": ["a"] * 7,
        }
        held = {key_type(key): value for key, value in held.items()}
        files = {"cifar-100-python/train": pickle.dumps(held, 2)}
        publish("cifar-100", "cifar-100-python.tar.gz", tar(files))
        check(cifar100("train"), pixels, np.array(fine), 100)
        check(cifar100("train", labels="coarse"), pixels, np.array(coarse), 20)

    @pytest.mark.parametrize("part", [3072, 3074 * 2, 0])
    def test_rows_that_are_cut_are_refused(self, publish, rows, part):
        publish("cifar-10", "cifar-10-binary.tar.gz", tar({"x/test_batch.bin": bytes(part)}))
        with pytest.raises(DataError, match=r"test_batch\.bin: expected rows of 3073 bytes"):
            cifar10("test")

    def test_labels_beyond_the_classes_are_refused(self, publish):
        content = bytes([10]) + bytes(3072)
        publish("cifar-10", "cifar-10-binary.tar.gz", tar({"x/test_batch.bin": content}))
        with pytest.raises(LabelError, match="0 to 9 for 10 classes, got 10"):
            cifar10("test")

    def test_a_damaged_archive_of_a_known_checksum(self, publish, rows):
        whole = tar({"x/test_batch.bin": (bytes(1) + RNG.bytes(3072)) * 4})
        for content in (whole[:-9], whole[:30], b"", b"no archive", whole[:3000] + whole[3100:]):
            publish("cifar-10", "cifar-10-binary.tar.gz", content)
            with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: "):
                cifar10("test")


class TestPickles:
    def test_nothing_is_run(self, tmp_path):
        for harmful in (
            b"cos\nsystem\n(S'touch " + str(tmp_path / "run").encode() + b"'\ntR.",
            pickle.dumps(print),
            pickle.dumps(np.float64(1)),
            pickle.dumps(np.random.default_rng(0)),
            pickle.dumps(Dataset),
        ):
            with pytest.raises(DataError, match="expected numbers, strings and arrays in a pickle"):
                unpickle(harmful)
        assert not list(tmp_path.iterdir())

    def test_arrays_of_other_types_are_refused(self):
        for array in (np.zeros(3), np.array([{}], object), np.zeros(3, "i2")):
            with pytest.raises(DataError, match=r"array of uint8|pickle"):
                unpickle(pickle.dumps(array, 2)).array()

    def test_shape_order_and_bytes(self):
        array = images(3, 4)
        for protocol in (1, 2):
            for each in (array, np.asfortranarray(array)):
                np.testing.assert_array_equal(unpickle(pickle.dumps(each, protocol)).array(), array)

    def test_damaged_pickles_are_refused_in_little_memory(self):
        import tracemalloc

        whole = pickle.dumps({"data": images(4, 3072), "labels": [1, 2, 3, 4]}, 2)
        huge = [
            b"\x80\x02r\xff\xff\xff\x7f.",  # a place in the memo
            b"]r\xff\xff\xff\x7f.",
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\x00.",  # a length of bytes
            b"\x80\x02X\xff\xff\xff\x7f.",
            b"\x80\x04\x95\xff\xff\xff\xff\x00\x00\x00\x00.",
        ]
        rng, refused = np.random.default_rng(0), 0
        tracemalloc.start()
        for i in range(300 + len(huge)):
            content = bytearray(whole)
            for _ in range(rng.integers(1, 6)):
                content[rng.integers(200 if i % 2 else len(content))] = rng.integers(256)
            content = bytes(content[: rng.integers(len(content))] if i % 3 == 0 else content)
            if i >= 300:
                content = huge[i - 300]
            try:
                found = unpickle(content)
                if isinstance(found, dict) and hasattr(found.get("data"), "array"):
                    found["data"].array()
            except DataError:
                refused += 1
            else:
                assert i < 300
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
        tracemalloc.stop()
        assert refused > 150


class TestSvhn:
    def test_matlab_5(self, publish):
        io_ = pytest.importorskip("scipy.io")
        pixels, labels = images(4, 32, 32, 3), np.array([10, 1, 9, 10], np.uint8)
        file = io.BytesIO()
        io_.savemat(file, {"X": pixels.transpose(1, 2, 3, 0), "y": labels[:, None]})
        publish("svhn", "test_32x32.mat", file.getvalue())
        check(svhn("test"), pixels, labels % 10, 10)
        with pytest.raises(DataError, match=r"files=\['extra_32x32\.mat'\]"):
            svhn("extra")

    def test_matlab_7_3(self, publish, tmp_path):
        h5py = pytest.importorskip("h5py", exc_type=ImportError)
        pixels, labels = images(4, 32, 32, 3), np.array([10, 1, 9, 10], np.uint8)
        with h5py.File(tmp_path / "file", "w", userblock_size=512) as file:
            file["X"] = pixels.transpose(1, 2, 3, 0).T
            file["y"] = labels[None]
        head = b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM"
        content = head + (tmp_path / "file").read_bytes()[len(head) :]
        publish("svhn", "train_32x32.mat", content)
        check(svhn("train"), pixels, labels % 10, 10)

    def test_damaged(self, publish):
        publish("svhn", "test_32x32.mat", b"no matrix" * 100)
        with pytest.raises(DataError, match=r"test_32x32\.mat: expected a MATLAB file"):
            svhn("test")


def test_stl10_has_columns_first_and_labels_from_1(publish):
    pixels, labels = images(3, 96, 96, 3), np.array([0, 9, 4], np.uint8)
    files = {
        "stl10_binary/train_y.bin": (labels + 1).tobytes(),
        "stl10_binary/train_X.bin": pixels.transpose(0, 3, 2, 1).tobytes(),
        "stl10_binary/unlabeled_X.bin": b"",
    }
    publish("stl-10", "stl10_binary.tar.gz", tar(files))
    check(stl10("train"), pixels, labels, 10)
    with pytest.raises(DataError, match=r"expected a file test_X\.bin"):
        stl10("test")


def test_usps(publish):
    datasets = pytest.importorskip("sklearn.datasets", exc_type=ImportError)
    pixels = RNG.uniform(-1, 1, (5, 256)).round(3)
    pixels[1, ::3] = 0  # the format leaves zeros out
    labels = np.array([0, 9, 5, 5, 1])
    file = io.BytesIO()
    datasets.dump_svmlight_file(pixels, labels + 1, file, zero_based=False)
    publish("usps", "usps.t.bz2", bz2.compress(file.getvalue()))
    data = usps("test")
    np.testing.assert_allclose(data.inputs, (pixels.reshape(5, 16, 16, 1) + 1) / 2, atol=1e-6)
    assert data.targets.tolist() == labels.tolist()
    assert usps("test", 2) == data[:2]
    for content in (b"1 1:x\n", b"1 257:1\n", b"one\n"):
        publish("usps", "usps.t.bz2", bz2.compress(content))
        with pytest.raises(DataError, match="expected lines"):
            usps("test")


def norb_file(array):
    magic = {"u1": 0x1E3D4C55, "i4": 0x1E3D4C54}[array.dtype.str[1:]]
    lengths = [*array.shape, 1, 1][: max(3, array.ndim)]
    head = struct.pack(f"<2i{len(lengths)}i", magic, array.ndim, *lengths)
    return head + array.tobytes()


def test_norb(publish):
    pixels, labels = images(4, 96, 96, 2), np.array([4, 0, 2, 1], "<i4")
    stem = "smallnorb-5x46789x9x18x6x2x96x96-training"
    whole = norb_file(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    publish("norb", f"{stem}-dat.mat.gz", gzip.compress(whole))
    publish("norb", f"{stem}-cat.mat.gz", gzip.compress(norb_file(labels)))
    check(norb("train"), pixels, labels, 5)
    for content in (
        gzip.compress(whole[:-1]), gzip.compress(whole + b"x"), gzip.compress(whole[:6]),
        gzip.compress(b"\0" + whole[1:]), gzip.compress(whole)[:99], b"", gzip.compress(whole[:14]),
    ):  # fmt: skip
        publish("norb", f"{stem}-dat.mat.gz", content)
        with pytest.raises(DataError, match=r"-dat\.mat\.gz: expected"):
            norb("train")


def test_sklearn_digits():
    datasets = pytest.importorskip("sklearn.datasets", exc_type=ImportError)
    data, whole = sklearn_digits(), datasets.load_digits()
    np.testing.assert_array_equal(data.inputs.reshape(1797, 64) * 16, whole.data)
    np.testing.assert_array_equal(data.targets, whole.target)
    with pytest.raises(DataError, match="expected 1798 examples, got 1797"):
        sklearn_digits(1798)


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


class TestNpz:
    def test_medmnist(self, publish):
        pixels, labels = images(5, 28, 28, 3), np.array([[0], [8], [3], [3], [1]], np.uint8)
        publish("pathmnist", "pathmnist.npz", npz(val_images=pixels, val_labels=labels))
        check(medmnist("pathmnist", "val"), pixels, labels[:, 0], 9)
        check(medmnist("pathmnist", "val", 2), pixels[:2], labels[:2, 0], 9)
        with pytest.raises(DataError, match="array 'test_images', got val_images, val_labels"):
            medmnist("pathmnist", "test")
        with pytest.raises(ArgumentError, match="expected name to be one of pathmnist"):
            medmnist("cifar-10", "test")

    def test_chestmnist_has_several_labels(self, publish):
        pixels, labels = images(5, 28, 28), RNG.integers(0, 2, (5, 14), dtype=np.uint8)
        publish("chestmnist", "chestmnist.npz", npz(train_images=pixels, train_labels=labels))
        data = medmnist("chestmnist", "train", 3)
        assert data[:] == Dataset(
            pixels[:3, ..., None].astype(np.float32) / 255, labels[:3].astype(np.float32)
        )

    @pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
    def test_any_file(self, tmp_path, write):
        pixels, labels = images(5, 4, 4), np.arange(5)[:, None]
        write(tmp_path / "x.npz", x_train=pixels, y_train=labels, other=np.array("text"))
        data = read_npz(
            tmp_path / "x.npz", inputs="x_train", targets="y_train", classes=list("abcde"),
            scale=1 / 255,
        )  # fmt: skip
        check(data, pixels[..., None], np.arange(5), 5)
        with pytest.raises(DataError, match="expected numbers in 'other'"):
            read_npz(tmp_path / "x.npz", inputs="other", targets="y_train")
        features = np.asfortranarray(RNG.standard_normal((6, 3)))
        write(tmp_path / "x.npz", x=features, y=np.ones(6))
        assert read_npz(tmp_path / "x.npz")[:] == Dataset(features, np.ones(6))

    def test_damaged_files_are_read_right_or_refused_in_little_memory(self, tmp_path):
        import tracemalloc

        rng, path = np.random.default_rng(0), tmp_path / "x.npz"
        x, y = rng.integers(0, 9, (40, 30)).astype(np.float32), np.arange(40)
        counts = {True: 0, False: 0}
        for i in range(200):
            whole = io.BytesIO()
            (np.savez if i % 2 else np.savez_compressed)(whole, x=x, y=y)
            content = bytearray(whole.getvalue())
            for _ in range(rng.integers(1, 6)):
                content[rng.integers(200 if i % 3 else len(content))] ^= 1 << int(rng.integers(8))
            if i % 5 == 0:
                content = content[: rng.integers(len(content))]
            path.write_bytes(content)
            tracemalloc.start()
            try:
                data = read_npz(path)
            except FcnnError:
                counts[False] += 1
            else:
                counts[True] += 1
                assert len(data) == 40
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
            tracemalloc.stop()
        assert counts[False] > 100

    def test_a_header_that_promises_more_than_is_there(self, tmp_path):
        header = io.BytesIO()
        promised = {"descr": "|u1", "fortran_order": False, "shape": (2**40,)}
        np.lib.format.write_array_header_1_0(header, promised)
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
            file.writestr("x.npy", header.getvalue() + bytes(100))
            file.writestr("y.npy", header.getvalue() + bytes(100))
        with pytest.raises(DataError, match=r"x\.npz: expected 1099511627904 bytes for 'x'"):
            read_npz(tmp_path / "x.npz")


class TestFiles:
    def test_a_file_of_another_checksum_is_refused(self, publish):
        path = publish("svhn", "test_32x32.mat", b"whole")
        path.write_bytes(b"other")
        with pytest.raises(DataError, match=r"test_32x32\.mat: expected the MD5 [0-9a-f]{32}, got"):
            svhn("test")

    def test_download_fetches_what_the_reader_needs(self, publish, tmp_path, serve):
        content = bytes([3]) + RNG.bytes(3072)
        archive = tar({"x/test_batch.bin": content})
        publish("cifar-10", "cifar-10-binary.tar.gz", archive).unlink()
        files = {"cifar-10-binary.tar.gz": archive}
        with serve(files) as mirror:
            target = download(name="cifar-10", mirror=mirror.url)
            assert target == tmp_path / "cifar-10"
            assert cifar10("test")[0][1] == 3
            download(name="cifar-10", mirror=mirror.url)
            assert mirror.asked == ["/cifar-10-binary.tar.gz"]
            (target / "cifar-10-binary.tar.gz").unlink()
            mirror.files["cifar-10-binary.tar.gz"] = archive[:-1]
            with pytest.raises(DataError, match="is not the right file: expected the MD5"):
                download(tmp_path, name="cifar-10", mirror=mirror.url)
            assert not list(target.iterdir())
            with pytest.raises(ArgumentError, match="expected files among cifar-10-binary"):
                download(name="cifar-10", files=["cifar"], mirror=mirror.url)

    def test_the_cache_is_looked_into_too(self, publish, tmp_path, monkeypatch):
        path = publish("stl-10", "stl10_binary.tar.gz", tar({}))
        target = tmp_path / "cache" / "fcnn" / "stl-10"
        target.mkdir(parents=True)
        path.rename(target / path.name)
        with pytest.raises(DataError, match=r"expected a file train_X\.bin"):
            stl10("train")
        monkeypatch.delenv("FCNN_DATA")
        with pytest.raises(DataError, match=r"expected a file train_X\.bin"):
            stl10("train")

    def test_every_set_has_mirrors_and_checksums(self):
        names = set()
        for name, files in _remotes.REMOTES.items():
            for each in files:
                assert each.mirrors
                assert all(
                    m.startswith(("http://", "https://")) and m[-1] == "/" for m in each.mirrors
                )
                assert len(each.md5) == 32 or name == "norb"
                names.add((name, each.name))
        assert len(names) == sum(map(len, _remotes.REMOTES.values()))
