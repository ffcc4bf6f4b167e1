"""Nodes: frozen attrs classes that hold a tree's arrays, and the kinds of their fields."""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import attrs
import numpy as np

from fcnn.tree._children import is_namedtuple, leaves, shape_of
from fcnn.tree._structure import equal, structure

T = TypeVar("T")
_STATISTIC, _NUMBER = "fcnn.statistic", "fcnn.number"


def freeze(value: Any, lists: type = tuple) -> Any:
    """Return a node's field with its arrays as read-only views and its lists as tuples.

    Or, with ``lists=list``, as lists.
    """
    cls = type(value)
    if cls is np.ndarray:
        if value.flags.writeable:
            value = value.view()
            value.setflags(write=False)
        return value
    if cls is tuple or cls is list:
        return (lists if cls is list else tuple)([freeze(child, lists) for child in value])
    if cls is dict:
        return {name: freeze(child, lists) for name, child in value.items()}
    if is_namedtuple(cls):
        return cls(*[freeze(child, lists) for child in value])
    return value


def statistic() -> Any:
    """Declare a field of a node as a statistic: it follows the data, not the loss.

    A pullback returns an `fcnn.tree.Observation` in its place, which an optimizer's step
    mixes in, whatever it does to weights.

    >>> from fcnn import tree
    >>> @tree.node
    ... class Norm:
    ...     scale: object
    ...     mean: object = tree.statistic()
    >>> tree.statistics(Norm(1.0, 0.0))
    [False, True]
    """
    return attrs.field(metadata={_STATISTIC: True})


def number() -> Any:
    """Declare a field of a node as a Python number that changes, such as a count of steps.

    `fcnn.jit` takes it as an argument, as it does arrays; a number elsewhere is recorded anew for
    each of its values.

    >>> from fcnn import tree
    >>> @tree.node
    ... class Counted:
    ...     count: int = tree.number()
    >>> Counted(3)
    Counted(count=3)
    """
    return attrs.field(metadata={_NUMBER: True})


def _with_converter(_cls: type, fields: list[Any]) -> list[Any]:
    return [field.evolve(converter=field.converter or freeze) for field in fields]


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(attrs.field, statistic, number)
)
def node(cls: type[T]) -> type[T]:
    """Make a class a tree node: frozen attrs whose arrays are read-only views.

    Nodes compare by value (type, dtypes, shapes and numbers; NaN equals NaN),
    hash by structure, pickle, and come back read-only.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> @tree.node
    ... class Affine:
    ...     weight: np.ndarray
    ...     bias: np.ndarray
    >>> w = np.ones((2, 3))
    >>> affine = Affine(w, np.zeros(3))
    >>> affine.weight.flags.writeable, w.flags.writeable
    (False, True)
    >>> affine == Affine(np.ones((2, 3)), np.zeros(3))
    True
    """
    made: Any = attrs.frozen(
        cls, eq=False, getstate_setstate=False, field_transformer=_with_converter
    )
    fields = attrs.fields(made)
    made.__node_fields__ = tuple(field.name for field in fields)
    made.__node_statistics__ = frozenset(f.name for f in fields if _STATISTIC in f.metadata)
    made.__node_numbers__ = frozenset(f.name for f in fields if _NUMBER in f.metadata)
    # attrs shows the converter's type, Any, in the signature.
    made.__init__.__annotations__ = {field.name: field.type for field in fields}
    made.__eq__ = _node_eq
    made.__hash__ = _node_hash
    made.__reduce__ = _node_reduce
    return made  # type: ignore[no-any-return]


def _node_eq(self: Any, other: object) -> Any:
    return equal(self, other) if type(self) is type(other) else NotImplemented


def _node_hash(self: Any) -> int:
    return hash((structure(self), tuple(shape_of(leaf) for leaf in leaves(self))))


def _node_reduce(self: Any) -> Any:
    return type(self), tuple(getattr(self, name) for name in type(self).__node_fields__)
