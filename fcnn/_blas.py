"""How many threads the BLAS of this process uses: asked, limited to one, and restored.

The controller of the libraries is made once; it is looked for when it is first needed.
"""

from __future__ import annotations

import functools
import importlib
import threading
from typing import Any

IN_PLACE = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""The kernels of OpenBLAS that have a form for small matrices; Zen 4 and 5 run the first."""


class Blas:
    """Counts who wants one BLAS thread: the first sets it, the last restores what was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: list[int] = []

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        """The BLAS libraries of this process, looked for once: both of NumPy's and SciPy's."""
        from threadpoolctl import ThreadpoolController

        importlib.import_module("scipy.linalg.cython_blas")  # SciPy brings a BLAS of its own

        found = ThreadpoolController().select(user_api="blas")
        return list(found.lib_controllers)

    @functools.cached_property
    def multiplies_in_place(self) -> bool:
        """Whether it multiplies small matrices where they lie: OpenBLAS does with AVX-512."""
        from threadpoolctl import ThreadpoolController

        found = ThreadpoolController().select(user_api="blas").lib_controllers
        return any(getattr(library, "architecture", None) in IN_PLACE for library in found)

    @property
    def threads(self) -> int:
        """How many threads a product may use now."""
        return min((library.get_num_threads() for library in self._libraries), default=1)

    def enter(self) -> None:
        """From now on one thread, until each who entered has left.

        Several threads may be within at once.
        """
        with self._lock:
            if self._users == 0:
                self._before = [library.get_num_threads() for library in self._libraries]
                for library, count in zip(self._libraries, self._before, strict=True):
                    if count != 1:
                        _set_threads(library, 1)
            self._users += 1

    def leave(self) -> None:
        """The last to leave restores what the first had found."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for library, count in zip(self._libraries, self._before, strict=True):
                    if count != 1:
                        _set_threads(library, count)


def _set_threads(library: Any, count: int) -> None:
    # threadpoolctl 3.7 lets one thread only set the limit, whichever was first, until that
    # thread clears its claim. Here the lock decides who sets it.
    clear = getattr(library, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    library.set_num_threads(count)
    clear(force=True)


BLAS = Blas()
"""That of this process."""
