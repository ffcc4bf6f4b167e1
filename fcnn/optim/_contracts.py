"""The contracts of optimization: gradient transforms, optimizers, and how they compose.

A gradient transform is a pair of pure functions::

    init(params)                 -> state
    update(grads, state, params) -> (updates, state)

Updates are *added* to the params, so that somewhere in a chain the sign must change;
`scale_by_learning_rate` does it. An optimizer is a pair too::

    init(params)               -> state
    step(params, grads, state) -> (params, state)

At the place of a statistic (`fcnn.tree.statistic`) gradients hold a `fcnn.tree.Observation`. A
transform passes it on as it is; a step mixes it in by `fcnn.tree.mix`, whatever it does to the
weights.

Source of the transforms' contract and names: DeepMind, Optax, 2020,
https://optax.readthedocs.io.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import attrs

from fcnn._signatures import OptimizerStep, TransformUpdate
from fcnn._typing import Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError, TreeError
from fcnn.optim._leafwise import Leafwise
from fcnn.optim._leaves import check_fit, moved

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
TransformOrOptimizer = TypeVar("TransformOrOptimizer", "Transform", "Optimizer")
T = TypeVar("T")
Init: TypeAlias = Callable[[Tree], Tree]
Update: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any]]
Step: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any]]


@attrs.frozen(eq=False, repr=False, slots=False)
class Transform(Value):
    """A gradient transform: a pair ``(init, update)`` that prints as the call that made it.

    >>> from fcnn import optim
    >>> halve = optim.scale(0.5)
    >>> halve
    scale(0.5)
    >>> updates, state = halve.update((4.0,), halve.init((1.0,)), (1.0,))
    >>> updates
    (2.0,)
    """

    init: Init
    update: TransformUpdate
    spec: Spec


@attrs.frozen(eq=False, repr=False, slots=False)
class Optimizer(Value):
    """An optimizer: a pair ``(init, step)`` that prints as the call that made it.

    >>> from fcnn import optim
    >>> optimizer = optim.sgd(0.5)
    >>> params = (1.0,)
    >>> state = optimizer.init(params)
    >>> params, state = optimizer.step(params, (4.0,), state)
    >>> params
    (-1.0,)
    """

    init: Init
    step: OptimizerStep
    spec: Spec


def transform(constructor: Callable[P, Any]) -> Callable[P, Transform]:
    """Make a function that returns ``init, update``, or a transform, return a `Transform`.

    >>> from fcnn import optim, tree
    >>> @optim.transform
    ... def power(exponent):
    ...     def update(grads, state, params):
    ...         return tree.map(lambda g: g**exponent, grads, statistic=lambda seen: seen), state
    ...     return lambda params: optim.EmptyState(), update
    >>> optim.chain(power(3), optim.scale(-0.1))
    chain(power(3), scale(-0.1))
    """

    def make(made: Any, spec: Spec) -> Transform:
        pair = (made.init, made.update) if isinstance(made, Transform) else made
        init, update = _functions(pair, "init, update", spec)
        return Transform(init, update, spec)

    return remember(constructor, make, "Transform")


def optimizer(constructor: Callable[P, Any]) -> Callable[P, Optimizer]:
    """Make a function that returns ``init, step``, or a transform, return an `Optimizer`.

    A transform becomes the optimizer that adds its updates (`descend`).

    >>> from fcnn import optim
    >>> @optim.optimizer
    ... def clipped_sgd(learning_rate):
    ...     clip = optim.clip_by_global_norm(1.0)
    ...     return optim.chain(clip, optim.scale_by_learning_rate(learning_rate))
    >>> clipped_sgd(0.1)
    clipped_sgd(0.1)
    """

    def make(made: Any, spec: Spec) -> Optimizer:
        if isinstance(made, Transform):
            made = adding(made)
        pair = (made.init, made.step) if isinstance(made, Optimizer) else made
        init, step = _functions(pair, "init, step", spec)
        return Optimizer(init, step, spec)

    return remember(constructor, make, "Optimizer")


def same_kind(thing: TransformOrOptimizer, init: Init, run: Step) -> TransformOrOptimizer:
    """Return a transform or an optimizer, whichever ``thing`` is, of an ``init`` and a `runner`."""

    def update(grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        return run(params, grads, state)

    changes: Any = {"step": run} if isinstance(thing, Optimizer) else {"update": update}
    return attrs.evolve(thing, init=init, **changes)


def runner(thing: Transform | Optimizer) -> Step:
    """Return the step of an optimizer, or the update of a transform with its arguments so."""
    if isinstance(thing, Optimizer):
        return thing.step
    update = thing.update
    return lambda params, grads, state: update(grads, state, params)


def wrapper(constructor: F) -> F:
    """Make a function of transforms or optimizers return what it returns, printed as its call."""

    def make(made: Any, spec: Spec) -> Any:
        return attrs.evolve(made, spec=spec)

    return cast(F, remember(constructor, make, "Transform | Optimizer"))


def _functions(pair: Any, expected: str, spec: Spec) -> Any:
    """Return what a constructor returned, if it is two functions."""
    if type(pair) is tuple and len(pair) == 2 and all(callable(each) for each in pair):
        return pair
    raise ArgumentError(f"expected {spec.name} to return {expected}, got {pair!r:.80}")


def adding(transform: Transform) -> tuple[Init, Step]:
    """Return the ``init`` and ``step`` of the optimizer that adds a transform's updates."""
    update = transform.update
    if isinstance(update, Leafwise):
        return transform.init, update.step

    def step(params: Tree, grads: Tree, state: Any) -> tuple[Tree, Any]:
        updates, state = updated(transform, grads, state, params)
        return apply_updates(params, updates), state

    return transform.init, step


