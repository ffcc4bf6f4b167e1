"""What the configuration of a Keras model says: its layers in the order in which they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from fcnn.errors import DataError

_KERNEL = ("kernel", "bias")
ARRAYS: dict[str, tuple[str, ...]] = {
    **{f"Conv{n}D{t}": _KERNEL for n in (1, 2, 3) for t in ("", "Transpose")},
    **{f"DepthwiseConv{n}D": _KERNEL for n in (1, 2)},
    **{f"SeparableConv{n}D": ("depthwise_kernel", "pointwise_kernel", "bias") for n in (1, 2)},
    "Dense": _KERNEL,
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "LayerNormalization": ("gamma", "beta"),
    "GroupNormalization": ("gamma", "beta"),
    "RMSNormalization": ("scale",),
    "Embedding": ("embeddings",),
    "PReLU": ("alpha",),
}
"""The arrays of a class, in the order of their numbers."""

_SWITCHES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
_FACTS = {
    "epsilon": "eps", "strides": "stride", "dilation_rate": "dilation", "padding": "padding",
    "groups": "groups",
}  # fmt: skip


@attrs.frozen
class LayerConfig:
    """A layer.

    Attributes:
        name: its name, with those of the models around it: ``"backbone/conv2d"``.
        kind: its class.
        arrays: its arrays in the order of their numbers.
        facts: its hyper-parameters, by fcnn's names.
    """

    name: str
    kind: str
    arrays: tuple[str, ...]
    facts: dict[str, Any]


def layers_of(config: Any) -> list[LayerConfig] | None:
    """Return the layers of a model in the order in which they run; None if it does not say."""
    inner = config.get("config")
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        return None
    return list(_layers(inner, "", 0))


def _layers(config: dict[str, Any], prefix: str, depth: int) -> Iterator[LayerConfig]:
    if depth > 20:
        raise DataError("expected a model in a model, got more than 20")
    for layer in _running_order(config):
        inner = layer["config"]
        name = prefix + str(inner.get("name", layer.get("name")))
        if isinstance(inner.get("layers"), list):
            yield from _layers(inner, f"{name}/", depth + 1)
        else:
            yield _layer(name, layer["class_name"], inner)


def _layer(name: str, kind: str, config: dict[str, Any]) -> LayerConfig:
    names = ARRAYS.get(kind, ())
    arrays = tuple([n for n in names if config.get(_SWITCHES.get(n, ""), True)])
    facts = {ours: config[theirs] for theirs, ours in _FACTS.items() if theirs in config}
    return LayerConfig(name, kind, arrays, facts if kind in ARRAYS else {})


def _running_order(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers of a graph so that each branch stands together.

    Keras lists them by their distance from the output, branches by turns.
    """
    layers = config["layers"]
    if "output_layers" not in config:
        return list(layers)
    by_name = {each.get("name", each["config"].get("name")): each for each in layers}
    order: dict[str, Any] = {}
    waiting = [(name, False) for name in _names_in(config["output_layers"])[::-1]]
    opened: set[str] = set()
    while waiting:
        name, is_done = waiting.pop()
        if is_done:
            order.setdefault(name, by_name[name])
        elif name not in opened and name in by_name:
            opened.add(name)
            waiting.append((name, True))
            before = _names_in(by_name[name].get("inbound_nodes", []))
            waiting += [(each, False) for each in before[::-1]]
    return list(order.values())


def _names_in(value: Any, depth: int = 0) -> list[str]:
    """Return the layers that a value refers to: ``[name, 0, 0]``, or Keras 3's tensors."""
    if depth > 30:
        raise DataError("expected the inputs of a layer, got a value nested too deep")
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"][0]]
        return [name for each in value.values() for name in _names_in(each, depth + 1)]
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            return [value[0]]
        return [name for each in value for name in _names_in(each, depth + 1)]
    return []


def class_of(name: str) -> str:
    """Return the class whose layers are called like this by default; "" if none is.

    >>> from fcnn.weights._keras_config import class_of
    >>> class_of("backbone/conv2d_transpose_12")
    'Conv2DTranspose'
    """
    stem = re.sub(r"_\d+$", "", name.rpartition("/")[2])
    return _BY_DEFAULT_NAME.get(stem, "")


def _default_name(kind: str) -> str:
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


_BY_DEFAULT_NAME = {_default_name(kind): kind for kind in ARRAYS}
