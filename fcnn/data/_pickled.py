"""Pickles of arrays of uint8, such as CIFAR's, read without running anything in them."""

from __future__ import annotations

import pickle
import pickletools
from typing import Any

import numpy as np

from fcnn._typing import Array
from fcnn.errors import DataError

_MEMO = 2**22  # entries of an unpickler's memo, for which memory is taken at once


class _DType:
    """What stands for ``numpy.dtype(name, ...)``."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else str(name)

    def __setstate__(self, _: Any) -> None:
        """Ignore byte order and alignment, which uint8 does not have."""


class Pickled:
    """What stands for an array: its shape and bytes, checked when it is asked for."""

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> Array:
        """Return the array.

        Raises:
            DataError: if it is not of uint8, or its bytes do not fit its shape.
        """
        try:
            _, shape, dtype, fortran, content = self.state
            if dtype.name not in ("u1", "|u1") or not isinstance(content, bytes):
                raise DataError(f"expected an array of uint8, got {dtype.name}")
            return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"expected an array of uint8, got a damaged one: {error}") from error


def _reconstruct(*_: Any) -> Pickled:
    return Pickled()


def _encode(text: Any, encoding: Any) -> bytes:
    """Return bytes as Python 3 writes them in the protocols of Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise DataError(f"expected bytes as text of latin1, got {encoding!r:.20}")
    return text.encode("latin1")


_ALLOWED = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): Pickled,
    **{
        (module, "_reconstruct"): _reconstruct
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise DataError(
                f"expected numbers, strings and arrays in a pickle, got {module}.{name}"
            )
        return found


def unpickle(content: bytes) -> Any:
    """Return what a pickle of numbers, strings, lists, dicts and arrays holds.

    Strings that Python 2 wrote come out as bytes. Arrays come out as `Pickled`.

    Raises:
        DataError: if it is damaged, or holds anything else.

    >>> import pickle
    >>> from fcnn.data._pickled import unpickle
    >>> unpickle(pickle.dumps({"labels": [1, 2]}, 2))
    {'labels': [1, 2]}
    """
    import io

    try:
        # Lengths and places in the memo are checked first: the unpickler takes memory for them
        # before it looks whether they are there.
        for code, argument, _ in pickletools.genops(content):
            if "PUT" in code.name and isinstance(argument, int) and argument > _MEMO:
                raise DataError(f"expected a memo of at most {_MEMO} entries, got {argument}")
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"expected a whole pickle, got a damaged one: {error}") from error
