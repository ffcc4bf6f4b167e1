"""Every error that fcnn raises for a caller's mistake, by name.

Each is an `FcnnError` and also the built-in error that a Python programmer
would expect, so ``except ValueError`` works as well as ``except ShapeError``.
The message says what was expected, what was given, and what to do.
"""

from __future__ import annotations

from typing import Self

__all__ = [
    "ArgumentError",
    "DTypeError",
    "DataError",
    "FcnnError",
    "LabelError",
    "MissingKeyError",
    "NonFiniteError",
    "ShapeError",
    "TraceError",
    "TreeError",
]


class FcnnError(Exception):
    """Any error that fcnn raises for a caller's mistake.

    >>> from fcnn.errors import FcnnError, ShapeError
    >>> issubclass(ShapeError, FcnnError) and issubclass(ShapeError, ValueError)
    True
    """

    def __init__(self, message: str, path: str = "", call: str = "") -> None:
        super().__init__(message, path, call)
        self.message = message
        self.path = path
        self.call = call

    def __str__(self) -> str:
        place = " ".join(part for part in (self.path, self.call) if part)
        return f"{place}: {self.message}" if place else self.message

    def called(self, call: str) -> Self:
        """Return the same error with the call that made the innermost layer it came from."""
        return self if self.call else type(self)(self.message, self.path, call)

    def within(self, step: str) -> Self:
        """Return the same error one combinator further out: ``step`` goes before its path."""
        joined = f"{step}.{self.path}" if self.path else step
        return type(self)(self.message, joined, self.call)


class ShapeError(FcnnError, ValueError):
    """An array or an image has a shape that does not fit."""


class DTypeError(FcnnError, TypeError):
    """An array holds numbers of a kind that does not fit."""


class ArgumentError(FcnnError, ValueError):
    """A hyper-parameter is out of its range."""


class MissingKeyError(FcnnError, ValueError):
    """Something random was asked for without a key."""


class LabelError(FcnnError, ValueError):
    """A class label is out of range or of the wrong kind."""


class NonFiniteError(FcnnError, ValueError):
    """There is a NaN or an infinity where a finite number is needed."""


class DataError(FcnnError, ValueError):
    """A data set is missing, incomplete or not what it says it is."""


class TraceError(FcnnError, TypeError):
    """A function under `fcnn.jit` does something that cannot be recorded."""


class TreeError(FcnnError, ValueError):
    """Two trees differ, or something is no tree."""
