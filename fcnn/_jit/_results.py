"""The results of a function as an expression of Python, which the generated code returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._jit._spans import same_bits
from fcnn._jit._traced import Traced, TracedKey, plain
from fcnn.errors import TraceError
from fcnn.prng import Key
from fcnn.tree import Observation
from fcnn.tree._children import is_namedtuple

Leaf = Callable[[Any, Any], str]
Name = Callable[[Any], str]


def expression(result: Any, traced: Any, leaf: Leaf, name: Name) -> str:
    """Return the expression of a result of the function, given that of its recorded run.

    Args:
        result: what the function returned.
        traced: what it returned when it was recorded.
        leaf: the expression of an array or a number that was recorded.
        name: the name of a constant.
    """
    cls = type(result)
    if isinstance(traced, Traced):
        if not isinstance(result, np.ndarray | np.generic | int | float):
            raise _differs(result, traced)
        return leaf(result, traced)
    if isinstance(traced, TracedKey):
        if cls is not Key:
            raise _differs(result, traced)
        return traced.way().expression(name(Key), lambda entry: leaf(np.int64(0), entry))
    if cls is not type(traced):
        raise _differs(result, traced)
    if cls is np.ndarray:
        if not same_bits(result, traced):
            raise _differs(result, traced)
        copied = f"{name(result.copy('K'))}.copy('K')"
        return copied if result.flags.writeable else f"{name(read_only)}({copied})"
    fields = getattr(cls, "__node_fields__", None)
    if fields is not None:
        children = [(getattr(result, field), getattr(traced, field)) for field in fields]
    elif cls is tuple or cls is list or is_namedtuple(cls):
        if len(result) != len(traced):
            raise _differs(result, traced)
        children = list(zip(result, traced, strict=True))
    elif cls is dict:
        if list(result) != list(traced):
            raise _differs(result, traced)
        items = [
            f"{name(key)}: {expression(value, traced[key], leaf, name)}"
            for key, value in result.items()
        ]
        return "{" + ", ".join(items) + "}"
    elif cls is Observation:
        value = expression(result.value, traced.value, leaf, name)
        return f"{name(Observation)}({value}, {name(result.weight)})"
    else:
        if result is not traced and not (result == traced or result != result):
            raise _differs(result, traced)
        return name(result)
    parts = ", ".join([expression(one, other, leaf, name) for one, other in children])
    if cls is tuple:
        return f"({parts},)" if parts else "()"
    return f"[{parts}]" if cls is list else f"{name(cls)}({parts})"


def read_only(array: Any) -> Any:
    """Return the array, which can no longer be written to."""
    array.setflags(False)  # write=False; by its name it takes twice the time
    return array


def _differs(result: Any, traced: Any) -> TraceError:
    return TraceError(
        f"expected a function that returns the same for the same arguments, got {result!r} and, "
        f"when recorded, {plain(traced)!r}"
    )


def differences(result: Any, other: Any) -> bool:
    """Whether two results differ: in structure, in a type, or in a bit."""
    cls = type(result)
    if cls is not type(other):
        return True
    fields = getattr(cls, "__node_fields__", None)
    if fields is not None:
        return any(differences(getattr(result, n), getattr(other, n)) for n in fields)
    if cls is Observation:
        return result.weight != other.weight or differences(result.value, other.value)
    if cls is tuple or cls is list or is_namedtuple(cls):
        return len(result) != len(other) or any(map(differences, result, other))
    if cls is dict:
        return list(result) != list(other) or any(
            differences(v, other[k]) for k, v in result.items()
        )
    if cls is np.ndarray:
        return not same_bits(result, other) or _strides(result) != _strides(other)
    if isinstance(result, np.generic | int | float | complex):
        return not same_bits(result, other)
    return bool(result is not other and result != other)


def _strides(array: Any) -> list[int]:
    return [s for s, n in zip(array.strides, array.shape, strict=True) if n > 1 and array.size]
