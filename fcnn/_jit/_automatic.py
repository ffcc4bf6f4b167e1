"""`Jitted` functions that the library makes by itself: recorded where it pays, silent elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from fcnn._jit._function import Jitted
from fcnn._layer import Layer

F = TypeVar("F", bound=Callable[..., Any])

ONCE = 1
"""Calls before a recording, of functions that are made for many calls."""
SEVERAL = 8
"""Of functions whose calls may be few: a recording takes as long as some twenty of them."""


def replayed(function: F, name: str, *, after: int = ONCE) -> F:
    """Return the function, replayed once ``after`` calls with a signature have run.

    What cannot be recorded runs as it is; the first time a warning names the call.
    """
    made: Any = Jitted(function, after=after, quiet=True, name=f"{name:.200}")
    return made  # type: ignore[no-any-return]


def is_own(model: Layer) -> bool:
    """Return whether all of a model is of this library: no layer or function of the caller's.

    Only such a model is surely a pure function of its arguments, so that what was recorded for
    one call holds for one of an equal model made later.
    """
    spec = model.spec
    values = [spec.constructor, *spec.args, *dict(spec.kwargs).values()]
    return all(is_own(each) if isinstance(each, Layer) else _is_of_library(each) for each in values)


def _is_of_library(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_of_library, value))
    if not callable(value):
        return True
    module = getattr(value, "__module__", None) or type(value).__module__
    return module == "fcnn" or module.startswith("fcnn.")


def applied(model: Layer) -> Callable[..., Any]:
    """Return the replayed ``apply`` of a model: the same for equal models of this library."""
    try:
        return _kept(model) if is_own(model) else _applied(model)
    except TypeError:  # a part of the model does not hash
        return _applied(model)


@functools.lru_cache(maxsize=4)
def _kept(model: Layer) -> Callable[..., Any]:
    return _applied(model)


def _applied(model: Layer) -> Callable[..., Any]:
    return replayed(model.apply, f"apply of {model!r}", after=SEVERAL)
