"""The number of threads of this process's BLAS: read, limited to one, and restored.

The libraries are looked for when they are first needed.
"""

from __future__ import annotations

import functools
import importlib
import threading
from typing import Any

IN_PLACE = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS kernels that multiply small matrices without packing; Zen 4 and 5 run the first."""


class Blas:
    """A counter of callers that need one BLAS thread: the first sets it, the last restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: list[int] = []

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        """The BLAS libraries of this process: NumPy's and SciPy's, which has one of its own."""
        from threadpoolctl import ThreadpoolController

        importlib.import_module("scipy.linalg.cython_blas")  # loads SciPy's

        found = ThreadpoolController().select(user_api="blas")
        return list(found.lib_controllers)

    @functools.cached_property
    def multiplies_in_place(self) -> bool:
        """Whether BLAS multiplies small matrices without packing: OpenBLAS does with AVX-512."""
        from threadpoolctl import ThreadpoolController

        found = ThreadpoolController().select(user_api="blas").lib_controllers
        return any(getattr(library, "architecture", None) in IN_PLACE for library in found)

    @property
    def threads(self) -> int:
        """The number of threads that a product may use now."""
        return min((library.get_num_threads() for library in self._libraries), default=1)

    def enter(self) -> None:
        """Limit BLAS to one thread until every caller that entered has left.

        Several threads may be inside at once.
        """
        with self._lock:
            if self._users == 0:
                self._before = [library.get_num_threads() for library in self._libraries]
                for library, count in zip(self._libraries, self._before, strict=True):
                    if count != 1:
                        _set_threads(library, 1)
            self._users += 1

    def leave(self) -> None:
        """Leave; the last caller restores the numbers of threads that the first found."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for library, count in zip(self._libraries, self._before, strict=True):
                    if count != 1:
                        _set_threads(library, count)


def _set_threads(library: Any, count: int) -> None:
    # Since 3.7 threadpoolctl ignores limits of other threads than the first that set one, until
    # that thread clears its claim. Here the lock decides which thread sets it.
    clear = getattr(library, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    library.set_num_threads(count)
    clear(force=True)


BLAS = Blas()
"""The BLAS of this process."""
