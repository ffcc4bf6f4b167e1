"""Arrays that kernels write to: NumPy's constructors, which a recorder can follow.

`fcnn.jit` runs a function once, records its NumPy calls, and lays their results out in one piece
of memory. It follows arrays from the function's arguments, and cannot see an array that a kernel
makes of nothing or copies as a plain `numpy.ndarray`. So `fcnn._ops`, `fcnn.layers` and
`fcnn.losses` make arrays with the functions of this module, which do what NumPy's do:

* ``empty``, ``zeros``, ``ones``, ``full`` and those of the same shape, ``_like``;
* ``ascontiguousarray``, ``asarray`` and ``array``, which keep what is recorded recorded.

An array that may be a constant is indexed by one that may be recorded with
`fcnn._ops.values.called` of `numpy.take`, not with brackets.

A test holds them to the first. An array whose values steer Python (an index computed of shapes) is
no result, and is made with NumPy's own functions. What is computed of values and steers Python
goes through `fcnn._ops.values`.

The module also lets the C library keep freed memory for the next step. A training step allocates
the same arrays again and again. By default the GNU C library gives a block larger than 128 KiB
back to the system when it is freed, and later a free end of its heap of twice the largest such
block, 64 MiB at most. The next step maps that again, with a page fault for each 4 KiB. On a
virtual machine a fault took 4 us, ten times as long as the arithmetic. So it is told, when the
kernels are imported, to take blocks of up to 32 MiB, the most that it allows, from its heap, and to
keep 1 GiB of what is free there (mallopt(3)). Where the environment says how it shall be, or the C
library is another, nothing is done.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fcnn._typing import Array

_FROM_HEAP, _KEPT = 32 << 20, 1 << 30
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # what malloc.h calls M_MMAP_THRESHOLD and so on
_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


class Recorder(Protocol):
    """What `fcnn.jit` offers to kernels while it records."""

    def allocated(self, made: Array, value: Any = None) -> Array:
        """Return a new array as one that is recorded; ``value`` is what it was filled with."""

    def converted(self, given: Any, dtype: Any, order: str, copy: bool) -> Array:
        """Return an array of this dtype and order, which may be the given one if not ``copy``."""

    def decided(self, condition: Any) -> bool:
        """Return a truth value, which a replay compares."""

    def held(self, condition: Any, arguments: tuple[Any, ...]) -> bool:
        """Return the truth value of a function of arrays, which a replay compares."""

    def unless(
        self, condition: Any, function: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        """Call a function that writes to its first argument, if a condition is false."""

    def number(self, value: Any) -> Any:
        """Return a recorded number of float64."""

    def called(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the result of a function that is recorded as one call."""

    def computed(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the numbers that a function of numbers gives, which is recorded as one call."""


class _Recording(threading.local):
    """The recorder of this thread, None where nothing is recorded."""

    recorder: Recorder | None = None


RECORDING = _Recording()


def is_array(x: Any) -> bool:
    """Return whether x is an array of NumPy's own class, or one that is recorded."""
    return type(x) is np.ndarray or (RECORDING.recorder is not None and isinstance(x, np.ndarray))


def empty(shape: Any, dtype: Any = float) -> Array:
    """Return a new array whose elements are not set."""
    recorder = RECORDING.recorder
    made = np.empty(shape, dtype)
    return made if recorder is None else recorder.allocated(made)


def zeros(shape: Any, dtype: Any = float) -> Array:
    """Return a new array of zeros."""
    recorder = RECORDING.recorder
    made = np.zeros(shape, dtype)
    return made if recorder is None else recorder.allocated(made, 0)


@functools.lru_cache(maxsize=16)
def zero_row(shape: Any, dtype: Any) -> Array:
    """Return zeros that nobody may write to: the same array each time, which stays in the cache."""
    made = np.zeros(shape, dtype)
    made.flags.writeable = False
    return made


def ones(shape: Any, dtype: Any = float) -> Array:
    """Return a new array of ones."""
    recorder = RECORDING.recorder
    made = np.ones(shape, dtype)
    return made if recorder is None else recorder.allocated(made, 1)


def full(shape: Any, value: Any, dtype: Any = None) -> Array:
    """Return a new array filled with a value."""
    recorder = RECORDING.recorder
    if recorder is None:
        return np.full(shape, value, dtype)
    made = empty(shape, np.asarray(value).dtype if dtype is None else dtype)
    np.copyto(made, value, casting="unsafe")
    return made


def empty_like(x: Array, dtype: Any = None) -> Array:
    """Return a new array of x's shape and order in memory, whose elements are not set."""
    recorder = RECORDING.recorder
    made: Array = np.empty_like(x, dtype, subok=False)
    return made if recorder is None else recorder.allocated(made)


def zeros_like(x: Array, dtype: Any = None) -> Array:
    """Return zeros in x's shape and order in memory."""
    return np.zeros_like(x, dtype) if RECORDING.recorder is None else _filled_like(x, 0, dtype)


def ones_like(x: Array, dtype: Any = None) -> Array:
    """Return ones in x's shape and order in memory."""
    return np.ones_like(x, dtype) if RECORDING.recorder is None else _filled_like(x, 1, dtype)


def _filled_like(x: Array, value: Any, dtype: Any) -> Array:
    made = empty_like(x, dtype)
    np.copyto(made, value, casting="unsafe")
    return made


def ascontiguousarray(x: Any, dtype: Any = None) -> Array:
    """Return x in C order: itself, if it is."""
    recorder = RECORDING.recorder
    if recorder is None:
        return np.ascontiguousarray(x, dtype)
    return recorder.converted(x, dtype, "C", False)


def asarray(x: Any, dtype: Any = None) -> Array:
    """Return x as an array: itself, if it is one."""
    recorder = RECORDING.recorder
    return np.asarray(x, dtype) if recorder is None else recorder.converted(x, dtype, "K", False)


def array(x: Any, dtype: Any = None) -> Array:
    """Return a copy of x as an array."""
    recorder = RECORDING.recorder
    return np.array(x, dtype) if recorder is None else recorder.converted(x, dtype, "K", True)


def keep_freed_memory() -> None:
    """Let the GNU C library take blocks of up to 32 MiB from its heap, and keep 1 GiB of it."""
    if os.name != "posix" or any(name in os.environ for name in _SETTINGS):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # The second alone would have blocks above 128 KiB mapped again.
    if mallopt is not None and mallopt(_MMAP_THRESHOLD, _FROM_HEAP):
        mallopt(_TRIM_THRESHOLD, _KEPT)


def give_back_freed_memory() -> None:
    """Give the pages that are free in the C library's heap back to the system."""
    trim = None if os.name != "posix" else getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


keep_freed_memory()
