"""The number of threads of this process's BLAS: read, limited to one, and restored.

The libraries are looked for when they are first needed.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from typing import Any

IN_PLACE = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS kernels that multiply small matrices without packing; Zen 4 and 5 run the first."""


class Blas:
    """A counter of callers that need one BLAS thread: the first sets it, the last restores.

    A forked child has one thread, and counts the callers of that thread alone.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[int, int] = {}  # callers by the thread that entered
        self._before: list[int] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=lambda: self._lock.acquire(),
                after_in_parent=lambda: self._lock.release(),
                after_in_child=self._after_fork,
            )

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
            if not self._users:
                self._before = [library.get_num_threads() for library in self._libraries]
                self._set_all([1] * len(self._before))
            here = threading.get_ident()
            self._users[here] = self._users.get(here, 0) + 1

    def leave(self) -> None:
        """Leave; the last caller restores the numbers of threads that the first found."""
        with self._lock:
            here = threading.get_ident()
            if here not in self._users:  # a generator may be closed by another thread
                here = next(iter(self._users))
            self._users[here] -= 1
            if not self._users[here]:
                del self._users[here]
            if not self._users:
                self._set_all(self._before)

    def _set_all(self, counts: list[int]) -> None:
        for library, before, count in zip(self._libraries, self._before, counts, strict=True):
            if before != 1:
                _set_threads(library, count)

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        here = threading.get_ident()
        has_users = bool(self._users)
        self._users = {here: self._users[here]} if here in self._users else {}
        if has_users and not self._users:
            self._set_all(self._before)


def _set_threads(library: Any, count: int) -> None:
    # Since 3.7 threadpoolctl ignores limits of other threads than the first that set one, until
    # that thread clears its claim. Here the lock decides which thread sets it.
    clear = getattr(library, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    library.set_num_threads(count)
    clear(force=True)


BLAS = Blas()
"""The BLAS of this process."""
