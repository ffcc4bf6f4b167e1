"""Values that know the call that made them.

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

from fcnn._call import check_call

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound="Value")


def _frozen(value: Any) -> Any:
    """Return lists as tuples and arrays as read-only copies, to any depth."""
    if type(value) in (list, tuple):
        return tuple([_frozen(child) for child in value])
    if type(value) is dict:
        return {name: _frozen(child) for name, child in value.items()}
    if type(value) is np.ndarray:
        value = value.copy()
        value.setflags(write=False)
    return value


def _content(value: Any) -> Any:
    """Return something hashable that is equal where the values are equal."""
    if type(value) in (list, tuple):
        return tuple([_content(child) for child in value])
    if type(value) is dict:
        return dict, frozenset((name, _content(child)) for name, child in value.items())
    if isinstance(value, np.ndarray):
        return np.ndarray, value.dtype.str, value.shape, value.tobytes()
    return value


def _show(value: Any) -> str:
    if type(value) is tuple:
        inside = ", ".join(_show(child) for child in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if type(value) is dict:
        return "{" + ", ".join(f"{name!r}: {_show(child)}" for name, child in value.items()) + "}"
    if isinstance(value, Value) or not callable(value):
        return repr(value)
    return str(getattr(value, "__qualname__", repr(value)))


@attrs.frozen(repr=False, eq=False, slots=False)
class Spec:
    """A call, written the shortest way: arguments that equal their default are left out."""

    constructor: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    is_name: bool = False

    @property
    def name(self) -> str:
        """The constructor's name."""
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

    @functools.cached_property
    def _key(self) -> Any:
        return self.constructor, _content(self.args), _content(self.kwargs), self.is_name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return self is other or bool(self._key == other._key)

    def __hash__(self) -> int:
        return hash(self._key)


_REMEDIES = {
    "activation": "put the activation after it, as a layer: serial(conv2d(8, 3), relu)",
    "betas": "use b1 and b2",
    "input_shape": "leave it out; init takes the shape of one example",
    "in_channels": "leave it out; init takes the shape of one example",
    "in_features": "leave it out; init takes the shape of one example",
    "name": "use fcnn.named(name, layer)",
    "weight_decay": "use adamw, or chain add_decayed_weights",
}
"""What to do about an argument of other libraries that has no counterpart here."""


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
        elif _is_default(value, parameter.default):
            continue
        elif parameter.kind is parameter.KEYWORD_ONLY or len(positional) < _rank(signature, name):
            named.append((name, value))
        else:
            positional.append(value)
    return Spec(constructor, tuple(positional), tuple(named))


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return type(value) is type(default) and bool(_content(value) == _content(default))


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
        return self is other or (type(self) is type(other) and self.spec == other.spec)

    def __hash__(self) -> int:
        return hash(self.spec)

    def __reduce__(self) -> Any:
        made_by = self.spec.constructor
        if self.spec.is_name:
            return _find, (made_by.__module__, made_by.__qualname__)
        return _rebuild, ((made_by, self.spec.args, self.spec.kwargs),)


def remember(
    constructor: Callable[P, R], make: Callable[[R, Spec], V], returns: str = ""
) -> Callable[P, V]:
    """Let ``constructor`` return ``make(what it returned, the call)``.

    The signature that `help` shows says that it returns ``returns``, by default the class
    ``make``.

    Raises:
        TypeError: for a misspelt or missing argument, with the nearest name.
    """
    returns = returns or (make.__name__ if isinstance(make, type) else "Value")
    signature = inspect.signature(constructor).replace(return_annotation=returns)
    surplus = _SURPLUS_OF_LAYER if returns == "Layer" else _SURPLUS

    @functools.wraps(constructor)
    def construct(*args: P.args, **kwargs: P.kwargs) -> V:
        check_call(construct.__name__, signature, args, kwargs, _REMEDIES, surplus)
        made = constructor(*args, **kwargs)
        return make(made, _spec(construct, signature, args, kwargs))

    construct.__signature__ = signature  # type: ignore[attr-defined]
    construct.__makes_value__ = True  # type: ignore[attr-defined]
    construct.__annotations__ = {**constructor.__annotations__, "return": returns}
    return construct


def is_constructor(function: Any) -> bool:
    """Return whether a function was made by `remember`."""
    return getattr(function, "__makes_value__", False) is True


_SURPLUS = "name the others"
_SURPLUS_OF_LAYER = f"{_SURPLUS}, and leave sizes of the input out: init takes its shape"


def as_value(constructor: Callable[[], V]) -> V:
    """Call a constructor without arguments once, and let its name stand for what it makes.

    For layers, losses, transforms, initializers and schedules that have nothing to choose:
    ``relu``, not ``relu()``. The value prints as its name, and pickles by it: it has to be
    where its module holds it. Put it above the decorator that makes the constructor.

    Args:
        constructor: what `fcnn.layer` or one of its like returned, of no arguments.

    Raises:
        TypeError: if it needs arguments, or does not return a value of fcnn.

    >>> import fcnn
    >>> @fcnn.as_value
    ... @fcnn.layer
    ... def double():
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x, lambda dy: ((), 2 * dy)
    ...     return init, apply, vjp
    >>> fcnn.serial(fcnn.dense(3), double)
    serial(dense(3), double)
    """
    value = constructor()
    if not isinstance(value, Value):
        raise TypeError(
            f"expected a constructor of a layer or the like, got one that returns "
            f"{type(value).__name__}; put as_value above @fcnn.layer"
        )
    object.__setattr__(value, "spec", attrs.evolve(value.spec, is_name=True))
    object.__setattr__(value, "__doc__", constructor.__doc__)
    return value


def values_in(value: Any) -> Iterator[Value]:
    """Yield the value and every value among its arguments, outermost first."""
    if isinstance(value, Value):
        yield value
        for argument in value.spec.args:
            yield from values_in(argument)
        for _, argument in value.spec.kwargs:
            yield from values_in(argument)
    elif isinstance(value, tuple | list):
        for argument in value:
            yield from values_in(argument)
    elif isinstance(value, dict):
        yield from values_in(tuple(value.values()))
