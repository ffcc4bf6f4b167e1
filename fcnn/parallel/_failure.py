"""Exceptions of other processes, with their type and their traceback.

A worker returns an exception as a value. Raised there, it would reach the caller as each engine
has it: with its type, wrapped in another, or not at all, where an exception that cannot be
unpickled breaks the pool (the standard library, loky) or hangs it (Parsl).
"""

from __future__ import annotations

import os
import pickle
import socket
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fcnn._blas import BLAS
from fcnn.parallel._pickling import REMEDY, dumps


class Failure(NamedTuple):
    """A pickled exception, and where it was raised."""

    pickled: bytes
    where: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Describe an exception that was raised in this process."""
        trace = "".join(traceback.format_exception(error))
        where = f"raised in worker process {os.getpid()} on {socket.gethostname()}:\n{trace}"
        return cls(_pickled(error), where)

    def error(self) -> Exception:
        """Return the exception, noting where it was raised."""
        found: Exception = pickle.loads(self.pickled)
        found.add_note(self.where)
        return found


def unloadable(error: Exception) -> Failure:
    """Describe an exception that unpickling an order raised."""
    if not isinstance(error, AttributeError | ImportError):
        return Failure.of(error)
    cause = f"{type(error).__name__}: {error}"
    refusal = TypeError(f"expected what a worker process can import, got {cause}; {REMEDY}")
    refusal.__cause__ = error
    return Failure.of(refusal)


def unpicklable(error: TypeError) -> TypeError:
    """Return what a caller is told where results do not pickle; ``error`` says which do not."""
    return TypeError(f"expected a function whose results pickle, got {error.__cause__}")


def attempt(
    function: Callable[[Any, Any], Any], common: Any, shards: Sequence[Any]
) -> list[Any] | Failure:
    """Compute ``function(common, shard)`` for each shard, with one BLAS thread."""
    BLAS.enter()
    try:
        return [function(common, shard) for shard in shards]
    except Exception as error:
        return Failure.of(error)
    finally:
        BLAS.leave()


def attempt_to_send(
    function: Callable[[Any, Any], Any], common: Any, shards: Sequence[Any]
) -> list[Any] | Failure:
    """Do what `attempt` does, for Dask, with a failure in the place of what does not pickle."""
    found = attempt(function, common, shards)
    try:
        dumps(found, [])  # arrays are not copied
    except TypeError as error:
        return Failure.of(unpicklable(error))
    return found


def _pickled(error: Exception) -> bytes:
    """Return a pickle of the exception, or of the most similar one that pickles."""
    kind = type(error)
    bases = [base for base in kind.__mro__[1:] if issubclass(base, Exception)]
    candidates = [
        error,
        _Copy(kind, error.args, vars(error)),
        _Copy(kind, (str(error),), {}),
        *[_Copy(base, (f"{kind.__name__}: {error}",), {}) for base in bases],
    ]
    for candidate in candidates:
        try:
            data = dumps(candidate)
            if isinstance(pickle.loads(data), Exception):
                return data
        except Exception:  # this one does not pickle, or not back
            continue
    return dumps(Exception(f"{kind.__name__}: {error}"))


class _Copy(NamedTuple):
    """Pickles as an exception that is made without its ``__init__``.

    By default an exception is unpickled by calling its class with ``args``, which fails where
    ``__init__`` takes other arguments.
    """

    kind: type[Exception]
    args: tuple[Any, ...]
    state: dict[str, Any]

    def __reduce__(self) -> Any:
        return _restored, (self.kind, self.args, self.state)


def _restored(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
