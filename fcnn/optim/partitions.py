"""Transforms and optimizers for each part of the params."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import attrs

from fcnn import tree
from fcnn._typing import Tree
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import (
    Optimizer,
    TransformOrOptimizer,
    check_optimizer,
    check_transform,
    runner,
    same_kind,
    wrapper,
)
from fcnn.optim._states import expect, kept, refuse
from fcnn.optim.masks import keep, merge, spread


@tree.node
class PartitionState:
    """The state of `partition`.

    Attributes:
        inner_states: the state of each transform or optimizer, by label.
    """

    inner_states: dict[Any, Any] = attrs.field(converter=kept)


@wrapper
def partition(
    transforms: Mapping[Any, TransformOrOptimizer], labels: Tree | Callable[[Tree], Tree]
) -> TransformOrOptimizer:
    """Give each part of the params its own transform or its own optimizer.

    Args:
        transforms: by label, gradient transforms or optimizers, all of one kind. Of
            transforms the result is a transform, of optimizers an optimizer.
        labels: a tree with the structure of the params or a prefix of it that holds the label
            of each leaf, or a function that makes one of the params. A label is a string, or
            whatever else sorts and is no container.

    Raises:
        ArgumentError: if ``transforms`` is empty or mixed, or a label is not among them.
        TreeError: with the path, if the labels do not fit the params.

    >>> from fcnn import optim
    >>> optimizer = optim.partition(
    ...     {"fast": optim.sgd(1.0), "slow": optim.sgd(0.1)}, ("fast", {"a": "slow", "b": "fast"})
    ... )
    >>> params = (1.0, {"a": 1.0, "b": 1.0})
    >>> optimizer.step(params, (1.0, {"a": 1.0, "b": 1.0}), optimizer.init(params))[0]
    (0.0, {'a': 0.9, 'b': 0.0})
    """
    parts: dict[Any, TransformOrOptimizer] = dict(transforms)
    labels = copy.deepcopy(labels)  # the caller may write into a list or a dict
    if not parts:
        raise ArgumentError("expected a transform or an optimizer for each label, got {}")
    first = next(iter(parts.values()))
    for part in parts.values():
        (check_optimizer if isinstance(first, Optimizer) else check_transform)(part)
    runners = {label: runner(part) for label, part in parts.items()}

    def init(params: Tree) -> PartitionState:
        owners = _owners(labels, params, parts)
        states = {
            label: part.init(_part(owners, label, params, params)) for label, part in parts.items()
        }
        return PartitionState(states)

    def run(params: Tree, grads: Tree, state: Any) -> tuple[Tree, PartitionState]:
        expect(state, PartitionState)
        if state.inner_states.keys() != parts.keys():
            raise refuse(f"states of {list(parts)}", f"states of {list(state.inner_states)}")
        owners = _owners(labels, params, parts)
        made, after = {}, {}
        for label, run_part in runners.items():
            inside = _part(owners, label, params, params)
            below = _part(owners, label, params, grads)
            made[label], after[label] = run_part(inside, below, state.inner_states[label])
        return merge(owners, params, params, made), PartitionState(after)

    return same_kind(first, init, run)


def _owners(labels: Any, params: Tree, parts: Mapping[Any, Any]) -> list[Any]:
    """Return the label of each leaf."""
    found = spread(labels(params) if callable(labels) else labels, params)
    for path, label in zip(tree.paths(params), found, strict=True):
        if not isinstance(label, Hashable) or label not in parts:
            raise ArgumentError(f"{path}: expected one of the labels {list(parts)}, got {label!r}")
    return found


def _part(owners: list[Any], label: Any, params: Tree, updates: Tree) -> Tree:
    return keep([owner == label for owner in owners], params, updates)
