"""Values that remember the call that made them.

A constructor in fcnn is an ordinary function that returns closures: three for a
layer, two for a loss or a gradient transform, one for an initializer or a
schedule. `remember` turns such a function into one that returns a `Value`: it
prints as its call, compares and hashes by it, and pickles by calling it again.

A constructor that takes no arguments is called once, by `as_value`, and its name
*is* the value: ``relu``, not ``relu()``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import attrs
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound="Value")


def _frozen(value: Any) -> Any:
    """Lists as tuples, to any depth: a value must hash, and nobody may change it later."""
    if type(value) in (list, tuple):
        return tuple([_frozen(child) for child in value])
    return value


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(np.all(a == b)))


def _show(value: Any) -> str:
    if isinstance(value, Value) or not callable(value):
        return repr(value)
    return str(getattr(value, "__qualname__", repr(value)))


@attrs.frozen(repr=False)
class Spec:
    """A call, written the shortest way: arguments that equal their default are left out."""

    constructor: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    is_name: bool = False

    @property
    def name(self) -> str:
        """What the constructor is called."""
        return self.constructor.__name__

    @property
    def arguments(self) -> dict[str, Any]:
        """Every parameter of the constructor with its value, defaults included."""
        bound = inspect.signature(self.constructor).bind(*self.args, **dict(self.kwargs))
        bound.apply_defaults()
        return bound.arguments

    def __call__(self) -> Any:
        """Make the value again."""
        if self.is_name:
            return _find(self.constructor.__module__, self.constructor.__qualname__)
        return self.constructor(*self.args, **dict(self.kwargs))

    def __repr__(self) -> str:
        if self.is_name:
            return self.name
        shown = [_show(value) for value in self.args]
        shown += [f"{name}={_show(value)}" for name, value in self.kwargs]
        return f"{self.name}({', '.join(shown)})"


def _spec(
    constructor: Callable[..., Any], signature: inspect.Signature, args: Any, kwargs: Any
) -> Spec:
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    positional: list[Any] = []
    named: list[tuple[str, Any]] = []
    for name, parameter in signature.parameters.items():
        value = _frozen(bound.arguments[name])
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            named.extend(value.items())
        elif _same(value, parameter.default):
            continue
        elif parameter.kind is parameter.KEYWORD_ONLY or len(positional) < _rank(signature, name):
            named.append((name, value))
        else:
            positional.append(value)
    return Spec(constructor, tuple(positional), tuple(named))


def _rank(signature: inspect.Signature, name: str) -> int:
    return list(signature.parameters).index(name)


def _find(module: str, qualname: str) -> Any:
    return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))


def _rebuild(spec_of: tuple[Any, tuple[Any, ...], tuple[tuple[str, Any], ...]]) -> Any:
    constructor, args, kwargs = spec_of
    return constructor(*args, **dict(kwargs))


class Value:
    """A frozen bundle of closures that knows the call it came from."""

    spec: Spec

    def __repr__(self) -> str:
        return repr(self.spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return type(self) is type(other) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __reduce__(self) -> Any:
        made_by = self.spec.constructor
        if self.spec.is_name:
            return _find, (made_by.__module__, made_by.__qualname__)
        return _rebuild, ((made_by, self.spec.args, self.spec.kwargs),)


def remember(constructor: Callable[P, R], make: Callable[[R, Spec], V]) -> Callable[P, V]:
    """Let ``constructor`` return ``make(what it returned, the call)``.

    Raises:
        TypeError: by Python itself, for a misspelt or missing argument.
    """
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def construct(*args: P.args, **kwargs: P.kwargs) -> V:
        made = constructor(*args, **kwargs)
        return make(made, _spec(construct, signature, args, kwargs))

    return construct


def as_value(constructor: Callable[[], V]) -> V:
    """Call ``constructor`` once and let its name stand for the value."""
    value = constructor()
    object.__setattr__(value, "spec", attrs.evolve(value.spec, is_name=True))
    object.__setattr__(value, "__doc__", constructor.__doc__)
    return value


def walk(value: Any) -> Iterator[Value]:
    """The value and every value among its arguments, outermost first."""
    if isinstance(value, Value):
        yield value
        for argument in value.spec.args:
            yield from walk(argument)
        for _, argument in value.spec.kwargs:
            yield from walk(argument)