def updated(transform: Transform, grads: Tree, state: Any, params: Tree) -> tuple[Tree, Any]:
    """Return what ``transform.update`` returns; name the leaf where gradients do not fit."""
    try:
        return transform.update(grads, state, params)
    except (TreeError, TypeError):
        check_fit(params, grads)
        raise


def apply_updates(params: T, updates: Tree) -> T:
    """Return params plus updates, with the observations of statistics mixed in.

    Params keep their dtypes.

    Raises:
        TreeError: with the path, if structures or shapes differ.
        DTypeError: with the path, if there is an array in place of an observation, or the
            reverse.

    >>> from fcnn import optim
    >>> optim.apply_updates((1.0, 2.0), (0.5, -0.5))
    (1.5, 1.5)
    """
    return moved(lambda p, u: p + u, params, updates)


def check_optimizer(thing: Any) -> None:
    """Refuse what is no optimizer; for training loops.

    Raises:
        ArgumentError: with what to do.

    >>> from fcnn import optim
    >>> from fcnn.optim._contracts import check_optimizer
    >>> check_optimizer(optim.sgd(0.1))
    >>> check_optimizer(optim.adam)
    Traceback (most recent call last):
    fcnn.errors.ArgumentError: expected an optimizer, got the function adam; call it: adam(0.001)
    """
    if isinstance(thing, Transform):
        raise ArgumentError(
            f"expected an optimizer, got the gradient transform {thing!r}; "
            f"use fcnn.optim.descend({thing!r})"
        )
    if not isinstance(thing, Optimizer):
        raise _refuse("an optimizer", thing, Optimizer)


def check_transform(thing: Any) -> None:
    """Refuse what is no gradient transform.

    Raises:
        ArgumentError: with what to do.
    """
    if isinstance(thing, Optimizer):
        raise ArgumentError(
            f"expected a gradient transform, got the optimizer {thing!r}; chain the transforms "
            f"that it is made of, such as scale_by_adam() and scale_by_learning_rate(0.001)"
        )
    if not isinstance(thing, Transform):
        raise _refuse("a gradient transform", thing, Transform)


def _refuse(expected: str, thing: Any, kind: type) -> ArgumentError:
    """Return the error for something of another kind: a constructor that was not called?"""
    annotations = getattr(thing, "__annotations__", {})
    if callable(thing) and annotations.get("return") == kind.__name__:
        arguments = "0.001" if "learning_rate" in annotations else "..."
        call = f"{thing.__name__}({arguments})"
        return ArgumentError(
            f"expected {expected}, got the function {thing.__name__}; call it: {call}"
        )
    some = "sgd and adam" if kind is Optimizer else "scale_by_adam and scale_by_learning_rate"
    return ArgumentError(f"expected {expected}, got {thing!r:.80}; fcnn.optim has {some}")
