"""What is recorded: a call with the places of its arrays, and a key by its argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from fcnn._jit._spans import Place


@attrs.define(eq=False)
class Way:
    """A key: that of an argument or, without one, of a seed; and the path from it.

    Where an entry of the path is computed, the array that holds it stands in its place.
    """

    argument: int | None
    seed: int
    path: tuple[Any, ...]

    def expression(self, key: str, write: Callable[[Any], str]) -> str:
        """Return the key as Python; ``key`` is the name of its class."""
        entries = [str(int(i)) if isinstance(i, int) else f"{write(i)}.item()" for i in self.path]
        path = f"({''.join([f'{each}, ' for each in entries])})"
        if self.argument is None:
            return f"{key}({self.seed}, {path})"
        return f"{key}(a{self.argument}.seed, a{self.argument}.path + {path})"


@attrs.define(eq=False)
class Op:
    """A call.

    Attributes:
        style: "out", a function that takes its results' memory; "host", one that returns new
            arrays, which are copied there; "copy" into the result; "in place", a function that
            writes to its first argument; "unless", one that does so where a condition, which
            comes before its arguments, is false; "guard", a condition that holds.
        function: what is called; None for a guard on an array itself.
        args: with the places of recorded arrays; other arrays are constants.
        outs: the places that are written to.
        operands: the places and constants among the arguments.
        expected: of a guard, the truth value.
        place: the file and the line that made the call.
        state: `numpy.errstate`'s arguments and the size of NumPy's buffer, where they are set.
    """

    style: str
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[Place, ...]
    operands: tuple[Any, ...] = ()
    expected: bool = True
    place: tuple[str, int] = ("?", 0)
    state: tuple[tuple[tuple[str, str], ...], int] = ((), 0)
    digest: bytes = b""

    @property
    def name(self) -> str:
        """What is called, for people."""
        if self.style == "copy":
            return "copyto"
        found = getattr(self.function, "__name__", None) or type(self.function).__name__
        if self.style == "guard":
            return "check" if self.function is None else f"check {found}"
        of = getattr(self.function, "__self__", None)
        return f"{of.__name__}.{found}" if isinstance(of, np.ufunc) else str(found)

    def reads(self) -> list[Place]:
        """Return the places that are read; what is written to in part is not among them."""
        return [each for each in self.operands if type(each) is Place]
