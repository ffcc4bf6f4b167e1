"""Keras's files: ``.keras``, ``.weights.h5`` and the ``.h5`` of before, with h5py.

In the first two an array is called ``0``, ``1`` and so on within its layer, and ``10`` stands
before ``2``. The layer's name is an attribute of the group; the group's own name counts the
layers of its class and says nothing. The configuration tells which arrays there are, in which
order the layers run, and their hyper-parameters.

A ``.keras`` archive has a checksum, which is compared before HDF5's C library sees its bytes. A
``.h5`` file has none: a damaged one is refused as a rule, but can end the process in that library.

Sources: ``keras/src/saving/saving_lib.py`` and ``keras/src/legacy/saving`` of Keras 3.15.1.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn.errors import DataError
from fcnn.weights._keras_config import ARRAYS, LayerConfig, class_of, layers_of
from fcnn.weights._modules import Module, Source
from fcnn.weights._stored import BF16, Stored, mapped, member, numbers, reading

_DEEPEST, _MOST = 20, 100_000


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file of Keras.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or does not say which array is which.
    """
    h5py = _library()
    with reading("Keras"):
        whole = mapped(path)
        config: Any = None
        where: Any = path
        if bytes(whole[:4]) == b"PK\3\4":
            with zipfile.ZipFile(path) as archive:
                config = json.loads(bytes(member(archive, whole, "config.json")))
                where = _Window(member(archive, whole, "model.weights.h5"))
        file = h5py.File(where, "r")
    try:
        with reading("Keras"):
            source = _source(file, config)
        yield source
    finally:
        file.close()


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError(
            "expected the package h5py, which is not installed; pip install 'fcnn[weights]'"
        ) from None
    return h5py


class _Window(io.RawIOBase):
    """Bytes as a file, without a copy."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def readinto(self, buffer: Any) -> int:
        piece = self.data[self.at : self.at + len(buffer)]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, len(self.data))[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _source(file: Any, config: Any) -> Source:
    legacy = file.get("model_weights", file)
    if "layer_names" in legacy.attrs:
        if "model_config" in file.attrs:
            config = json.loads(_text(file.attrs["model_config"]))
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


@attrs.define
class _Walk:
    """Counts what was looked at: links may lead round in circles."""

    count: int = 0

    def children(self, group: Any, depth: int) -> list[tuple[str, Any]]:
        """Return what is in a group, refusing links to elsewhere."""
        import h5py

        found = []
        for name in group:
            self.count += 1
            if self.count > _MOST or depth > _DEEPEST:
                raise DataError("expected a tree of layers, got one too deep or too big")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"expected {name!r:.60} in the file, got a link to elsewhere")
            found.append((name, group[name]))
        return found


def _numbered(file: Any) -> list[Module]:
    """Return the layers of Keras 3's tree."""
    found: list[Module] = []
    walk = _Walk()

    def collect(group: Any, prefix: str, depth: int) -> None:
        for name, child in walk.children(group, depth):
            if not hasattr(child, "keys"):
                continue
            if name == "vars":
                arrays = {n: _stored(d) for n, d in walk.children(child, depth + 1)}
                if arrays:
                    found.append(Module(prefix, arrays))
            elif prefix or name != "optimizer":
                is_list = name in ("layers", "_layers")
                own = prefix if is_list else _join(prefix, _name_of(child, name))
                collect(child, own, depth + 1)

    collect(file, "", 0)
    return found


def _name_of(group: Any, name: str) -> str:
    said = group["vars"].attrs.get("name") if "vars" in group else None
    return name if said is None else _text(said)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _legacy(group: Any) -> list[Module]:
    """Return the layers of Keras's ``.h5``, which lists their names and those of the arrays."""
    found: dict[str, dict[str, Stored]] = {}
    walk = _Walk()
    for layer in map(_text, group.attrs["layer_names"]):
        inner = dict(walk.children(group, 0))[layer]
        for name in map(_text, inner.attrs["weight_names"]):
            at = inner
            for step in name.split("/"):
                at = dict(walk.children(at, 0))[step]
            module, _, own = name.removesuffix(":0").rpartition("/")
            if own in found.setdefault(module, {}):
                raise DataError(f"expected names that differ, got {name!r:.60} twice")
            found[module][own] = _stored(at)
    return [Module(name, arrays) for name, arrays in found.items()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _stored(dataset: Any) -> Stored:
    """Return a dataset as an array that is read on demand."""
    if hasattr(dataset, "keys") or dataset.external or dataset.is_virtual:
        raise DataError(f"expected an array in the file, got {dataset.name!r:.60} elsewhere")
    kind = dataset.dtype
    if kind.kind not in "fiub" and kind.str != "|V2":
        raise DataError(f"expected numbers in {dataset.name!r:.60}, got {kind}")

    def read() -> np.ndarray:
        if kind.str == "|V2":  # bfloat16, which HDF5 does not know
            return numbers(memoryview(dataset[()].tobytes()), BF16).reshape(dataset.shape)
        return np.asarray(dataset[()])

    return Stored(tuple(dataset.shape), read)
