"""Arguments as leaves and a signature: what a plan is looked up by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._layer import Context
from fcnn.errors import ArgumentError
from fcnn.prng import Key, is_abstract
from fcnn.tree import Observation
from fcnn.tree._children import is_namedtuple
from fcnn.tree._structure import rebuild

_NUMBERS = (int, float)


def flattened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the leaves and the signature of a function's arguments."""
    leaves: list[Any] = []
    signature: list[Any] = [len(args)]
    for each in args:
        flatten(each, leaves, signature)
    if kwargs:
        flatten(kwargs, leaves, signature)
    return leaves, signature


def flatten(value: Any, leaves: list[Any], signature: list[Any]) -> None:
    """Append the arrays and keys of a tree to ``leaves``, and all the rest to the signature.

    Arrays count by shape, strides and dtype, keys by nothing, and what is no tree by its value;
    the order of a dict counts too.
    A number in a field that is declared by `fcnn.tree.number` is an array of its own.
    """
    cls = type(value)
    if cls is np.ndarray:
        leaves.append(value)
        signature.append((value.shape, value.strides, value.dtype))
        return
    names = None if cls is tuple else getattr(cls, "__node_fields__", None)
    if names is not None:
        signature.append(cls)
        numbers = cls.__node_numbers__
        for name in names:
            child = getattr(value, name)
            if name in numbers and type(child) in _NUMBERS:
                leaves.append(np.asarray(child))
                signature.append(type(child))
            else:
                flatten(child, leaves, signature)
    elif cls is tuple or cls is list or is_namedtuple(cls):
        signature.append((cls, len(value)))
        for child in value:
            flatten(child, leaves, signature)
    elif cls is dict:
        signature.append((cls, *value))
        for child in value.values():
            flatten(child, leaves, signature)
    elif cls is Key:
        leaves.append(value)
        signature.append(cls)
    elif cls is Context:
        signature.append((cls, value.train, value.input_grad, value.fuse))
        flatten(value.key, leaves, signature)
    elif cls is Observation:
        signature.append((cls, value.weight))
        flatten(value.value, leaves, signature)
    elif isinstance(value, np.generic):
        leaves.append(np.asarray(value))
        signature.append((cls, value.dtype))
    elif cls is float:
        signature.append((cls, value.hex()))  # 0.0 equals -0.0, and NaN is not equal to itself
    else:
        signature.append((cls, value))


def has_count(tree: Any) -> bool:
    """Whether a whole number is part of a tree's signature: each of its values is a new one."""
    signature: list[Any] = []
    flatten(tree, [], signature)
    return any(type(each) is tuple and each[0] is int for each in signature)


def key_of(signature: list[Any]) -> tuple[Any, ...]:
    """Return a signature that can be looked up.

    Raises:
        ArgumentError: if it does not hash.
    """
    key = tuple(signature)
    try:
        hash(key)
    except TypeError:
        kinds = {type(each[1]).__name__ for each in signature[1:] if not _hashes(each)}
        raise ArgumentError(
            f"expected trees of arrays, keys, contexts and values that hash as arguments of a "
            f"function under jit, got {', '.join(sorted(kinds))}; close over it, or pass arrays"
        ) from None
    return key


def _hashes(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def is_supported(leaf: Any) -> bool:
    """Whether a leaf can be laid out as it is: contiguous in an order of its axes, and native."""
    if isinstance(leaf, Key):
        return not is_abstract(leaf)
    if not leaf.dtype.isnative or leaf.dtype.hasobject or leaf.dtype.kind not in "biufc":
        return False
    copied = zip(leaf.shape, leaf.strides, leaf.copy("K").strides, strict=True)
    return leaf.size == 0 or all(size == 1 or one == other for size, one, other in copied)


def replaced(value: Any, replace: Callable[[Any], Any]) -> Any:
    """Return a tree with its arrays and keys, in the order of `flatten`, replaced."""
    cls = type(value)
    if cls is np.ndarray or cls is Key:
        return replace(value)
    names = getattr(cls, "__node_fields__", None)
    if names is not None:
        numbers = cls.__node_numbers__
        children = [(name in numbers, getattr(value, name)) for name in names]
        return cls(*[
            _as_number(replace(np.asarray(child))) if marked and type(child) in _NUMBERS
            else replaced(child, replace)
            for marked, child in children
        ])  # fmt: skip
    if cls is tuple or cls is list or is_namedtuple(cls):
        return rebuild(cls, (), [replaced(child, replace) for child in value])
    if cls is dict:
        return {name: replaced(child, replace) for name, child in value.items()}
    if cls is Context:
        return Context(value.train, replaced(value.key, replace), value.input_grad, value.fuse)
    if cls is Observation:
        return Observation(replaced(value.value, replace), value.weight)
    if isinstance(value, np.generic):
        return replace(np.asarray(value))
    return value


def _as_number(array: Any) -> Any:
    """Return a traced array as one that stands for a Python number."""
    return array.view(array.recorder.number_kind)
