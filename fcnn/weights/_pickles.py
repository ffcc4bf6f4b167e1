"""Pickles of tensors, read without executing anything.

A pickle is a program for a stack machine. This machine knows the instructions that containers,
numbers and text need, and calls nothing: a class or function in the file is a name that is
looked up in a table of what tensors are made of. Everything else is refused by its name.

Source: the instructions are those of `pickletools`; what PyTorch writes stands in
``torch/_utils.py`` and ``torch/serialization.py`` of version 2.13.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from fcnn.errors import DataError

MOST = 2_000_000
"""Instructions in a pickle: each may make an object of some 60 bytes from one byte."""
_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING",
    "STRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Machine:
    """Reads one pickle.

    Args:
        names: what ``"module name"`` stands for: a function of a call's arguments, or a value.
        persistent: returns what a persistent id stands for.
    """

    def __init__(self, names: Callable[[str], Any], persistent: Callable[[Any], Any]) -> None:
        self.names, self.persistent = names, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: Any) -> Any:
        """Return the object; the file stands behind the pickle then.

        Raises:
            DataError: if there is something in it that is not read.
        """
        for i, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if i == MOST:
                raise DataError(f"expected a pickle of at most {MOST} instructions, got more")
            self._step(opcode.name, argument)
        return self.stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in ("PROTO", "FRAME", "STOP"):
            pass
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.memo[argument])
        elif name == "GLOBAL":
            stack.append(self.names(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self.names(f"{module} {attribute}"))
        elif name == "BINPERSID":
            stack.append(self.persistent(stack.pop()))
        elif name in _TUPLES:
            n = _TUPLES[name]
            made = tuple(stack[len(stack) - n :])
            if len(made) < n:
                raise DataError("expected a pickle, got one whose stack is empty")
            stack[len(stack) - n :] = [made]
        elif name == "TUPLE":
            stack.append(tuple(self._from_mark()))
        elif name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS"):
            self._extend(name)
        elif name in ("REDUCE", "BUILD"):
            self._call(name)
        else:
            raise DataError(
                f"expected a state_dict of tensors, got the pickle instruction {name}; "
                f"save model.state_dict() alone"
            )

    def _from_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _extend(self, name: str) -> None:
        if name.endswith("S"):
            items = self._from_mark()
        else:
            n = 1 if name == "APPEND" else 2
            items = self.stack[-n:]
            del self.stack[-n:]
        target = self.stack[-1]
        if name.startswith("APPEND") and type(target) is list:
            target.extend(items)
        elif name.startswith("SETITEM") and type(target) is dict:
            target.update(zip(items[::2], items[1::2], strict=True))
        else:
            raise DataError(f"expected a list or dict to add to, got {type(target).__name__}")

    def _call(self, name: str) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        if name == "REDUCE" and callable(target) and type(arguments) is tuple:
            self.stack.append(target(*arguments))
        elif name == "BUILD" and isinstance(target, Mapping):
            self.stack.append(target)  # an OrderedDict's attributes: _metadata
        else:
            raise DataError(
                f"expected a state_dict of tensors, got {name} of {type(target).__name__}; "
                f"save model.state_dict() alone"
            )
