"""Functions that are pickled once, and are one object in each process that they are sent to."""

from __future__ import annotations

import functools
import pickle
from typing import Any

from fcnn.parallel._pickling import dumps


class Once:
    """A callable that pickles by its arguments; what it keeps beside them stays in its process.

    Args:
        arguments: those of the subclass.
    """

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._code: bytes | None = None

    def __reduce__(self) -> Any:
        if self._code is None:
            self._code = dumps((type(self), self._arguments))
        return _known, (self._code,)


@functools.lru_cache(maxsize=8)
def _known(code: bytes) -> Once:
    kind, arguments = pickle.loads(code)
    made: Once = kind(*arguments)
    return made
