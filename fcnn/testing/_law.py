"""A law: its name, what it says, and a function that yields what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fcnn import prng
from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError
from fcnn.prng import Key
from fcnn.testing._globals import kept

KEY = Key(0)
CALLS = 500


def normal(key: Key, shape: Shape) -> Array:
    """Draw normals in float64."""
    return np.asarray(prng.normal(key, shape, dtype=np.float64))


class Law(NamedTuple):
    """A law of one kind of thing.

    Attributes:
        name: by which messages and ``skip`` call it.
        claim: what it says, in a line.
        problems: yields a sentence for each problem that it finds in a case.
    """

    name: str
    claim: str
    problems: Callable[[Any], Iterable[str]]


class Finding(NamedTuple):
    """What a law found: ``problem`` is empty if it holds; ``where`` says in which case it broke."""

    law: Law
    problem: str
    where: str
    cause: Exception | None


def findings(
    laws: Sequence[Law], cases: Sequence[tuple[str, Any]], skip: Collection[str] = ()
) -> Iterator[Finding]:
    """Hold each case to each law, in the order of the laws; yield one finding for each law.

    Raises:
        ArgumentError: if ``skip`` names no law.
    """
    known = [law.name for law in laws]
    if isinstance(skip, str) or not set(skip) <= set(known):
        raise ArgumentError(f"expected skip to be a collection of names from {known}, got {skip!r}")
    for law in laws:
        if law.name not in skip:
            yield _finding(law, cases)


def _finding(law: Law, cases: Sequence[tuple[str, Any]]) -> Finding:
    for where, case in cases:
        try:
            with kept():
                problem = next((each for each in law.problems(case) if each), "")
        except AssertionError as error:
            return Finding(law, str(error), where, None)
        except Exception as error:
            return Finding(law, f"{type(error).__name__}: {error}", where, error)
        if problem:
            return Finding(law, problem, where, None)
    return Finding(law, "", "", None)


def enforce(subject: Any, found: Iterable[Finding]) -> None:
    """Raise at the first law that is broken.

    Raises:
        AssertionError: naming the subject, the law and what was seen.
    """
    for law, problem, where, cause in found:
        if problem:
            place = f" {where}" if where else ""
            said = f"{subject!r} breaks the law {law.name!r}{place}: {problem}"
            raise AssertionError(said) from cause


def calls_problem(call: Callable[[], Any], calls: int) -> str:
    """Call ``calls`` times; return what differs from the first time. ``call`` gives bytes."""
    first = call()
    for i in range(1, calls):
        if call() != first:
            return f"call {i + 1} with the same arguments gave other bits than the first"
    return ""
