"""The contracts of optimization, and the functions that compose them.

A gradient transform is a pair of pure functions::

    init(params)                 -> state
    update(grads, state, params) -> (updates, state)

It turns gradients into updates, which are *added* to the parameters: somewhere in
a chain the sign must change, and `scale_by_learning_rate` is where it does. An
optimizer is a pair too::

    init(params)               -> state
    step(params, grads, state) -> (params, state)

Leaves declared as statistics (`fcnn.tree.statistic`) are no weights: a transform
passes their gradients as they are, and the step's rule for them is always
``stored - gradient``. States are trees: frozen, and they pickle.

Source of the transforms' contract and names: DeepMind, Optax, 2020,
https://optax.readthedocs.io.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import attrs

from fcnn._typing import Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError
from fcnn.optim._elementwise import Elementwise, Rule

P = ParamSpec("P")
Init: TypeAlias = Callable[[Tree], Any]
Update: TypeAlias = Callable[[Tree, Any, Tree], tuple[Tree, Any]]
Step: TypeAlias = Callable[[Tree, Tree, Any], tuple[Tree, Any]]


@attrs.frozen(eq=False, repr=False, slots=False)
class Transform(Value):
    """A pair ``(init, update)`` that prints as the call that made it.

    ``step`` is `update` and the addition of its updates to the parameters; a chain
    of elementwise rules does both in one pass. ``parts`` are the transforms that a
    chain runs, one after the other.

    >>> from fcnn import optim
    >>> halve = optim.scale(0.5)
    >>> halve
    scale(0.5)
    >>> updates, state = halve.update((4.0,), halve.init((1.0,)), (1.0,))
    >>> updates
    (2.0,)
    """

    init: Init
    update: Update
    step: Step
    parts: tuple[Any, ...]
    spec: Spec


@attrs.frozen(eq=False, repr=False, slots=False)
class Optimizer(Value):
    """A pair ``(init, step)`` that prints as the call that made it.

    >>> from fcnn import optim
    >>> optimizer = optim.sgd(0.5)
    >>> params = (1.0,)
    >>> state = optimizer.init(params)
    >>> params, state = optimizer.step(params, (4.0,), state)
    >>> params
    (-1.0,)
    """

    init: Init
    step: Step
    spec: Spec


def transform(constructor: Callable[P, Any]) -> Callable[P, Transform]:
    """Make a function that returns ``init, update``, or a `Rule`, return a `Transform`.

    >>> from fcnn import optim, tree
    >>> @optim.transform
    ... def center():
    ...     def update(grads, state, params):
    ...         return tree.map(lambda u: u - u.mean(), grads, statistic=lambda u: u), state
    ...     return lambda params: (), update
    >>> @optim.transform
    ... def power(exponent):
    ...     return optim.Rule(lambda count: lambda u, p: (u**exponent,))
    >>> optim.chain(center(), power(3))
    chain(center(), power(3))
    """
    return remember(constructor, _transform)


def _transform(made: Any, spec: Spec) -> Transform:
    if isinstance(made, Rule):
        made = Elementwise((made,))
    if isinstance(made, Elementwise):
        return Transform(made.init, made.update, made.step, (made,), spec)
    if isinstance(made, _Chain):
        return Transform(made.init, made.update, made.step, made.parts, spec)
    init, update = made
    pair = _Pair(init, update)
    return Transform(init, update, pair.step, (pair,), spec)


@attrs.frozen(eq=False, repr=False)
class _Pair:
    """A transform of the whole tree."""

    init: Init
    update: Update

    def step(self, params: Tree, grads: Tree, state: Any) -> tuple[Tree, Any]:
        updates, state = self.update(grads, state, params)
        return _ADD.step(params, updates, _ADD.init(()))[0], state


_ADD = Elementwise(())
"""No rules at all: its step adds the updates as they are."""


@attrs.frozen(eq=False, repr=False)
class _Chain:
    """Transforms one after the other, the last of them together with the addition."""

    parts: tuple[Any, ...]

    def init(self, params: Tree) -> tuple[Any, ...]:
        return tuple(part.init(params) for part in self.parts)

    def update(self, grads: Tree, state: Any, params: Tree) -> tuple[Tree, Any]:
        after = []
        for part, before in zip(self.parts, state, strict=True):
            grads, now = part.update(grads, before, params)
            after.append(now)
        return grads, tuple(after)

    def step(self, params: Tree, grads: Tree, state: Any) -> tuple[Tree, Any]:
        *first, last = self.parts
        grads, after = _Chain(tuple(first)).update(grads, state[:-1], params)
        params, now = last.step(params, grads, state[-1])
        return params, (*after, now)


@transform
def chain(*transforms: Transform) -> Any:
    """Apply transforms one after the other, each to the updates of the one before.

    Neighbours that are elementwise become one pass and share one state.

    >>> from fcnn import optim
    >>> both = optim.chain(optim.scale(0.5), optim.scale(-1.0))
    >>> both
    chain(scale(0.5), scale(-1.0))
    >>> both.update((4.0,), both.init((1.0,)), (1.0,))[0]
    (-2.0,)
    """
    for item in transforms:
        if not isinstance(item, Transform):
            raise ArgumentError(f"chain takes gradient transforms, and {item!r} came")
    parts: list[Any] = []
    for part in [part for item in transforms for part in item.parts]:
        if parts and isinstance(part, Elementwise) and isinstance(parts[-1], Elementwise):
            parts[-1] = Elementwise(parts[-1].rules + part.rules)
        else:
            parts.append(part)
    if not parts:
        return Elementwise(())
    return (
        parts[0] if len(parts) == 1 and isinstance(parts[0], Elementwise) else _Chain(tuple(parts))
    )


def optimizer(constructor: Callable[P, Any]) -> Callable[P, Optimizer]:
    """Make a function that returns ``init, step``, or a `Transform`, return an `Optimizer`.

    >>> from fcnn import optim
    >>> @optim.optimizer
    ... def careful(rate):
    ...     return optim.chain(optim.clip_by_global_norm(1.0), optim.scale_by_learning_rate(rate))
    >>> careful(0.1)
    careful(0.1)
    """
    return remember(constructor, _optimizer)


def _optimizer(made: Any, spec: Spec) -> Optimizer:
    if isinstance(made, Transform):
        return Optimizer(made.init, made.step, spec)
    if isinstance(made, Optimizer):
        raise ArgumentError(f"wanted a gradient transform, and the optimizer {made!r} came")
    init, step = made
    return Optimizer(init, step, spec)
