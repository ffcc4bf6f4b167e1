"""The laws that an initializer obeys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._typing import Array, Shape
from fcnn._value import Value
from fcnn.errors import FcnnError
from fcnn.prng import Key, abstract_key, fold_in
from fcnn.testing._globals import global_problem
from fcnn.testing._law import CALLS, KEY, Law, calls_problem, enforce, findings
from fcnn.testing._layer_form import looks_drawn
from fcnn.testing._value import copy_of, importable, value_problem

SHAPES: tuple[Shape, ...] = ((8,), (1, 1), (5, 7), (3, 2, 4, 6))
"""Shapes to check besides the one that is asked for; an initializer may refuse them."""


def check_initializer(
    initializer: Callable[[Key, Shape], Array],
    shape: Shape = (3, 3, 4, 8),
    *,
    key: Key = KEY,
    calls: int = CALLS,
    skip: Collection[str] = (),
) -> None:
    """Hold an initializer to everything that fcnn relies on in an initializer.

    - *form*: the shape asked for, for each shape that it takes and for
      ``fcnn.prng.abstract_key``; float32, finite, in memory of its own.
    - *key*: the same key gives the same bits, whatever is drawn in between, and another key
      gives others, unless the numbers are fixed; random numbers differ along every axis.
    - *globals*: no global generator is drawn from, seeded or read; NumPy's settings stay.
    - *calls*: ``calls`` calls in a row give the same bits.
    - *value*: the initializer pickles, equals its copy, and prints as the call that makes it.

    Args:
        initializer: ``(key, shape) -> array``.
        shape: a shape that it takes.
        key: where its draws come from.
        calls: how often the law *calls* calls.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the initializer, the law and what was seen.
        ArgumentError: if ``skip`` names no law.

    >>> import numpy as np
    >>> from fcnn.initializers import he_normal
    >>> from fcnn.testing import check_initializer
    >>> check_initializer(he_normal)
    >>> check_initializer(lambda key, shape: np.zeros(shape))
    Traceback (most recent call last):
    AssertionError: <function <lambda> ...> breaks the law 'form': expected float32, got float64
    """
    case = InitializerCase(initializer, tuple(shape), key, calls)
    enforce(initializer, findings(LAWS, [("", case)], skip))


@attrs.frozen
class InitializerCase:
    """An initializer and where to look at it."""

    initializer: Any
    shape: Shape
    key: Key
    calls: int

    def draw(self, key: Key) -> Array:
        """Return an array of the shape asked for."""
        drawn: Array = self.initializer(key, self.shape)
        return drawn

    @property
    def shapes(self) -> list[Shape]:
        """The shape asked for, and the others that the initializer takes."""
        return [self.shape, *(each for each in SHAPES if self._takes(each))]

    def _takes(self, shape: Shape) -> bool:
        try:
            self.initializer(self.key, shape)
        except FcnnError:
            return False
        return True


def _form_problems(case: InitializerCase) -> Iterator[str]:
    for shape in case.shapes:
        array = case.initializer(case.key, shape)
        yield _form_problem(array, shape)
        if not np.isfinite(array).all():
            yield f"a number of shape {shape} is not finite"
        again = case.initializer(case.key, shape)
        if again.flags.writeable and np.may_share_memory(array, again):
            yield "two calls give the same memory"
        if problem := _form_problem(case.initializer(abstract_key(), shape), shape):
            yield f"for fcnn.prng.abstract_key(): {problem}"


def _form_problem(array: Any, shape: Shape) -> str:
    if not isinstance(array, np.ndarray):
        return f"expected an array, got {type(array).__name__}"
    if array.shape != shape:
        return f"expected the shape {shape}, got {array.shape}"
    return "" if array.dtype == np.float32 else f"expected float32, got {array.dtype}"


def _key_problems(case: InitializerCase) -> Iterator[str]:
    other = Key((case.key.seed + 1) % 2**64, case.key.path)
    keys = [case.key, other, *(fold_in(case.key, i) for i in range(2))]
    for shape in case.shapes:
        first = [case.initializer(key, shape) for key in keys]
        again = [case.initializer(key, shape) for key in reversed(keys)][::-1]
        if tree.digest(first) != tree.digest(again):
            yield f"one key gives different bits of shape {shape}"
        digests = {tree.digest(array) for array in first}
        if len(digests) == 1:
            if looks_drawn(first[0], case.initializer):
                yield "its numbers look drawn, and are the same for every key"
            continue
        if len(digests) < len(keys) and first[0].size >= 8:
            yield f"two of four keys give the same bits of shape {shape}"
        for axis, length in enumerate(shape):
            if length > 1 and all((np.diff(array, axis=axis) == 0).all() for array in first):
                yield f"its random numbers of shape {shape} are repeated along axis {axis}"


def _global_problems(case: InitializerCase) -> Iterator[str]:
    yield global_problem(lambda: tree.digest(case.draw(case.key)))


def _call_problems(case: InitializerCase) -> Iterator[str]:
    yield calls_problem(lambda: case.draw(case.key).tobytes(), case.calls)


def _value_problems(case: InitializerCase) -> Iterator[str]:
    yield value_problem(case.initializer)
    if isinstance(case.initializer, Value) and importable(case.initializer):
        copy = attrs.evolve(case, initializer=copy_of(case.initializer))
        if tree.digest(copy.draw(case.key)) != tree.digest(case.draw(case.key)):
            yield "its copy by pickle gives other bits"


LAWS = (
    Law("form", "float32 of the shape, finite", _form_problems),
    Law("key", "the key decides", _key_problems),
    Law("globals", "no global generator is used", _global_problems),
    Law("calls", "the same bits, call after call", _call_problems),
    Law("value", "pickles, compares, prints as its call", _value_problems),
)
