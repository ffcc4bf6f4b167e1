"""Transforms for a part of the params: masks and frozen weights.

A mask is a tree of True and False, or a function that makes one of the params. It has the
structure of the params or of a prefix of it: one value stands for a whole subtree. Weights
outside of a mask are None in the trees that the inner transform sees, so that it keeps no
state for them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.errors import ArgumentError, TreeError
from fcnn.optim._contracts import (
    Init,
    Transform,
    Update,
    check_transform,
    transform,
)
from fcnn.optim._leafwise import Leafwise, flagged, stateless
from fcnn.optim._leaves import check_fit
from fcnn.optim._rows import DifferError, rows
from fcnn.optim._stages import Stage
from fcnn.optim._states import EmptyState, expect, kept
from fcnn.tree._children import children_of

Mask: TypeAlias = Tree | Callable[[Tree], Tree]


@tree.node
class MaskedState:
    """The state of a transform with a mask.

    Attributes:
        inner_state: the state of the transform, of the weights in the mask alone.
    """

    inner_state: Any = attrs.field(converter=kept)


def matrices(params: Tree) -> Tree:
    """Return the mask of the leaves with two axes or more: kernels, not biases and scales.

    >>> import numpy as np
    >>> from fcnn import optim
    >>> optim.matrices({"weight": np.ones((2, 3)), "bias": np.ones(3)})
    {'bias': False, 'weight': True}
    """
    return tree.map(lambda leaf: np.ndim(leaf) >= 2, params)


def spread(prefix: Tree, params: Tree, path: str = "") -> list[Any]:
    """Return the value that a prefix tree has for each leaf of the params, in order.

    Raises:
        TreeError: with the path, if it is no prefix of the params.
    """
    if type(prefix) is bool and type(params) is np.ndarray:  # as most are
        return [prefix]
    inside = children_of(prefix)
    if inside is None:
        return [prefix] * len(tree.leaves(params))
    outside = children_of(params)
    if outside is None or [step for step, *_ in inside] != [step for step, *_ in outside]:
        raise TreeError(
            f"expected a mask or labels with the structure of the params or a prefix of it, "
            f"got {prefix!r:.80} at {path or 'the root'}"
        )
    pairs = zip(inside, outside, strict=True)
    return [v for (step, a, _), (_, b, _) in pairs for v in spread(a, b, path + step)]


def chosen(mask: Mask, params: Tree) -> list[bool]:
    """Return whether each leaf of the params is in a mask.

    Raises:
        TreeError: with the path, if the mask is no prefix of the params.
        ArgumentError: with the path, if a value is neither True nor False.
    """
    prefix = mask(params) if callable(mask) else mask
    try:
        values = [value for _, value in rows([params, prefix])[0]]
        if all(type(value) is bool for value in values):
            return values
    except DifferError:
        pass
    values = spread(prefix, params)
    for path, value in zip(tree.paths(params), values, strict=True):
        if not isinstance(value, bool | np.bool_):
            raise ArgumentError(f"{path}: expected True or False in a mask, got {value!r:.80}")
    return values


def keep(flags: list[bool], params: Tree, updates: Tree) -> Tree:
    """Return the updates with None in place of the leaves whose flag is False."""
    flag = iter(flags)
    try:
        return tree.map(lambda p, u: u if next(flag) else None, params, updates)
    except TreeError:
        check_fit(params, updates)
        raise


def merge(names: list[Any], params: Tree, whole: Tree, parts: Mapping[Any, Tree]) -> Tree:
    """Return a tree whose leaves are those of the named parts, or else of ``whole``.

    Raises:
        TreeError: if a part has more or fewer leaves than there are places for it.
    """
    leaves = {name: tree.leaves(part) for name, part in parts.items()}
    for name, found in leaves.items():
        if len(found) != names.count(name):
            raise TreeError(
                f"expected {names.count(name)} leaves from a transform, got {len(found)}; "
                f"its update must keep the structure of the gradients"
            )
    left = {name: iter(found) for name, found in leaves.items()}
    name = iter(names)

    def at(p: Any, leaf: Any) -> Any:
        part = left.get(next(name))
        return leaf if part is None else next(part)

    return tree.map(at, params, whole)


def restrict(init: Init, update: Update, mask: Mask | None) -> tuple[Init, Update]:
    """Return the transform of the weights in a mask, the others' updates passed on as they are.

    Without a mask, return ``init`` and ``update`` themselves.
    """
    if mask is None:
        return init, update
    if isinstance(update, Leafwise) and not update.masked:
        return _restrict_leafwise(init, update, copy.deepcopy(mask))
    mask = copy.deepcopy(mask)  # the caller may write into a list or a dict

    def masked_init(params: Tree) -> MaskedState:
        return MaskedState(init(keep(chosen(mask, params), params, params)))

    def masked_update(updates: Tree, state: Any, params: Tree) -> tuple[Tree, MaskedState]:
        expect(state, MaskedState)
        flags = chosen(mask, params)
        inner, after = update(
            keep(flags, params, updates), state.inner_state, keep(flags, params, params)
        )
        return merge(flags, params, updates, {True: inner}), MaskedState(after)

    return masked_init, masked_update


def _restrict_leafwise(init: Init, update: Leafwise, mask: Mask) -> tuple[Init, Update]:
    """Do what `restrict` does, without trees of the weights in the mask."""

    def masked_init(params: Tree) -> MaskedState:
        return MaskedState(init(keep(chosen(mask, params), params, params)))

    def begin(state: Any, params: Tree) -> tuple[list[Stage], Callable[[list[Any]], Any]]:
        expect(state, MaskedState)
        flags = chosen(mask, params)
        stages, after = update.begin(state.inner_state, params)
        return [flagged(stage, flags) for stage in stages], lambda made: MaskedState(after(made))

    return masked_init, Leafwise(begin, masked=True)


@transform
def masked(transform: Transform, mask: Mask) -> tuple[Init, Update]:
    """Apply a transform to the weights in a mask; pass the other updates on as they are.

    In a chain, the other updates go to the next transform; to leave weights unchanged, use
    `freeze` or `partition`.

    Args:
        transform: a gradient transform.
        mask: a tree of bools with the structure of the params or a prefix of it, or a function
            that makes one of the params.

    Raises:
        ArgumentError: if it is no transform, or a value of the mask is neither True nor False.
        TreeError: with the path, if the mask does not fit the params.

    >>> from fcnn import optim
    >>> t = optim.masked(optim.scale(10.0), (True, False))
    >>> t.update((1.0, 1.0), t.init((0.0, 0.0)), (0.0, 0.0))[0]
    (10.0, 1.0)
    """
    check_transform(transform)
    return restrict(transform.init, transform.update, mask)


@transform
def set_to_zero() -> tuple[Init, Update]:
    """Replace all updates by zero.

    >>> from fcnn import optim
    >>> t = optim.set_to_zero()
    >>> t.update((2.0,), t.init((1.0,)), (1.0,))[0]
    (0.0,)
    """
    return lambda params: EmptyState(), stateless(lambda p, u: np.zeros_like(p))


@transform
def freeze(mask: Mask) -> tuple[Init, Update]:
    """Replace the updates of the weights in a mask by zero, so that these weights stay.

    Put it last in a chain: weight decay after it would move the weights. Running statistics
    are mixed all the same. To give an optimizer of `fcnn.optim` to the other weights, use
    ``partition({"on": adam(0.001), "off": descend(set_to_zero())}, labels)``.

    The gradients of frozen weights are still computed. Where the frozen layers are the first
    of a model, train the rest on their output, which saves their backward pass::

        features = body.apply(body_params, x)
        value, grads = fcnn.value_and_grad(head, loss)(head_params, features, target, ctx)

    Args:
        mask: True for the weights that stay; as in `masked`.

    Raises:
        ArgumentError: if a value of the mask is neither True nor False.
        TreeError: with the path, if the mask does not fit the params.

    >>> from fcnn import optim
    >>> t = optim.chain(optim.scale(-0.5), optim.freeze((True, False)))
    >>> optimizer = optim.descend(t)
    >>> optimizer.step((1.0, 1.0), (1.0, 1.0), optimizer.init((1.0, 1.0)))[0]
    (1.0, 0.5)
    """
    zero = set_to_zero()
    return restrict(zero.init, zero.update, mask)
