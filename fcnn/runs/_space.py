"""The settings of a sweep: all of a grid, or random ones."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fcnn import prng
from fcnn._check import whole
from fcnn._folder._json import plain
from fcnn.errors import ArgumentError
from fcnn.prng import Key, fold_in

Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]
_LONGEST = 90


def settings(space: Space, samples: int | None, key: Key | None) -> list[dict[str, Any]]:
    """Return the settings, each a value by name.

    A sample depends on the key, its number and the names alone: more samples keep the first.

    Raises:
        ArgumentError: if the space is something else.

    >>> import fcnn
    >>> from fcnn.runs._space import settings
    >>> settings({"rate": [0.1, 0.2], "units": (8,)}, None, None)
    [{'rate': 0.1, 'units': 8}, {'rate': 0.2, 'units': 8}]
    >>> few = settings({"rate": [0.1, 0.2, 0.3]}, 3, fcnn.key(0))
    >>> settings({"rate": [0.1, 0.2, 0.3]}, 5, fcnn.key(0))[:3] == few
    True
    """
    if isinstance(space, Mapping):
        if samples is not None:
            return _samples(space, whole(samples, "samples"), key)
        for name, choices in space.items():
            if isinstance(choices, str) or not isinstance(choices, Sequence):
                raise ArgumentError(
                    f"expected a list of values for {name!r} of a grid, got {choices!r:.60}; for "
                    f"random search pass samples="
                )
        return [dict(zip(space, each, strict=True)) for each in itertools.product(*space.values())]
    if samples is not None or isinstance(space, str) or not isinstance(space, Sequence):
        raise ArgumentError(f"expected a dict of values by name, got {type(space).__name__}")
    if not all(isinstance(each, Mapping) for each in space):
        raise ArgumentError("expected a list of dicts, each a setting")
    return [dict(each) for each in space]


def _samples(space: Mapping[str, Any], n: int, key: Key | None) -> list[dict[str, Any]]:
    if not isinstance(key, Key):
        raise ArgumentError(f"expected a key for random search, got {key!r:.40}; pass key=")
    return [
        {
            name: _drawn(name, choices, fold_in(fold_in(key, i), at))
            for at, (name, choices) in enumerate(sorted(space.items()))
        }
        for i in range(n)
    ]


def _drawn(name: str, choices: Any, key: Key) -> Any:
    """Return one of a list, a draw of a distribution of SciPy, or ``choices(key)``."""
    inverse = getattr(choices, "ppf", None) or getattr(choices, "icdf", None)
    if inverse is not None:
        value = float(inverse(_uniform(key)))
        return int(value) if hasattr(getattr(choices, "dist", None), "pmf") else value
    if callable(choices):
        return choices(key)
    if isinstance(choices, Sequence) and not isinstance(choices, str) and len(choices):
        return choices[int(_uniform(key) * len(choices))]
    raise ArgumentError(
        f"expected a list of values, a distribution of scipy.stats or a function of a key for "
        f"{name!r}, got {choices!r:.60}"
    )


def _uniform(key: Key) -> float:
    """Return a number in (0, 1)."""
    drawn = float(prng.uniform(key, (1,), dtype="float64")[0])
    return min(max(drawn, 1e-12), 1 - 1e-12)


def name_of(setting: Mapping[str, Any], seed: Any) -> str:
    """Return the name of a run's folder; other settings have other names.

    >>> from fcnn.runs._space import name_of
    >>> name_of({"rate": 0.1, "units": 8}, 2)
    'rate=0.1,units=8,seed=2'
    """
    parts = {**plain(setting), "seed": plain(seed)}
    text = ",".join(f"{name}={value}" for name, value in parts.items())
    safe = re.sub(r"[^\w.,=+-]", "_", text, flags=re.ASCII)
    if safe == text and len(text) <= _LONGEST:
        return text
    import hashlib

    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
    return f"{safe[:_LONGEST]}-{digest}"
