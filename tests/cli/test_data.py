"""The sets that are read as they are published, from the command line."""

import bz2
import functools
import hashlib
import http.server
import threading
from contextlib import contextmanager

import attrs
import numpy as np
import pytest

import fcnn
from fcnn.cli._known import KNOWN
from fcnn.data import _remotes, mnist


@contextmanager
def serving(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def usps(tmp_path, monkeypatch):
    """The address of a small USPS that the catalogue knows."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    rng, known = np.random.default_rng(0), []
    (tmp_path / "served").mkdir()
    for remote, n in zip(_remotes.REMOTES["usps"], (64, 32), strict=True):
        rows = [
            f"{i % 10 + 1} " + " ".join(f"{j + 1}:{x:.3f}" for j, x in enumerate(pixels))
            for i, pixels in enumerate(rng.uniform(-1, 1, (n, 256)))
        ]
        content = bz2.compress("\n".join(rows).encode())
        (tmp_path / "served" / remote.name).write_bytes(content)
        known.append(attrs.evolve(remote, md5=hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(_remotes, "REMOTES", {**_remotes.REMOTES, "usps": tuple(known)})
    with serving(tmp_path / "served") as url:
        yield url


def test_a_published_set_is_fetched_verified_and_trained_on(usps, train, fcnn_command, tmp_path):
    status, out, err = fcnn_command("train", "--data", "usps")
    assert (status, out) == (2, "")
    assert " ".join(err.split()).endswith("got no such file; fetch it with 'fcnn data fetch usps'")
    assert "usps, " in fcnn_command("data", "where")[1].partition("not here: ")[2]
    assert fcnn_command("data", "verify", "usps")[:2] == (
        1, "usps/usps.bz2    missing\nusps/usps.t.bz2  missing\nin cache/fcnn\n",
    )  # fmt: skip

    status, out, _ = fcnn_command("data", "fetch", "usps", "--mirror", usps)
    assert (status, out) == (0, "usps: cache/fcnn/usps\n")
    assert fcnn_command("data", "verify", "usps")[0] == 0
    assert "usps/usps.bz2" in fcnn_command("data", "verify")[1]
    assert "usps, " not in fcnn_command("data", "where")[1].partition("not here: ")[2]
    assert "usps: 64 examples to train on, 32 for test" in train("--data", "usps")
    assert fcnn_command("reproduce", "runs/usps", "--workers", "1")[0] == 0
    assert "usps, test: " in fcnn_command("evaluate", "runs/usps")[1]

    path = tmp_path / "cache" / "fcnn" / "usps" / "usps.t.bz2"
    path.write_bytes(path.read_bytes()[:-1])
    assert "usps/usps.t.bz2  damaged" in fcnn_command("data", "verify", "usps")[1]


def test_a_set_in_a_folder_of_ones_own(usps, fcnn_command):
    out = fcnn_command("data", "fetch", "usps", "--folder", "here", "--mirror", usps)[1]
    assert out.endswith("export FCNN_DATA=here\n")
    assert fcnn_command("data", "verify", "usps", "--folder", "here")[0] == 0
    assert fcnn_command("data", "verify", "usps")[0] == 1


def test_lazy_data_are_read_by_name(train, fcnn_command, monkeypatch):
    """As those of CIFAR are, whose pixels stay uint8."""

    def read(split, limit=None):
        found = mnist("train" if split == "train" else "test", 96)
        pixels = (found.inputs * 255).astype(np.uint8)
        return fcnn.data.LazyDataset(pixels, found.targets, found.classes, scale=1 / 255)

    monkeypatch.setitem(KNOWN, "cifar-10", attrs.evolve(KNOWN["cifar-10"], read=read))
    assert "cifar-10: 96 examples to train on, 96 for test" in train(
        "--data", "cifar-10", "--limit", "96"
    )
    assert fcnn_command("evaluate", "runs/cifar-10")[0] == 0
    assert fcnn_command("report", "runs/cifar-10")[0] == 0
    train("--data", "mnist")
    assert fcnn_command("evaluate", "runs/mnist", "--data", "cifar-10")[0] == 0


@pytest.mark.parametrize("name", KNOWN)
def test_every_name_is_read_or_says_what_to_fetch(name, fcnn_command, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    if name in ("mnist", "fashion-mnist"):
        assert len(KNOWN[name].read("train")) >= 5000
        return
    if name == "sklearn-digits":
        pytest.importorskip("sklearn", exc_type=ImportError)
        assert len(KNOWN[name].read("train")) == 1797
        return
    status, _, err = fcnn_command("train", "--data", name)
    assert status == 2
    assert f"'fcnn data fetch {name}'" in " ".join(err.split())
