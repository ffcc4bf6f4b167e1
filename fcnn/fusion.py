"""Neighbouring layers run as one kernel: rules, and the plan that they make of a `serial`.

A rule names a run of layers and makes one function of them that passes over memory fewer
times. `plan` goes through the layers of a serial from the front and takes at each place the
longest rule that applies; what no rule covers runs by itself. This module imports no layer:
the rules are together in ``fcnn/layers/fused.py``, and a program may register its own.

>>> import fcnn
>>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2))
>>> print(fcnn.fusion.plan(model, train=False))
serial[0:4]  conv2d(8, 3) + batch_norm() + relu + max_pool2d(2)
>>> print(fcnn.fusion.plan(model, train=True))
serial[0]    conv2d(8, 3)
serial[1:3]  batch_norm() + relu
serial[3]    max_pool2d(2)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

import attrs

from fcnn._layer import Context, Layer, core, relocate
from fcnn._sharing import Ties
from fcnn._typing import Tree
from fcnn._walk import combinator_of, parts_of
from fcnn.errors import ArgumentError, FcnnError

__all__ = ["Fused", "Plan", "Stage", "of_layer", "plan", "rule"]

R = TypeVar("R")
RunPullback: TypeAlias = Callable[[Any], tuple[Sequence[Tree], Any]]


class Fused(NamedTuple):
    """Several layers as one: ``params`` is the tuple of their params, one for each layer.

    ``apply(params, x, ctx) -> y`` and ``vjp(params, x, ctx) -> (y, pullback)``, whose
    ``pullback(dy) -> (dparams, dx)`` gives a tuple of one gradient a layer. The context is
    that of the first layer.
    """

    apply: Callable[[Sequence[Tree], Any, Context], Any]
    vjp: Callable[[Sequence[Tree], Any, Context], tuple[Any, RunPullback]]


Make: TypeAlias = Callable[..., Fused | None]


class Rule(NamedTuple):
    """Which neighbours it is for, in which mode alone, and what makes one of them."""

    pattern: tuple[Any, ...]
    eval_only: bool
    train_only: bool
    make: Make


_RULES: list[Rule] = []


def rule(
    *pattern: Any, eval_only: bool = False, train_only: bool = False
) -> Callable[[Make], Make]:
    """Register a function that makes one kernel of neighbouring layers.

    Args:
        *pattern: for each layer of the run its constructor, or the layer itself where it has
            no arguments (``relu``).
        eval_only: whether the rule holds in evaluation alone.
        train_only: whether it holds in training alone.

    Raises:
        ArgumentError: if the pattern has less than two layers.

    Returns:
        A decorator of ``make(*layers) -> Fused``, or None where these layers do not fuse.

    Scaling twice as scaling once:

    >>> import fcnn
    >>> @fcnn.layer
    ... def scale(factor):
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return factor * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return factor * x, lambda dy: ((), factor * dy)
    ...     return init, apply, vjp
    >>> @fcnn.fusion.rule(scale, scale)
    ... def twice(one, two):
    ...     factor = one.spec.arguments["factor"] * two.spec.arguments["factor"]
    ...     def apply(params, x, ctx):
    ...         return factor * x
    ...     def vjp(params, x, ctx):
    ...         return factor * x, lambda dy: (((), ()), factor * dy)
    ...     return fcnn.fusion.Fused(apply, vjp)
    >>> print(fcnn.fusion.plan(fcnn.serial(scale(2.0), scale(3.0)), train=True))
    serial[0:2]  scale(2.0) + scale(3.0)
    """
    if len(pattern) < 2:
        raise ArgumentError(f"expected a pattern of two layers or more, got {pattern}")

    def register(make: Make) -> Make:
        _RULES.append(Rule(pattern, eval_only, train_only, make))
        _RULES.sort(key=lambda each: -len(each.pattern))  # stable: of equal length, as registered
        return make

    return register


def copy_rules(pattern: Any, *others: Any) -> None:
    """Register every rule that names ``pattern`` again, with each of the others in its place."""
    for known in [each for each in _RULES if pattern in each.pattern]:
        for other in others:
            layers = [other if each == pattern else each for each in known.pattern]
            rule(*layers, eval_only=known.eval_only, train_only=known.train_only)(known.make)


class Place(NamedTuple):
    """A layer of a chain: its path, the way to its params, the layer itself."""

    step: str
    place: tuple[Any, ...]
    layer: Layer


def flatten(layer: Layer, step: str = "", place: tuple[Any, ...] = ()) -> list[Place]:
    """Return the layers of a chain, those of nested chains in their place.

    A nested chain whose layers share params runs by itself.
    """
    if place and not is_flattened(layer):
        return [Place(step, place, layer)]
    made = combinator_of(layer)
    if made is None or made.wiring != "chain":
        return [Place(step, place, layer)]
    found = []
    for part in made.parts(layer):
        path = ".".join(each for each in (step, part.step) if each)
        found += flatten(part.layer, path, (*place, *part.place))
    return found


def is_flattened(layer: Layer) -> bool:
    """Return whether a layer in a chain runs as its own layers, one after the other."""
    made = combinator_of(layer)
    return made is not None and made.wiring == "chain" and not Ties(layer)


def _fits(layer: Layer, pattern: Any) -> bool:
    if isinstance(pattern, Layer):
        return layer.spec.constructor is pattern.spec.constructor and layer == pattern
    return layer.spec.constructor is pattern


@attrs.frozen(eq=False)
class Stage:
    """Neighbouring layers of a serial, as one function.

    ``own`` is their place among the serial's layers and in the flat list of their params: an
    index for a layer by itself, whose ``apply`` and ``vjp`` take its params and give its
    gradient; a slice for several (see `Fused`).
    """

    own: int | slice
    layers: tuple[Layer, ...]
    steps: tuple[str, ...]
    apply: Callable[..., Any]
    vjp: Callable[..., tuple[Any, Callable[[Any], tuple[Any, Any]]]]

    @property
    def start(self) -> int:
        """The place of the first layer."""
        return self.own.start if isinstance(self.own, slice) else self.own

    def blame(self, error: Exception) -> NoReturn:
        """Raise an error again, with the place of the layer that it comes from."""
        if isinstance(error, FcnnError):
            k = getattr(error, "of_layer", 0)
            culprit = self.layers[k]
            relocate(error.called(repr(culprit)), self.steps[k], culprit)
        if len(self.layers) == 1:
            relocate(error, self.steps[0], self.layers[0])
        run = " + ".join(f"{s} {each!r}" for s, each in zip(self.steps, self.layers, strict=True))
        relocate(error, self.steps[0], run)


class Plan(tuple[Stage, ...]):
    """The stages of a serial, in order; prints as a table, with what runs inside branches."""

    train: bool
    fuse: bool

    def __str__(self) -> str:
        rows = self._rows(0)
        wide = max((len(place) for place, _ in rows), default=0)
        return "\n".join(f"{place:<{wide}}  {run}" for place, run in rows)

    def _rows(self, depth: int) -> list[tuple[str, str]]:
        rows = []
        for stage in self:
            place = stage.steps[0] if len(stage.layers) == 1 else _span(stage.steps)
            run = " + ".join([repr(layer) for layer in stage.layers])
            rows.append(("  " * depth + (place or "model"), run))
            head = stage.layers[0]
            made = combinator_of(head)
            train = self.train and not (made and made.eval_only)
            for part in parts_of(head):
                path = ".".join(each for each in (stage.steps[0], part.step) if each)
                found = flatten(part.layer, path)
                steps = [place.step for place in found]
                inner = plan(
                    [place.layer for place in found],
                    train=train,
                    fuse=self.fuse,
                    steps=steps,
                )
                rows += inner._rows(depth + 1)
        return rows


def _span(steps: tuple[str, ...]) -> str:
    """Return ``serial[0:3]`` for the places of neighbours, ``first … last`` where they nest."""
    head, _, first = steps[0].rpartition("[")
    places = [step.rpartition("[") for step in steps]
    if all(lead == head and number[:-1].isdigit() for lead, _, number in places):
        return f"{head}[{first[:-1]}:{int(places[-1][2][:-1]) + 1}]"
    return f"{steps[0]} … {steps[-1]}"


def of_layer(k: int, check: Callable[..., R], *args: Any) -> R:
    """Return ``check(*args)``; an error of it is that of the ``k``-th layer of a fused run.

    >>> import fcnn
    >>> fcnn.fusion.of_layer(1, max, 2, 3)
    3
    """
    try:
        return check(*args)
    except FcnnError as error:
        error.of_layer = k  # type: ignore[attr-defined]
        raise


def plan(
    layers: Layer | Sequence[Layer],
    *,
    train: bool,
    fuse: bool = True,
    steps: Sequence[str] | None = None,
) -> Plan:
    """Return what a serial of these layers runs: at each place the longest rule that applies.

    Args:
        layers: a `serial`, its nested ones flattened; or the layers themselves.
        train: whether for training or for evaluation.
        fuse: False gives each layer a stage of its own, as ``Context(fuse=False)`` does.
        steps: the layers' places, by which the plan and errors name them.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.serial(fcnn.relu, fcnn.max_pool2d(2)))
    >>> stages = fcnn.fusion.plan(model, train=True)
    >>> [len(stage.layers) for stage in stages]
    [3]
    """
    if isinstance(layers, Layer):
        places = flatten(layers)
        layers, steps = [place.layer for place in places], [place.step for place in places]
    run = tuple(layers)
    names = tuple(steps) if steps is not None else tuple(f"serial[{i}]" for i in range(len(run)))
    stages: list[Stage] = []
    at = 0
    while at < len(run):
        many, fused = _longest(run[at:], train) if fuse else (1, None)
        one, steps_of_run = run[at], names[at : at + many]
        if fused is None:
            stages.append(Stage(at, (one,), steps_of_run, one.apply, core(one.vjp)))
        else:
            stages.append(Stage(slice(at, at + many), run[at : at + many], steps_of_run, *fused))
        at += many
    made = Plan(stages)
    made.train, made.fuse = train, fuse
    return made


def _longest(layers: tuple[Layer, ...], train: bool) -> tuple[int, Fused | None]:
    head = layers[0].spec.constructor
    for pattern, eval_only, train_only, make in _RULES:
        first, many = pattern[0], len(pattern)
        if first is not head and not isinstance(first, Layer):  # as most are
            continue
        if (eval_only and train) or (train_only and not train) or many > len(layers):
            continue
        if all(map(_fits, layers, pattern)) and (made := make(*layers[:many])) is not None:
            return many, made
    return 1, None
