"""Pickles for other processes, which must be able to import what a pickle refers to.

A pickle holds a function as the name of its module and its own name. A worker cannot import the
module ``__main__`` of a notebook, of ``python -c`` or of a script on standard input. What is
defined there travels by value, if cloudpickle is installed.
"""

from __future__ import annotations

import os
import pickle
import sys
from importlib import import_module
from typing import Any

REMEDY = (
    "define functions and classes at the top level of a module, or of the script above its main "
    "guard, or use fcnn.parallel.threads()"
)


def main_is_importable() -> bool:
    """Return whether another process can import this one's ``__main__``."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:  # python -m package runs package.__main__, which is not imported again
        return name != "__main__" and not name.endswith(".__main__")
    return os.path.isfile(getattr(main, "__file__", None) or "")


def dumps(value: Any, buffers: list[pickle.PickleBuffer] | None = None) -> bytes:
    """Pickle ``value``, by value what other processes cannot import.

    Args:
        value: anything.
        buffers: if given, the memory of arrays is appended to it instead of copied.

    Raises:
        TypeError: if it does not pickle.
    """
    keep = None if buffers is None else buffers.append
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=keep)
        if b"__main__" not in data or main_is_importable():
            return data
        reason: Exception | None = None
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        reason = error
    try:
        cloudpickle = import_module("cloudpickle")
    except ImportError:
        raise TypeError(_explain(reason)) from reason
    if buffers:
        buffers.clear()
    try:
        return bytes(cloudpickle.dumps(value, protocol=5, buffer_callback=keep))
    except Exception as error:
        raise TypeError(_explain(error)) from error


def travels_by_value(function: Any) -> bool:
    """Return whether plain pickle would fail, here or in another process."""
    try:
        data = pickle.dumps(function, protocol=5, buffer_callback=lambda buffer: None)
    except (AttributeError, TypeError, pickle.PicklingError):
        return True
    return b"__main__" in data and not main_is_importable()


def _explain(reason: Exception | None) -> str:
    if reason is None:
        return (
            "expected functions and classes that worker processes can import, got some defined in "
            "__main__, which is not a file (a notebook, python -c or standard input); put them "
            "into a module, or pip install cloudpickle, or use fcnn.parallel.threads()"
        )
    return f"expected objects that pickle, got {type(reason).__name__}: {reason}; {REMEDY}"
