"""Conditions and numbers that depend on the values of arrays, so that `fcnn.jit` sees them.

A kernel may take another path for NaN or for a mean far from zero. `fcnn.jit` records one path; so
that it knows where a later call would take another, every such condition goes through `decide` or
`holds`. A replay compares them, and where one differs the function itself runs. What is decided
often and either way goes through `unless`, which a replay decides anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fcnn._ops.memory import RECORDING


def decide(condition: Any) -> bool:
    """Return ``bool(condition)``, of an array of one element or a number."""
    recorder = RECORDING.recorder
    return bool(condition) if recorder is None else recorder.decided(condition)


def is_known(condition: Any) -> bool:
    """Return whether a condition is true, and will be in a replay; False while it is recorded.

    It may leave out work that changes nothing where it is true.
    """
    return RECORDING.recorder is None and bool(condition)


def holds(condition: Callable[..., Any], *arguments: Any) -> bool:
    """Return ``bool(condition(*arguments))``, for a condition that NumPy's calls do not show."""
    recorder = RECORDING.recorder
    if recorder is None:
        return bool(condition(*arguments))
    return recorder.held(condition, arguments)


def unless(condition: Any, function: Callable[..., None], *arguments: Any) -> None:
    """Call ``function(*arguments)``, which writes to its first argument, if a condition is false.

    A replay asks for the condition, and calls the function where it is false. The others of the
    arguments are only read.
    """
    recorder = RECORDING.recorder
    if recorder is not None:
        recorder.unless(condition, function, arguments)
    elif not condition:
        function(*arguments)


def number(value: Any) -> float:
    """Return ``float(value)``, the result of a computation of arrays."""
    recorder = RECORDING.recorder
    return float(value) if recorder is None else recorder.number(value)


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``, new arrays, of a function that NumPy's calls do not show."""
    recorder = RECORDING.recorder
    return function(*arguments) if recorder is None else recorder.called(function, arguments)


def computed(function: Callable[..., Any], *numbers: Any) -> Any:
    """Return ``function(*numbers)``: a number, or a tuple of numbers, that Python computes.

    A replay calls the function anew. Python's arithmetic and NumPy's may differ in the last bit.
    """
    recorder = RECORDING.recorder
    return function(*numbers) if recorder is None else recorder.computed(function, numbers)
