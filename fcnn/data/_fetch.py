"""Reading a URL within a limit of time and a limit of bytes.

``urlopen(timeout=...)`` limits each call of the socket, so a server that sends a byte
a second holds a client for hours: in the status line, the headers, the chunk lengths,
the trailers or the body. Here every call is limited by what is left of one deadline.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Generator, Iterator
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib import request
from urllib.error import HTTPError, URLError

import attrs

from fcnn.errors import DataError

_CHUNK = 2**16
_OVERHEAD = 2**20  # bytes of headers, chunk lengths and trailers that an answer may have


@attrs.define
class Budget:
    """What an answer may still take: seconds until ``end``, and ``size`` bytes."""

    end: float
    size: int

    def seconds(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: if none are.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time limit is over")
        return left

    def spend(self, size: int) -> None:
        """Count bytes that have arrived.

        Raises:
            OSError: if they are more than there may be.
        """
        self.size -= size
        if self.size < 0:
            raise OSError("the answer is longer than it may be")


def fetch(url: str, *, max_bytes: int, seconds: float) -> Generator[bytes, None, None]:
    """Yield the body of the answer from ``url``, of at most ``max_bytes``, in pieces.

    Raises:
        DataError: naming the address, if there is no whole answer within the limits.
    """
    budget = Budget(time.monotonic() + seconds, 2 * max_bytes + _OVERHEAD)
    try:
        with _opener(budget).open(url, timeout=seconds) as response:
            yield from _body(response, max_bytes)
    except HTTPError as error:
        error.close()
        raise DataError(f"cannot fetch {url}: {_cut(error)}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DataError(f"cannot fetch {url}: {_cut(error)}") from error


def _body(response: HTTPResponse, max_bytes: int) -> Iterator[bytes]:
    length, got = response.length, 0
    if length is not None and length > max_bytes:
        raise ValueError(f"expected at most {max_bytes} bytes, got a length of {length}")
    while part := response.read1(_CHUNK):
        got += len(part)
        if got > max_bytes:
            raise ValueError(f"expected at most {max_bytes} bytes, got more")
        yield part
    if length is not None and got < length:
        raise ValueError(f"expected {length} bytes, got {got}")


def _cut(error: Exception) -> str:
    """Write an error in one line of bounded length: its text may be the server's."""
    reason = error.reason if type(error) is URLError else error
    text = " ".join(f"{reason}".split()) or type(reason).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


class _Input(io.RawIOBase):
    """What a socket receives, within a budget."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock, self._budget = sock, budget
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._budget.seconds())
        size: int = self._raw.readinto(buffer)
        self._budget.spend(size)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


@attrs.frozen
class _Limited:
    """The one method of a socket that `HTTPResponse` calls."""

    sock: socket.socket
    budget: Budget

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Input(self.sock, self.budget))


def _limit(connection: Any, budget: Budget) -> Any:
    def respond(sock: socket.socket, **kwargs: Any) -> HTTPResponse:
        limited: Any = _Limited(sock, budget)
        return HTTPResponse(limited, **kwargs)

    connection.response_class = respond
    connection._create_connection = partial(_connect, budget)
    return connection


def _connect(budget: Budget, address: tuple[str, int], *_: Any) -> socket.socket:
    """Connect to the first address that answers, all of them within one deadline."""
    failure = OSError(f"no address for {address[0]}")
    for family, kind, protocol, _name, place in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(budget.seconds())
            sock.connect(place)
            sock.settimeout(budget.seconds())  # for a handshake of TLS
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _opener(budget: Budget) -> request.OpenerDirector:
    """Return an opener of http and https alone, with the limits in every connection."""

    class Http(request.HTTPHandler):
        def http_open(self, req: Any) -> Any:
            return self.do_open(lambda *a, **k: _limit(HTTPConnection(*a, **k), budget), req)

    class Https(request.HTTPSHandler):
        def https_open(self, req: Any) -> Any:
            return self.do_open(lambda *a, **k: _limit(HTTPSConnection(*a, **k), budget), req)

    class Redirect(request.HTTPRedirectHandler):
        def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
            fp.close()  # or the base class reads the body, however long it is
            return super().http_error_302(req, fp, code, msg, headers)

        http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        Http(),
        Https(),
        request.HTTPDefaultErrorHandler(),
        Redirect(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
