"""Servers that misbehave: a download is right or refused, in time, and leaves no file behind."""

import gzip
import re
import struct
import zlib

import pytest

from fcnn.data import available, download, mnist
from fcnn.errors import DataError


def http(body=b"", status="200 OK", *headers, length=True):
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*chunks, end=b"0\r\n\r\n"):
    head = http(b"", "200 OK", "Transfer-Encoding: chunked", length=False)
    return head + b"".join([b"%x\r\n%s\r\n" % (len(each), each) for each in chunks]) + end


def dripping(content, times=25):
    """The right content, a piece at a time: whoever waits for all of it gets it, after 5 s."""
    step = -(-len(content) // times)
    for first in range(0, len(content), step):
        yield content[first : first + step]
        yield 0.2


def endless(head, piece, tail=b""):
    """At most 40 MB."""
    yield head
    for _ in range(40):
        yield piece * (1_000_000 // len(piece))
    yield tail


def redirect(to, status="302 Found"):
    return http(b"", status, f"Location: {to}")


def other_content(body):
    changed = bytearray(gzip.decompress(body))
    changed[-1] ^= 1
    return gzip.compress(bytes(changed))


def idx(shape, data):
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


# ``kind(body, path)`` yields what is sent; ``body`` is the right file.
BAD = {
    "404": lambda body, path: [http(b"no such file", "404 Not Found")],
    "403 with an endless body": lambda body, path: endless(
        http(b"", "403 Forbidden", length=False), b"no"
    ),
    "401": lambda body, path: [http(b"", "401 No", 'WWW-Authenticate: Basic realm="x"')],
    "500": lambda body, path: [http(b"", "500 Oops")],
    "503 with the body": lambda body, path: [http(body, "503 Busy", "Retry-After: 1000000")],
    "204": lambda body, path: [http(b"", "204 No Content", length=False)],
    "304": lambda body, path: [http(b"", "304 Not Modified", length=False)],
    "206 of a part": lambda body, path: [http(body[10:], "206 Partial Content")],
    "a status of 9000 characters": lambda body, path: [http(body, "404 " + "no " * 3000)],
    "html": lambda body, path: [http(b"<!DOCTYPE html><h1>Please log in</h1>")],
    "an empty body": lambda body, path: [http(b"")],
    "nothing": lambda body, path: [],
    "half a body": lambda body, path: [http(body)[: -len(body) // 2]],
    "half a body without a length": lambda body, path: [http(body[: len(body) // 2], length=False)],
    "a length that is too small": lambda body, path: [
        http(b"", "200 OK", f"Content-Length: {len(body) - 9}", length=False) + body
    ],
    "a length that is too large": lambda body, path: [
        http(b"", "200 OK", f"Content-Length: {len(body) + 9}", length=False) + body
    ],
    "a length of a terabyte": lambda body, path: endless(
        http(b"", "200 OK", f"Content-Length: {10**12}", length=False) + body, b"\0"
    ),
    "an endless body": lambda body, path: endless(http(body, length=False), b"\0"),
    "endless chunks": lambda body, path: endless(chunked(body, end=b""), b"4\r\nabcd\r\n"),
    "garbage for a chunk": lambda body, path: [chunked(body, end=b"zebra\r\n\r\n")],
    "a chunk of negative length": lambda body, path: endless(chunked(end=b"-5\r\n") + body, b"\0"),
    "a chunk that is cut off": lambda body, path: [chunked(body)[:-100]],
    "endless trailers": lambda body, path: endless(
        chunked(body, end=b"0\r\n"), b"X: y\r\n", b"\r\n"
    ),
    "endless 100s": lambda body, path: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", http(body)),
    "another content": lambda body, path: [http(other_content(body))],
    "another file": lambda body, path: [http(gzip.compress(idx((5,), b"abcde")))],
    "a whole file and more": lambda body, path: [http(body + b"more")],
    "no file of gzip": lambda body, path: [http(zlib.compress(gzip.decompress(body)))],
    "gzip twice": lambda body, path: [
        http(gzip.compress(body), "200 OK", "Content-Encoding: gzip")
    ],
    "a bomb behind a right header": lambda body, path: [
        http(gzip.compress(gzip.decompress(body) + bytes(500_000)))
    ],
    "a bomb with a header of its own": lambda body, path: [
        http(gzip.compress(idx((9_000_000,), bytes(9_000_000))))
    ],
    "a loop of redirects": lambda body, path: [redirect(path)],
    "endless redirects": lambda body, path: [redirect(path + "x")],
    "a redirect with an endless body": lambda body, path: endless(
        http(b"", "302 Found", "Location: /moved", length=False), b"\0"
    ),
    "a redirect to a file": lambda body, path: [redirect("file:///etc/passwd")],
    "a redirect to ftp": lambda body, path: [redirect("ftp://127.0.0.1:1/x")],
    "a redirect to no address": lambda body, path: [redirect("http://[::1")],
    "a redirect to no port": lambda body, path: [redirect("http://127.0.0.1:port/")],
    "a redirect to no ASCII": lambda body, path: [redirect("http://127.0.0.1:1/\xe9 \xff\x7f")],
    "a redirect to nowhere": lambda body, path: [http(b"", "301 Moved")],
    "garbage": lambda body, path: [b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n"],
    "a status that is no number": lambda body, path: [http(body, "two hundred")],
    "an unknown version": lambda body, path: [http(body).replace(b"HTTP/1.1", b"HTTP/7.5", 1)],
    "an endless status line": lambda body, path: endless(b"HTTP/1.1 200 ", b"O"),
    "an endless header": lambda body, path: endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "endless headers": lambda body, path: endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
}
SLOW = {
    "silence": lambda body, path: [5.0, http(body)],
    "silence after the headers": lambda body, path: [http(body)[: -len(body)], 5.0, body],
    "a dripping status line": lambda body, path: [
        *dripping(b"HTTP/1.1 200 OK\r\n"), http(body)[17:]
    ],
    "dripping headers": lambda body, path: [*dripping(http(body)[: -len(body)]), body],
    "a dripping body": lambda body, path: dripping(http(body)),
    "a dripping body without a length": lambda body, path: dripping(http(body, length=False)),
    "dripping chunks": lambda body, path: dripping(chunked(body)),
    "a dripping chunk length": lambda body, path: [
        *dripping(chunked(end=b"0" * 60 + b"%x\r\n" % len(body))), body + b"\r\n0\r\n\r\n"
    ],
    "dripping trailers": lambda body, path: [
        chunked(body, end=b"0\r\n"), *dripping(b"X: y\r\n" * 50), b"\r\n"
    ],
    "a dripping error": lambda body, path: [redirect("/moved"), 5.0] if path != "/moved" else (
        dripping(http(body))
    ),
}  # fmt: skip
ODD = {
    "a connection that stays open": lambda body, path: [http(body), 5.0],
    "no length": lambda body, path: [http(body, length=False)],
    "chunks": lambda body, path: [chunked(body[:100], body[100:])],
    "chunks with an extension and a trailer": lambda body, path: [
        chunked(body, end=b"0;x=y\r\nX: y\r\n\r\n")
    ],
    "HTTP/1.0": lambda body, path: [http(body).replace(b"HTTP/1.1", b"HTTP/1.0", 1)],
    "headers in lower case": lambda body, path: [
        http(body).replace(b"Content-Length", b"content-length", 1)
    ],
    "a length that is no number": lambda body, path: [
        http(body, "200 OK", "Content-Length: many", length=False)
    ],
    "a negative length": lambda body, path: [
        http(body, "200 OK", "Content-Length: -1", length=False)
    ],
    "100 first": lambda body, path: [b"HTTP/1.1 100 Continue\r\n\r\n", http(body)],
    "a redirect": lambda body, path: [
        http(body) if path.startswith("/moved/") else redirect("/moved" + path, "308 Moved")
    ],
    "no gzip": lambda body, path: [http(gzip.decompress(body))],
    "two members of gzip": lambda body, path: [
        http(gzip.compress(gzip.decompress(body)[:50]) + gzip.compress(gzip.decompress(body)[50:]))
    ],
    "padding": lambda body, path: [http(body + bytes(100))],
    "another type": lambda body, path: [http(body, "200 OK", "Content-Type: text/html")],
    "bytes one by one": lambda body, path: (
        [http(body)[i : i + 1] for i in range(200)] + [http(body)[200:]]
    ),
}


# What is said of some of these, so that each is refused for its own reason.
SAID = {
    "half a body": r"expected \d+ bytes, got \d+",
    "a length of a terabyte": r"expected at most \d+ bytes, got a length of 1000000000000",
    "an endless body": r"expected at most \d+ bytes, got more",
    "endless chunks": r"expected at most \d+ bytes, got more",
    # Newer Pythons count these themselves.
    "endless trailers": "the answer is longer than it may be|got more than 100 trailers",
    "endless 100s": "the answer is longer than it may be|got more than 100 interim responses",
    "another content": "expected the SHA-256",
    "a bomb behind a right header": "got more",
    "a bomb with a header of its own": "got 9000008 bytes for shape",
    "a redirect to a file": "file.* is not allowed",
    "a redirect to ftp": "unknown url type: ftp",
    "nothing": "closed connection without response",
    **dict.fromkeys(SLOW, "timed out|the time limit is over"),
}


def misbehave(mirror, kind):
    def answer(mirror, path):
        body = mirror.files.get(path.rpartition("/")[2], b"")
        yield from kind(body, path)

    mirror.answer = answer


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", [*BAD, *SLOW])
def test_a_bad_server_is_refused_by_its_address(mirror, tmp_path, kind):
    misbehave(mirror, {**BAD, **SLOW}[kind])
    timeout = 0.4 if kind in SLOW else 20
    with pytest.raises(DataError, match=mirror.url) as caught:
        download(tmp_path / "data", mirror=mirror.url, timeout=timeout)
    assert re.search(SAID.get(kind, ""), str(caught.value))
    assert len(str(caught.value)) < 1000
    assert names(tmp_path / "data" / "mnist") == []
    assert mirror.sent < 25_000_000  # of 40: what the buffers of a connection hold, at most


@pytest.mark.parametrize("kind", [*BAD, "silence", "dripping headers", "a dripping body"])
def test_the_next_mirror_is_tried(mirror, other_mirror, tmp_path, kind):
    misbehave(mirror, {**BAD, **SLOW}[kind])
    timeout = 3 if kind in SLOW else 20
    folder = download(tmp_path / "data", mirror=[mirror.url, other_mirror.url], timeout=timeout)
    assert names(folder) == sorted(other_mirror.files)
    for name, content in other_mirror.files.items():
        assert (folder / name).read_bytes() == content
    assert len(other_mirror.asked) == 4
    assert {path for path in mirror.asked if path.endswith("-ubyte.gz")} == {
        "/train-images-idx3-ubyte.gz"
    }


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_server_is_right(mirror, tmp_path, monkeypatch, kind):
    misbehave(mirror, ODD[kind])
    folder = download(tmp_path / "data", mirror=mirror.url, timeout=3)
    assert names(folder) == sorted(mirror.files)
    monkeypatch.setenv("FCNN_DATA", str(tmp_path / "data"))
    assert len(mnist("train")) == available("mnist", "train") == 30
