"""`Jitted` functions that the library makes by itself: recorded where it pays, silent elsewhere."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fcnn._jit._function import Jitted
from fcnn._layer import Layer
from fcnn._value import Value

F = TypeVar("F", bound=Callable[..., Any])

CALLS, OWN = 75, 25
"""Where the caller did not ask for a replay and the number of calls is not known, a signature is
recorded after 75 calls of the function, whatever their signatures, and 25 of its own after these.

A recording takes as long as 4 (64 images) to 13 (one image) steps of LeNet-5, and a replay saves a
quarter to two thirds of a step: a loop that ends just after it has taken 4 to 13 percent longer.
"""


def replayed(function: F, what: str, model: Layer, jit: bool | None, is_own: bool) -> F:
    """Return the function, replayed from the second call of a signature on, or later; see `CALLS`.

    What cannot be recorded runs as it is; the first time a warning says ``what`` of the model, and
    names the call. ``is_own`` says whether all of the function is of this library.
    """
    name = functools.partial("{} of {!r:.190}".format, what, model)
    skip, after = (0, 1) if jit else (CALLS, OWN)
    made: Any = Jitted(function, skip=skip, after=after, quiet=True, is_own=is_own, name=name)
    return made  # type: ignore[no-any-return]


class _Same:
    """A value that is equal to itself alone: what was found out of it is kept by identity."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def is_own(value: Any) -> bool:
    """Return whether all that a value was made of is of fcnn, plain, or an array of its own.

    A layer or loss of the caller's may read what is no argument: an array that it closes over, a
    global, a generator. What is wholly of fcnn is surely a pure function, so that what was
    recorded for one call holds for later ones, and for those of an equal model made later.
    """
    return _is_own(_Same(value))


@functools.lru_cache(maxsize=8)
def _is_own(same: _Same) -> bool:
    """Keep what was found: the walk over a large model takes as long as a small one's call."""
    return _all_own(same.value)


def _all_own(value: Any) -> bool:
    if isinstance(value, Value):
        spec = value.spec
        parts = (*spec.args, *[each for _, each in spec.kwargs])
        functions = [getattr(value, name, None) for name in ("apply", "vjp", "each", "step")]
        made_by = (spec.constructor, *[each for each in functions if each is not None])
        return all(map(_is_of_library, made_by)) and all(map(_all_own, parts))
    if value is None or isinstance(value, bool | int | float | str | np.generic | np.dtype):
        return True
    if type(value) in (tuple, list):
        return all(map(_all_own, value))
    if type(value) is dict:
        return all(map(_all_own, value.values()))
    if type(value) is np.ndarray:
        return not value.flags.writeable
    if isinstance(value, np.ufunc):
        return True
    if isinstance(value, functools.partial):
        return all(map(_all_own, (value.func, *value.args, *value.keywords.values())))
    return isinstance(value, type | types.FunctionType) and _is_of_library(value)


def _is_of_library(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] in ("fcnn", "numpy")


def applied(model: Layer, jit: bool | None) -> Callable[..., Any]:
    """Return a model's ``apply``, replayed if ``jit`` says so; see `fcnn.predict`.

    It is the same for equal models of this library, and for one model with layers of the caller's.
    """
    own = is_own(model)
    if not wanted(jit, own):
        return model.apply
    try:
        return _kept(model if own else _Same(model), jit)
    except TypeError:  # a part of the model does not hash
        return _kept(_Same(model), jit)


def wanted(jit: bool | None, is_own: bool) -> bool:
    """Return whether to record: what is of this library, or what the caller says is pure."""
    return is_own if jit is None else jit


@functools.lru_cache(maxsize=4)
def _kept(model: Layer | _Same, jit: bool | None) -> Callable[..., Any]:
    found: Layer = model.value if isinstance(model, _Same) else model
    return replayed(found.apply, "apply", found, jit, is_own(found))
