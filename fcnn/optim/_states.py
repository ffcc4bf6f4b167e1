"""States of transforms and optimizers: checked by type, searched by type.

A state is a tree: a named frozen node for each transform, a tuple of them for a chain. The
type says whose state it is, so that no optimizer goes on from the state of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from fcnn import tree
from fcnn._typing import Tree
from fcnn.errors import ArgumentError, TreeError
from fcnn.tree._children import children_of
from fcnn.tree._node import freeze


def kept(value: Any) -> Any:
    """Return a tree with its arrays as read-only views, its containers as they are.

    A field of a node holds lists as tuples by default; what a state keeps of params with lists
    must have the structure of the params.
    """
    return freeze(value, list)


@tree.node
class EmptyState:
    """The state of a transform that keeps nothing between steps."""


@tree.node
class ScaleByLearningRateState:
    """The state of `fcnn.optim.scale_by_learning_rate`.

    Attributes:
        count: the number of steps taken.
        learning_rate: the rate of the last step; before the first step, that of the first.
    """

    count: int = tree.number()
    learning_rate: float = tree.number()


@tree.node
class ParamsEmaState:
    """The state of `fcnn.optim.params_ema`.

    Attributes:
        count: the number of steps taken.
        ema: the moving average, a tree like the params.
        inner_state: the state of the optimizer.
    """

    count: int = tree.number()
    ema: Any = attrs.field(converter=kept)
    inner_state: Any = attrs.field(converter=kept)


def names(state: Any) -> str:
    """Return the type of a state, or the types of a tuple of states.

    >>> from fcnn.optim._states import EmptyState, ScaleByLearningRateState, names
    >>> names((EmptyState(), ScaleByLearningRateState(0, 0.1)))
    '(EmptyState, ScaleByLearningRateState)'
    """
    if type(state) is not tuple:
        return type(state).__name__
    inside = ", ".join(names(each) for each in state)
    return f"({inside},)" if len(state) == 1 else f"({inside})"


def refuse(expected: str, found: str) -> TreeError:
    """Return the error for a state that is of another transform or optimizer."""
    return TreeError(
        f"expected {expected}, got {found}; pass the state that init(params) of the same "
        f"transform or optimizer returned"
    )


def expect(state: Any, kind: type) -> None:
    """Refuse a state that is not of one type; ``()`` is as good as an `EmptyState`.

    Raises:
        TreeError: with the names of both types.
    """
    if type(state) is not kind and not (kind is EmptyState and state == ()):
        raise refuse(kind.__name__, names(state))


def find(state: Any, kind: type) -> Iterator[Any]:
    """Yield the states of one type in a state, the outer ones alone."""
    if type(state) is kind:
        yield state
    else:
        for _, child, _ in children_of(state) or ():
            yield from find(child, kind)


def current_learning_rate(state: Tree) -> float:
    """Return the learning rate of the last step; before the first step, that of the first.

    It is found in the state of any optimizer that scales by a learning rate, however deep it
    lies in chains, masks, partitions and accumulations.

    Raises:
        ArgumentError: if the state has no learning rate, or several that differ.

    >>> from fcnn import optim
    >>> optimizer = optim.adam(optim.step_decay(0.1, every=1, factor=0.5))
    >>> params, state = (1.0,), optimizer.init((1.0,))
    >>> for _ in range(2):
    ...     params, state = optimizer.step(params, (1.0,), state)
    >>> optim.current_learning_rate(state)
    0.05
    """
    rates = {found.learning_rate for found in find(state, ScaleByLearningRateState)}
    if len(rates) == 1:
        return float(rates.pop())
    if rates:
        raise ArgumentError(
            f"expected one learning rate, got {sorted(rates)}; "
            f"pass one of the partition's inner_states"
        )
    raise ArgumentError(
        f"expected the state of an optimizer with a learning rate, got {names(state)}; "
        f"pass what init or step returned, as in run.state.opt_state"
    )


def current_params_ema(state: Tree) -> Tree:
    """Return the moving average of the params that `fcnn.optim.params_ema` keeps in a state.

    Raises:
        ArgumentError: if the state has none, or several.

    >>> from fcnn import optim
    >>> optimizer = optim.params_ema(optim.sgd(1.0), 0.5)
    >>> params, state = optimizer.step((1.0,), (1.0,), optimizer.init((1.0,)))
    >>> optim.current_params_ema(state)
    (0.0,)
    """
    found = list(find(state, ParamsEmaState))
    if len(found) != 1:
        raise ArgumentError(
            f"expected a state with one average of the params, got {names(state)} with "
            f"{len(found)}; make the optimizer with fcnn.optim.params_ema(optimizer, decay)"
        )
    average: Tree = found[0].ema
    return average
