"""Parquet files by pyarrow, and tars by webdataset."""

import io
import json
import tarfile

import numpy as np
import pytest

from fcnn.data import Dataset, read_parquet, read_webdataset
from fcnn.errors import DataError, FcnnError, LabelError, ShapeError

pytest.importorskip("PIL", exc_type=ImportError)
from PIL import Image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
LABELS = [1, 0, 1, 1]
EXPECTED = Dataset(PIXELS.astype(np.float32) / 255, LABELS)


def encoded(pixels, form="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


class TestParquet:
    @pytest.fixture
    def write(self, tmp_path):
        pa = pytest.importorskip("pyarrow", exc_type=ImportError)
        import pyarrow.parquet as pq

        def write(cells, labels, names=(), file="train.parquet"):
            struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            kind = struct if isinstance(cells[0], dict) else pa.binary()
            table = pa.table({"image": pa.array(cells, kind), "label": pa.array(labels)})
            if names:
                features = {"label": {"names": list(names), "_type": "ClassLabel"}}
                text = json.dumps({"info": {"features": features}})
                table = table.replace_schema_metadata({"huggingface": text})
            pq.write_table(table, tmp_path / file, row_group_size=2)
            return tmp_path / file

        return write

    def test_structs_with_names_of_classes_in_mixed_formats(self, write):
        forms = ("PNG", "TIFF", "BMP", "PNG")
        cells = [
            {"bytes": encoded(pixels, form), "path": None}
            for pixels, form in zip(PIXELS, forms, strict=True)
        ]
        data = read_parquet(write(cells, LABELS, ("cat", "dog")))
        assert data.classes == ("cat", "dog")
        assert data[:] == Dataset(EXPECTED.inputs, LABELS, ("cat", "dog"))
        assert data[[2, 0]].targets.tolist() == [1, 1]
        assert read_parquet(write(cells, LABELS), classes=("a", "b")).classes == ("a", "b")

    def test_several_files_bytes_alone_and_other_columns(self, write):
        cells = [encoded(pixels) for pixels in PIXELS]
        paths = [write(cells[:3], LABELS[:3], file="0"), write(cells[3:], LABELS[3:], file="1")]
        assert read_parquet(paths)[:] == EXPECTED
        assert read_parquet(paths, size=3, channels=1).shape == (3, 3, 1)

    def test_null_bytes_are_read_from_the_path(self, write, tmp_path):
        (tmp_path / "0.png").write_bytes(encoded(PIXELS[0]))
        data = read_parquet(write([{"bytes": None, "path": "0.png"}], [0.5]))
        assert data[:] == Dataset(EXPECTED.inputs[:1], [0.5])
        with pytest.raises(DataError, match="row 0: expected an image's bytes or path, got None"):
            read_parquet(write([None], [1]))

    def test_exif_is_heeded(self, write):
        exif = Image.Exif()
        exif[0x0112] = 6
        data = read_parquet(write([encoded(PIXELS[0], exif=exif)], [1]))
        np.testing.assert_array_equal(data[:].inputs[0], np.rot90(EXPECTED.inputs[0], -1))

    def test_refuses(self, write, tmp_path):
        cells = [encoded(pixels) for pixels in PIXELS]
        path = write(cells, LABELS)
        with pytest.raises(DataError, match="expected a column 'img', got image, label"):
            read_parquet(path, image="img")
        with pytest.raises(LabelError, match="0 to 0 for 1 classes"):
            read_parquet(path, classes=("a",))
        with pytest.raises(ShapeError, match="pass size="):
            read_parquet(write([cells[0], encoded(PIXELS[1, :3])], [1, 1]))[:]
        broken = read_parquet(write([cells[0], cells[1][:60]], [1, 1]))
        with pytest.raises(DataError, match=r"train\.parquet: row 1: .* a damaged one"):
            broken[:]
        rng, refused, whole = np.random.default_rng(0), 0, write(cells, LABELS).read_bytes()
        for i in range(60):
            content = bytearray(whole)
            for _ in range(8):
                content[-rng.integers(1, 400)] = rng.integers(256)
            path.write_bytes(content if i % 3 else content[: rng.integers(len(content))])
            try:
                read_parquet(path)[:]
            except FcnnError:
                refused += 1
        assert refused > 30


class TestWebDataset:
    def test_by_its_own_writer(self, tmp_path):
        wds = pytest.importorskip("webdataset", exc_type=ImportError)
        path = str(tmp_path / "train-000000.tar")
        with wds.TarWriter(path) as writer:
            for i, label in enumerate(LABELS):
                writer.write(
                    {
                        "__key__": f"a.b/{i:03}", "PNG": encoded(PIXELS[i]), "cls": label,
                        "json": {"label": label}, "seg.png": encoded(PIXELS[0]),
                    }
                )  # fmt: skip
        for label in ("cls", "json.label"):
            data = read_webdataset(path, label=label, classes=("cat", "dog"))
            assert data[:] == Dataset(EXPECTED.inputs, LABELS, ("cat", "dog"))
        assert len(read_webdataset([path, path])) == 8

    def tar(self, path, files, mode="w:gz"):
        with tarfile.open(path, mode) as archive:
            for name, content in files:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    def test_only_adjacent_files_are_a_sample(self, tmp_path):
        image = encoded(PIXELS[0])
        files = [("x/0.png", image), ("x/0.cls", b"1"), ("y/0.cls", b"2"), ("y/0.png", image)]
        self.tar(tmp_path / "a.tar", [("__meta__", b""), *files])
        assert read_webdataset(tmp_path / "a.tar").targets.tolist() == [1, 2]
        self.tar(tmp_path / "a.tar", [files[0], files[2], files[1], files[3]])
        with pytest.raises(DataError, match="an image and 'cls' in sample 'x/0', got png"):
            read_webdataset(tmp_path / "a.tar")

    def test_refuses(self, tmp_path):
        path, image = tmp_path / "a.tar", encoded(PIXELS[0])
        for label, content in (("cls", b"cat"), ("json.a", b'{"b": 1}'), ("json.a", b"[" * 99999)):
            self.tar(path, [("0.png", image), (f"0.{label.partition('.')[0]}", content)])
            with pytest.raises(DataError, match=r"a\.tar: 0\.\w+: expected a whole number"):
                read_webdataset(path, label=label)
        files = [("0.png", image), ("0.cls", b"1"), ("1.png", image), ("1.cls", b"1")]
        self.tar(path, files)
        whole = path.read_bytes()
        self.tar(path, files, "w")
        plain = path.read_bytes()
        cut = plain.index(b"1.png")  # where a file ends and the next begins
        for content in (whole[:-9], whole[:90], plain[:cut], plain[:300], b"", b"no archive"):
            path.write_bytes(content)
            with pytest.raises(DataError, match=r"a\.tar: expected a whole tar file"):
                read_webdataset(path)
        self.tar(path, [])
        with pytest.raises(DataError, match="expected samples in"):
            read_webdataset(path)
