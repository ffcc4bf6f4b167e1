"""What the arrays of params are called in a file: ``conv1.weight``, ``3.bias``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fcnn._layer import Layer
from fcnn._walk import parts_of
from fcnn.checkpoint._encode import Namer

_STEP = re.compile(r"\w+\[(.+)\]")


def namer(model: Layer | None) -> Namer:
    """Return the names of a model's arrays by their paths in the params.

    A layer that `named` names stands by its name, any other by its place. The arrays of a
    state have what stands before the params' paths in front: ``params.conv1.weight``.
    """
    places: dict[str, str] = {} if model is None else dict(_places(model, "", ""))

    def name(path: str) -> str:
        head, rest = "", path
        while rest:
            found = _longest(places, rest)
            if found:
                return head + places[found] + rest[len(found) :]
            step, dot, rest = rest.partition(".")
            if step.isdigit():
                return path
            head += step + dot
        return path

    return name


def _longest(places: dict[str, str], path: str) -> str:
    fits = [place for place in places if path == place or path.startswith(f"{place}.")]
    return max(fits, key=len, default="")


def _places(layer: Layer, place: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the path in the params and the name of every layer in a model."""
    for part in parts_of(layer):
        below = ".".join([*filter(None, [place]), *map(str, part.place)])
        found = _STEP.fullmatch(part.step)
        step = found[1].strip("'\"") if found else part.step
        called = ".".join(filter(None, [name, step]))
        yield below, called
        yield from _places(part.layer, below, called)
