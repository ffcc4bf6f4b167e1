"""Classes that may be in a file although they are no tree nodes: states, keys, reports."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from fcnn.errors import ArgumentError
from fcnn.prng import Key
from fcnn.tree import Observation

C = TypeVar("C", bound=type)

_RECORDS: dict[type, tuple[str, ...]] = {}
"""The fields of each class, which are its arguments."""


def record(cls: C) -> C:
    """Let instances of an attrs class be saved: it is made again from its fields.

    Raises:
        ArgumentError: if it is no attrs class, or a field is not an argument of it.

    >>> import attrs, fcnn
    >>> @fcnn.checkpoint.record
    ... @attrs.frozen
    ... class Point:
    ...     x: float
    ...     y: float
    """
    fields: Any = attrs.fields(cls) if attrs.has(cls) else ()
    if not fields or not all(field.init for field in fields):
        raise ArgumentError(f"expected an attrs class made from its fields, got {cls!r}")
    _RECORDS[cls] = tuple(field.alias for field in fields)
    return cls


def is_record(cls: Any) -> bool:
    """Return whether instances of a class are saved field by field."""
    return cls in _RECORDS


def fields_of(cls: Any) -> tuple[str, ...]:
    """Return the names of a record's fields, in the order in which it takes them."""
    return _RECORDS[cls]


record(Key)
_RECORDS[Observation] = ("value", "weight")
