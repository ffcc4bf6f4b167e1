"""What goes wrong when a function is recorded or replayed."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import FrameType

import numpy as np

_HERE = Path(__file__).parent
_KERNELS = _HERE.parent / "_ops"
_INNER = (
    str(_HERE),
    str(Path(np.__file__).parent),
    str(_KERNELS / "memory.py"),
    str(_KERNELS / "values.py"),
    "<",
)


class DeviationError(Exception):
    """The values of a call take another path than those that were recorded."""


def caller() -> tuple[str, int]:
    """Return the file and the line that called into the recorder or NumPy."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_inner(frame.f_code.co_filename):
        frame = frame.f_back
    return ("?", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


@functools.cache
def _is_inner(file: str) -> bool:
    """Whether a file is no caller: this package, NumPy, or a kernel's door to either."""
    return file.startswith(_INNER)


def line_of(place: tuple[str, int]) -> str:
    """Return ``file:line`` as short as it is clear: the path from the package's or project's."""
    file, line = place
    parts = Path(file).parts
    start = max((i for i, part in enumerate(parts) if part == "fcnn"), default=len(parts) - 1)
    return f"{'/'.join(parts[start:])}:{line}"
