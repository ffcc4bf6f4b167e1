"""Which calls make arrays that a recorder does not see, for a warning."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from fcnn._jit._errors import line_of

MOST = 3
"""The most calls that are named."""

_MAKERS = {
    np.empty, np.zeros, np.array, np.asarray, np.asanyarray, np.ascontiguousarray,
    np.asfortranarray, np.frombuffer, np.fromiter,
}  # fmt: skip
_LIBRARIES = (str(Path(__file__).parent.parent), str(Path(np.__file__).parent), "<frozen")


def unseen(call: Callable[[], object]) -> list[str]:
    """Run ``call`` and return where it makes arrays with functions that NumPy does not dispatch.

    What this library and NumPy themselves do is left out.
    """
    found: dict[str, None] = {}

    def profile(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function in _MAKERS:
            place = frame.f_code.co_filename, frame.f_lineno
            if not place[0].startswith(_LIBRARIES):
                found[f"{function.__name__} in {line_of(place)}"] = None

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        with contextlib.suppress(Exception):
            call()
    finally:
        sys.setprofile(before)
    return list(found)[:MOST]
