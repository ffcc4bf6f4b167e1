import contextlib
import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import attrs
import numpy as np
import pytest

from fcnn.data import _catalogue, download, mnist, write_idx
from fcnn.errors import ArgumentError, DataError


class Handler(SimpleHTTPRequestHandler):
    """Serves files, writes down what was asked for, and hangs up half-way where told to."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path in self.server.cut_short:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            return
        with contextlib.suppress(ConnectionError):
            super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A mirror on this machine with a small "MNIST", whose checksums the catalogue knows."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder, sums = tmp_path / "mirror", {}
    folder.mkdir()
    for split, n in (("train", 30), ("test", 20)):
        images, labels = _catalogue.stems(split)
        for stem, array in ((images, np.zeros((n, 28, 28))), (labels, np.arange(n) % 10)):
            write_idx(folder / f"{stem}.gz", array.astype(np.uint8))
            content = gzip.decompress((folder / f"{stem}.gz").read_bytes())
            sums[stem] = hashlib.sha256(content).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    server.asked, server.cut_short, server.folder = [], [], folder
    server.url = f"http://127.0.0.1:{server.server_port}/"
    fake = attrs.evolve(_catalogue.MNIST, sha256=sums, mirror=server.url)
    monkeypatch.setattr(_catalogue, "MNIST", fake)
    monkeypatch.setitem(_catalogue.SOURCES, "mnist", fake)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


NAMES = [
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fetches_the_four_files_into_a_folder_that_fcnn_data_can_name(
    server, tmp_path, monkeypatch
):
    target = download(tmp_path / "a" / "b")
    assert target == tmp_path / "a" / "b" / "mnist"
    assert names(target) == NAMES
    monkeypatch.setenv("FCNN_DATA", str(tmp_path / "a" / "b"))
    assert len(mnist("train")) == 30


def test_what_is_there_already_is_not_fetched_again_unless_it_is_wrong(server, tmp_path):
    target = download(tmp_path, mirror=server.url)
    assert len(server.asked) == 4
    download(tmp_path)
    assert len(server.asked) == 4
    (target / NAMES[0]).write_bytes(b"rubbish")
    download(tmp_path)
    assert server.asked[4:] == [f"/{NAMES[0]}"]


def test_a_wrong_file_is_refused_and_leaves_nothing(server, tmp_path):
    write_idx(server.folder / NAMES[2], np.ones((30, 28, 28), np.uint8))
    with pytest.raises(DataError, match=rf"{server.url}{NAMES[2]} is not the file wanted.*SHA-256"):
        download(tmp_path)
    assert names(tmp_path / "mnist") == []


def test_a_wrong_file_leaves_the_old_one_as_it_was(server, tmp_path):
    target = tmp_path / "mnist"
    target.mkdir()
    (target / NAMES[2]).write_bytes(b"old")
    (server.folder / NAMES[2]).write_bytes(b"<html>moved</html>")
    with pytest.raises(DataError, match="is not the file wanted"):
        download(tmp_path)
    assert (target / NAMES[2]).read_bytes() == b"old"
    assert names(target) == [NAMES[2]]


def test_a_missing_file_is_told_by_its_address(server, tmp_path):
    (server.folder / NAMES[3]).unlink()
    with pytest.raises(DataError, match=rf"{NAMES[3]} cannot be fetched: HTTP Error 404"):
        download(tmp_path)
    assert names(tmp_path / "mnist") == [NAMES[2]]


def test_an_answer_cut_short_leaves_nothing(server, tmp_path):
    server.cut_short.append(f"/{NAMES[2]}")
    with pytest.raises(DataError, match=rf"{NAMES[2]} cannot be fetched: IncompleteRead"):
        download(tmp_path)
    assert names(tmp_path / "mnist") == []


def test_no_server_is_told_by_address(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:1/.*cannot be fetched"):
        download(tmp_path, mirror="http://127.0.0.1:1/")


@pytest.mark.parametrize(
    "arguments", [{"name": "cifar"}, {"mirror": "file:///tmp"}, {"mirror": "ftp://x"}]
)
def test_refuses_what_is_no_set_and_no_mirror(tmp_path, arguments):
    with pytest.raises(ArgumentError):
        download(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()
