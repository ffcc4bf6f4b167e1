"""Pieces of C: lines with their indentation, loops, indices and arrays of constants."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from fcnn._typing import Array, Shape

TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}
"""C's names of NumPy's dtypes; whole numbers of 64 bits are written where they fit into 32."""
WIDTH = 100


class Lines:
    """Lines of C, indented by the blocks that are open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0

    def add(self, *lines: str) -> None:
        """Add lines at this depth."""
        self.lines += [f"{'    ' * self._depth}{line}" if line else "" for line in lines]

    def open(self, head: str) -> None:
        """Add ``head {``: what follows is within, until `close`."""
        self.add(f"{head} {{".lstrip())
        self._depth += 1

    def close(self) -> None:
        """Add the ``}`` of the innermost block."""
        self._depth -= 1
        self.add("}")

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add ``head {``, what is added within, and ``}``."""
        self.open(head)
        yield
        self.close()

    @contextlib.contextmanager
    def loops(self, *ranges: tuple[str, int]) -> Iterator[None]:
        """Add a loop for each variable, from 0 to below its size; of size 1 a constant."""
        with contextlib.ExitStack() as stack:
            for name, size in ranges:
                stack.enter_context(self.block(f"for (int {name} = 0; {name} < {size}; {name}++)"))
            yield


def index(*terms: tuple[str, int]) -> str:
    """Return ``a * 3 + b`` of variables and their strides.

    >>> from fcnn.export._c._text import index
    >>> index(("y", 28), ("x", 1), ("0", 5))
    'y * 28 + x'
    """
    parts = [name if stride == 1 else f"{name} * {stride}" for name, stride in terms if name != "0"]
    return " + ".join(part for part in parts if not part.endswith("* 0")) or "0"


def strides_of(shape: Shape) -> list[int]:
    """Return how many elements apart neighbours along each axis are."""
    return [math.prod(shape[i + 1 :]) for i in range(len(shape))]


def number(value: float) -> str:
    """Return a float32 as the shortest literal that reads back as the same.

    >>> from fcnn.export._c._text import number
    >>> number(0.1), number(2), number(float("-inf"))
    ('0.1f', '2.0f', '-INFINITY')
    """
    if not math.isfinite(value):
        return "NAN" if math.isnan(value) else ("INFINITY" if value > 0 else "-INFINITY")
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def array(name: str, values: Array) -> list[str]:
    """Return the definition of a constant array."""
    values = np.asarray(values)
    if values.dtype == np.int64:
        values = values.astype(np.int32)
    is_float = values.dtype.kind == "f"
    words = [number(each) if is_float else str(each) for each in values.reshape(-1).tolist()]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    kind = TYPES[str(values.dtype)]
    return [f"static const {kind} {name}[{values.size}] = {{", *lines, line, "};"]


def comment(text: str) -> str:
    """Return a comment that holds no end of a comment."""
    return f"/* {text.replace('*/', '* /').replace('/*', '/ *')} */"


def loop_names(rank: int) -> Sequence[str]:
    """Return names for that many nested loops."""
    return ["i", "j", "k", "l", "m", "n", "o"][:rank]
