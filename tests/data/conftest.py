import gzip
import hashlib
import socketserver
import threading
import time
from contextlib import contextmanager

import attrs
import numpy as np
import pytest

from fcnn.data import _catalogue, write_idx


class Handler(socketserver.StreamRequestHandler):
    """Sends what the mirror's answer yields: bytes, or seconds to wait."""

    def handle(self):
        path = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(path)
        for part in self.server.answer(self.server, path):
            if isinstance(part, bytes):
                self.request.sendall(part)
                self.server.sent += len(part)
            else:
                time.sleep(part)


class Mirror(socketserver.ThreadingTCPServer):
    """A server on this machine. ``answer(mirror, path)`` yields what it sends."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.answer = dict(files), Mirror.right
        self.asked, self.sent = [], 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def right(self, path):
        """The right answer: the file, or a 404."""
        body = self.files.get(path.rpartition("/")[2])
        status, body = ("404 Not Found", b"") if body is None else ("200 OK", body)
        yield f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def handle_error(self, request, client_address):
        pass  # the client has hung up


@contextmanager
def serving(files):
    mirror = Mirror(files)
    thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield mirror
    finally:
        mirror.shutdown()
        thread.join()
        mirror.server_close()


@pytest.fixture
def serve(monkeypatch):
    """`serving`, without a proxy between."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return serving


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """The gzipped files, by name, of a small "MNIST" that the catalogue knows."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    rng, contents, files = np.random.default_rng(0), {}, {}
    for split, n in (("train", 30), ("test", 20)):
        images, labels = _catalogue.stems(split)
        pixels = rng.integers(0, 256, (n, 28, 28))
        for stem, array in ((images, pixels), (labels, np.arange(n) % 10)):
            path = tmp_path / "file.gz"
            write_idx(path, array.astype(np.uint8))
            contents[f"{stem}.gz"] = path.read_bytes()
            content = gzip.decompress(path.read_bytes())
            files[stem] = _catalogue.File(len(content), hashlib.sha256(content).hexdigest())
            path.unlink()
    fake = attrs.evolve(_catalogue.MNIST, files=files, mirrors=("http://127.0.0.1:1/",))
    monkeypatch.setattr(_catalogue, "MNIST", fake)
    monkeypatch.setitem(_catalogue.SOURCES, "mnist", fake)
    return contents


@pytest.fixture
def mirror(small_mnist):
    with serving(small_mnist) as mirror:
        yield mirror


@pytest.fixture
def other_mirror(small_mnist):
    with serving(small_mnist) as mirror:
        yield mirror
