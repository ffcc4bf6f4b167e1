"""Keras's files: ``.keras``, ``.weights.h5`` and the ``.h5`` of before.

In the first two an array is called ``0``, ``1`` and so on within its layer, and ``10`` stands
before ``2``. The layer's name is an attribute of the group; the group's own name counts the
layers of its class and says nothing. The configuration tells which arrays there are, in which
order the layers run, and their hyper-parameters.

Sources: ``keras/src/saving/saving_lib.py`` and ``keras/src/legacy/saving`` of Keras 3.15.1.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fcnn.errors import DataError
from fcnn.weights._hdf5 import File, Group
from fcnn.weights._keras_config import ARRAYS, LayerConfig, class_of, layers_of
from fcnn.weights._modules import Module, Source
from fcnn.weights._stored import Stored, mapped, member, reading

_DEEPEST = 20


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file of Keras.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or does not say which array is which.
    """
    with reading("Keras"):
        whole = mapped(path)
        config: Any = None
        if bytes(whole[:4]) == b"PK\3\4":
            with zipfile.ZipFile(path) as archive:
                config = json.loads(bytes(member(archive, whole, "config.json")))
                whole = member(archive, whole, "model.weights.h5")
        source = _source(File.of(whole).root(), config)
    yield source


def _source(file: Group, config: Any) -> Source:
    legacy = file.group("model_weights") if "model_weights" in file else file
    if {"layer_names", "layer_names0"} & set(legacy.attrs):
        if file.attrs.get("model_config"):
            config = json.loads(file.attrs["model_config"])
        modules, known = _legacy(legacy), "model_weights"
    else:
        modules, known = _numbered(file), "layers"
    ignored = [
        name for name in file if name not in (known, "vars", "_layer_checkpoint_dependencies")
    ]
    layers = None if config is None else layers_of(config)
    if layers is None:
        named = [_named(module, None) for module in modules]
        return Source("keras", _split(named), known == "model_weights", ignored)
    return Source("keras", _split(_in_order(modules, layers)), True, ignored)


def _in_order(modules: list[Module], layers: Sequence[LayerConfig]) -> list[Module]:
    """Return the modules in the order in which the layers run, with what the layers say."""
    by_name: dict[str, list[Module]] = {}
    for module in modules:
        by_name.setdefault(module.name.rpartition("/")[2], []).append(module)
    found = []
    for layer in layers:
        at = by_name.get(layer.name.rpartition("/")[2], [])
        exact = [each for each in at if each.name == layer.name] or at
        if len(exact) > 1:
            raise DataError(f"expected one layer {layer.name!r:.60} in the file, got several")
        if exact:
            module = exact[0]
            at.remove(module)
            found.append(_named(module, layer))
    return found + [_named(each, None) for left in by_name.values() for each in left]


def _named(module: Module, layer: LayerConfig | None) -> Module:
    """Return a module with the names of its arrays in the place of their numbers."""
    facts = {} if layer is None else layer.facts
    if not all(name.isdigit() for name in module.arrays):
        return Module(module.name, module.arrays, facts)
    kind = class_of(module.name) if layer is None else layer.kind
    names = ARRAYS.get(kind, ()) if layer is None else layer.arrays
    if len(names) != len(module.arrays):
        # Without a bias, the last one; of others it is not known which ones are missing.
        if layer is not None or names[-1:] != ("bias",) or len(module.arrays) != len(names) - 1:
            return module
        names = names[:-1]
    ordered = sorted(module.arrays.items(), key=lambda item: int(item[0]))
    arrays = {name: array for name, (_, array) in zip(names, ordered, strict=True)}
    return Module(module.name, arrays, facts)


def _split(modules: list[Module]) -> list[Module]:
    """Return the modules with separable convolutions as their two halves."""
    found = []
    for each in modules:
        if "pointwise_kernel" not in each.arrays:
            found.append(each)
            continue
        second = {"kernel": each.arrays["pointwise_kernel"]}
        second |= {"bias": each.arrays["bias"]} if "bias" in each.arrays else {}
        first = {n: a for n, a in each.arrays.items() if n not in ("pointwise_kernel", "bias")}
        first = {"kernel" if n == "depthwise_kernel" else n: a for n, a in first.items()}
        own = {k: v for k, v in each.facts.items() if k in ("stride", "dilation", "padding")}
        found.append(Module(f"{each.name}/depthwise", first, own))
        found.append(Module(f"{each.name}/pointwise", second))
    return found


def _numbered(file: Group) -> list[Module]:
    """Return the layers of Keras 3's tree."""
    found: list[Module] = []

    def collect(group: Group, prefix: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise DataError("expected a tree of layers, got one too deep or too big")
        for name in group:
            child = group[name]
            if not isinstance(child, Group):
                continue
            if name == "vars":
                each = {n: child[n] for n in child}
                arrays = {n: a for n, a in each.items() if isinstance(a, Stored)}
                if arrays:
                    found.append(Module(prefix, arrays))
            elif prefix or name != "optimizer":
                is_list = name in ("layers", "_layers")
                own = prefix if is_list else _join(prefix, _name_of(child, name))
                collect(child, own, depth + 1)

    collect(file, "", 0)
    return found


def _name_of(group: Group, name: str) -> str:
    said = group.group("vars").attrs.get("name") if "vars" in group else None
    return name if said is None else str(said)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _legacy(group: Group) -> list[Module]:
    """Return the layers of Keras's ``.h5``, which lists their names and those of the arrays."""
    found: dict[str, dict[str, Stored]] = {}
    for layer in _listed(group, "layer_names"):
        inner = group.group(layer)
        for name in _listed(inner, "weight_names"):
            at: Group | Stored = inner
            for step in name.split("/"):
                if not isinstance(at, Group):
                    raise DataError(f"expected a group on the way to {name!r:.60}, got an array")
                at = at[step]
            module, _, own = name.removesuffix(":0").rpartition("/")
            if own in found.setdefault(module, {}):
                raise DataError(f"expected names that differ, got {name!r:.60} twice")
            if not isinstance(at, Stored):
                raise DataError(f"expected the array {name!r:.60}, got a group")
            found[module][own] = at
    return [Module(name, arrays) for name, arrays in found.items()]


def _listed(group: Group, name: str) -> list[str]:
    """Return a list of text, which Keras cuts in several where it is longer than 64 KiB."""
    if name in group.attrs:
        pieces = [group.attrs[name]]
    else:
        keys = [f"{name}{i}" for i in range(len(group.attrs))]
        pieces = [group.attrs[key] for key in keys if key in group.attrs]
    texts = [text for piece in pieces for text in piece]
    if not pieces or any(type(text) is not str for text in texts):
        raise DataError(f"expected the text {name!r} in the file, got none")
    return texts
