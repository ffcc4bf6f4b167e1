"""Nodes as JAX pytrees, and arrays from one library to the other."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.tree import Observation

_REGISTERED: set[type] = set()


def jax() -> Any:
    """Return JAX.

    Raises:
        ImportError: naming the extra, if it is missing.
    """
    try:
        return importlib.import_module("jax")
    except ImportError as error:
        raise ImportError("expected JAX, got no such module; pip install 'fcnn[jax]'") from error


def register(params: Tree) -> None:
    """Make the nodes of a tree known to JAX as pytrees, with names in paths.

    Running statistics are children like weights; `fcnn.jax.model` gives zeros as their gradients.
    Nodes that are known already are left as they are. JAX keeps the registration for the process.

    Args:
        params: a tree, whose nodes' classes are registered.

    Raises:
        ImportError: if JAX is missing.

    >>> import fcnn, fcnn.jax, jax
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (3,))
    >>> fcnn.jax.register(params)
    >>> jax.tree.map(lambda leaf: leaf.shape, params).weight
    (3, 2)
    """
    library = jax()
    for kind in _kinds(params):
        if kind in _REGISTERED:
            continue
        names = kind.__node_fields__  # type: ignore[attr-defined]
        keys = [library.tree_util.GetAttrKey(name) for name in names]

        def flatten(node: Any, names: Any = names, keys: Any = keys) -> Any:
            return [(k, getattr(node, n)) for k, n in zip(keys, names, strict=True)], None

        def unflatten(_: Any, children: Any, kind: Any = kind, names: Any = names) -> Any:
            # Without the converter, which would make NumPy arrays of what JAX traces.
            made = object.__new__(kind)
            for name, child in zip(names, children, strict=True):
                object.__setattr__(made, name, child)
            return made

        library.tree_util.register_pytree_with_keys(kind, flatten, unflatten)
        _REGISTERED.add(kind)


def _kinds(params: Tree) -> set[type]:
    found: set[type] = set()
    todo: list[Any] = [params]
    while todo:
        each = todo.pop()
        if hasattr(type(each), "__node_fields__"):
            found.add(type(each))
            todo += [getattr(each, name) for name in type(each).__node_fields__]
        elif isinstance(each, dict):
            todo += each.values()
        elif isinstance(each, tuple | list):
            todo += each
    return found


def to_jax(params: Tree) -> Any:
    """Return the tree with JAX arrays as leaves, its nodes registered.

    >>> import fcnn, fcnn.jax
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (3,))
    >>> type(fcnn.jax.to_jax(params).weight).__module__.split(".")[0]
    'jaxlib'
    """
    register(params)
    library = jax()
    return library.tree.map(library.numpy.asarray, params)


def from_jax(params: Any) -> Any:
    """Return the tree with NumPy arrays as leaves, as fcnn's functions take it.

    >>> import fcnn, fcnn.jax
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (3,))
    >>> fcnn.jax.from_jax(fcnn.jax.to_jax(params)) == params
    True
    """
    leaves, structure = jax().tree.flatten(params)
    plain = jax().tree.unflatten(structure, [np.asarray(leaf) for leaf in leaves])
    return tree.unflatten(tree.structure(plain), tree.leaves(plain))


def without_observations(grads: Any) -> Any:
    """Return gradients with zeros in the place of observations."""
    return tree.map(
        lambda leaf: leaf,
        grads,
        statistic=lambda seen: np.zeros_like(seen.value) if isinstance(seen, Observation) else seen,
    )
