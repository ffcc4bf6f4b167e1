"""What `fcnn.fit` was asked for, as the ``config.json`` of a run holds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fcnn._folder import _sources
from fcnn._folder._json import pack, plain
from fcnn._value import values_in

VALUES = ("model", "loss", "optimizer", "augment", "metrics")
FREE = ("epochs", "start", "changed")
"""Arguments that may differ in a second call in the same folder, which may train for longer."""


def asked(
    values: Mapping[str, Any], data: Any, validation: Any, key: Any, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `fcnn.fit` as JSON.

    Args:
        values: model, loss, optimizer, augment and metrics.
        data: the examples.
        validation: those of validation, or None.
        key: the run's key.
        settings: everything else, plain.
    """
    return {
        "printed": {name: _printed(values[name]) for name in VALUES},
        "values": {name: pack(values[name]) for name in VALUES},
        "data": _sources.about(data),
        "validation": None if validation is None else _sources.about(validation),
        "key": {"seed": key.seed, "path": list(key.path)},
        **plain(settings),
    }


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return by name what differs between two calls of `fcnn.fit`, but for `FREE`."""
    return {
        name: (a, b)
        for name, (a, b) in _both(flat(ours), flat(theirs)).items()
        if a != b and name not in FREE
    }


def flat(fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return one short text or number for each argument of `fcnn.fit`, by name."""
    found = dict(fit.get("printed", {}))
    for name, value in fit.items():
        if name in ("data", "validation"):
            found[name] = value and f"{value['printed']} {value['sha256'][:12]}"
        elif name == "key":
            path = f", {tuple(value['path'])}" if value["path"] else ""
            found[name] = f"key({value['seed']}{path})"
        elif name not in ("printed", "values"):
            found[name] = value
    return found


def rate_of(optimizer: Any) -> Any:
    """Return ``step -> learning rate`` of an optimizer; None if it has no such argument."""
    for each in values_in(optimizer):
        if each.spec.is_name:
            continue
        rate = each.spec.arguments.get("learning_rate")
        if callable(rate):
            return rate
        if isinstance(rate, int | float):
            return lambda step, rate=rate: float(rate)
    return None


def _both(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*ours, *theirs])
    return {name: (ours.get(name), theirs.get(name)) for name in names}


def _printed(value: Any) -> Any:
    """Return how a value prints, without addresses, which differ between processes."""
    if isinstance(value, Mapping):
        return {name: _printed(each) for name, each in value.items()} or None
    if value is None:
        return None
    name = getattr(value, "__qualname__", None)
    if name is not None and not hasattr(value, "spec"):
        return f"{value.__module__}.{name}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
