"""Trees and values as JSON and arrays.

Every JSON object has one tag: ``array`` and ``scalar`` (an array's name), ``int``, ``float``,
``bool``, ``str``, ``tuple``, ``list``, ``dict`` (pairs), ``node`` and ``record`` (a class and its
fields), ``call`` (a constructor and its arguments), ``name`` (a value without arguments) and
``function``. None is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from fcnn._record import fields_of, is_record
from fcnn._value import Value
from fcnn.checkpoint._names import name_of
from fcnn.errors import TreeError
from fcnn.tree._children import is_namedtuple

Namer = Callable[[str], str]
"""What an array is called in a file, by its path in the tree."""


@attrs.define
class Encoded:
    """A tree as JSON, its arrays by name, and the classes and constructors that it names."""

    arrays: dict[str, np.ndarray] = attrs.field(factory=dict)
    found: dict[str, Any] = attrs.field(factory=dict)
    namer: Namer = str

    def encode(self, value: Any, path: str) -> Any:
        """Return a value as JSON; put its arrays into ``arrays``.

        Raises:
            TreeError: with the path, if it is nothing that a file can hold.
        """
        if value is None:
            return None
        if isinstance(value, Value):
            return self._call(value, path)
        cls = type(value)
        if is_record(cls):
            return self._fields("record", value, fields_of(cls), path)
        if names := getattr(cls, "__node_fields__", None):
            return self._fields("node", value, names, path)
        if hasattr(cls, "__node_fields__"):
            return self._fields("node", value, (), path)
        if is_namedtuple(cls):
            return self._fields("node", value, cls._fields, path)
        if cls is tuple or cls is list:
            return {cls.__name__: [self.encode(v, _join(path, i)) for i, v in enumerate(value)]}
        if isinstance(value, Mapping):
            return {"dict": [self._item(name, child, path) for name, child in value.items()]}
        return self._leaf(value, path)

    def _leaf(self, value: Any, path: str) -> Any:
        if isinstance(value, bool | int | str):
            return {type(value).__name__: value}
        if isinstance(value, float) and not isinstance(value, np.generic):
            return {"float": value if math.isfinite(value) else repr(value)}
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufcSU":
            name = self._free(self.namer(path))
            self.arrays[name] = np.asarray(value)
            return {"array" if isinstance(value, np.ndarray) else "scalar": name}
        if callable(value) and hasattr(value, "__qualname__"):
            return {"function": self._name(value)}
        kind = f"{value.dtype} array" if hasattr(value, "dtype") else type(value).__name__
        raise TreeError(
            f"expected a node, tuple, list, dict, None, number, text, array, layer or the like, "
            f"got {kind} at {path or 'the root'}"
        )

    def _free(self, name: str) -> str:
        """Return an array's name, made unique by a number."""
        name, taken, i = name or "value", name or "value", 1
        while taken in self.arrays:
            taken, i = f"{name}#{i}", i + 1
        return taken

    def _name(self, thing: Any) -> str:
        name = name_of(thing)
        self.found[name] = thing
        return name

    def _fields(self, tag: str, value: Any, names: Any, path: str) -> Any:
        fields = {name: self.encode(getattr(value, name), _join(path, name)) for name in names}
        return {tag: self._name(type(value)), "fields": fields}

    def _item(self, name: Any, child: Any, path: str) -> Any:
        if not isinstance(name, str | int):
            raise TreeError(f"expected text or whole numbers as dict keys, got {name!r} at {path}")
        return [name, self.encode(child, _join(path, name))]

    def _call(self, value: Value, path: str) -> Any:
        spec = value.spec
        if spec.is_name:
            name = name_of(spec.constructor)
            self.found[name] = value
            return {"name": name}
        args = [self.encode(each, _join(path, i)) for i, each in enumerate(spec.args)]
        kwargs = {name: self.encode(each, _join(path, name)) for name, each in spec.kwargs}
        return {"call": self._name(spec.constructor), "args": args, "kwargs": kwargs}


def _join(path: str, step: Any) -> str:
    return f"{path}.{step}" if path else str(step)
