"""The constant arrays of a file, and names in C."""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array
from fcnn.export._c._text import array


class Tables:
    """The constant arrays of a file: equal ones are written once."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.lines: list[str] = []
        self.bytes = 0
        self._known: dict[tuple[str, bytes], str] = {}
        self._used: set[str] = set()

    def add(self, name: str, values: Array) -> str:
        """Return the name of an array in C."""
        values = np.ascontiguousarray(values)
        content = str(values.dtype), values.tobytes()
        if content not in self._known:
            found = self._known[content] = self._unique(name)
            self.lines += array(found, values)
            self.bytes += values.nbytes
        return self._known[content]

    def _unique(self, name: str) -> str:
        base = f"{self.prefix}_{identifier(name)}"
        found, i = base, 1
        while found in self._used:
            i += 1
            found = f"{base}_{i}"
        self._used.add(found)
        return found


def identifier(name: str) -> str:
    """Return a name with letters, digits and underscores alone.

    >>> from fcnn.export._c._tables import identifier
    >>> identifier("conv1.Conv/2")
    'conv1_Conv_2'
    """
    return "".join(each if each.isascii() and each.isalnum() else "_" for each in name).strip("_")
