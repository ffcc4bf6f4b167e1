"""Checks of the layers that a combinator is made of, and of their params."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn._walk import Part
from fcnn.errors import ArgumentError, TreeError


def check_layers(name: str, layers: Sequence[Any], least: int = 0) -> None:
    """Refuse what is not a layer, or fewer layers than a combinator needs."""
    for i, each in enumerate(layers):
        if not isinstance(each, Layer):
            raise ArgumentError(f"expected a layer as {name}[{i}], got {each!r}{_hint(each)}")
    if len(layers) < least:
        raise ArgumentError(f"expected {name} of at least {least} layer(s), got {len(layers)}")


def _hint(each: Any) -> str:
    """What to write instead of what is not a layer."""
    if isinstance(each, list | tuple):
        return "; pass the layers one by one: *layers"
    if isinstance(each, np.ufunc | str):
        return "; use a layer, such as fcnn.relu"
    return "; call the constructor" if callable(each) else ""


def check_steps(parts: Sequence[Part]) -> None:
    """Refuse two layers of one name in a combinator."""
    steps = [part.step for part in parts]
    for step in steps:
        if steps.count(step) > 1:
            raise ArgumentError(f"expected names that differ, got {step!r} twice; rename one")


def check_params(params: Tree, n: int) -> tuple[Tree, ...]:
    """Return the params of a combinator of n layers if they are a tuple of n.

    Raises:
        TreeError: if they are not.
    """
    if type(params) is not tuple or len(params) != n:
        got = f"a tuple of {len(params)}" if type(params) is tuple else type(params).__name__
        raise TreeError(f"expected params made by init, a tuple of {n}, got {got}")
    return params
