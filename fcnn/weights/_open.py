"""A file of weights, opened by the reader of its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import attrs

from fcnn.errors import ArgumentError, DataError
from fcnn.weights import _flax, _keras, _onnx, _safetensors, _torch
from fcnn.weights._modules import Source, cleaned, grouped, without_wrapper
from fcnn.weights._stored import Stored


@contextmanager
def opened(path: Path, prefix: str | None, shape: Any) -> Iterator[Source]:
    """Yield the modules of a file, those whose names begin with the prefix, without it.

    Raises:
        ArgumentError: if the ending of its name is that of no kind.
        DataError: if the file is damaged, or no name begins so.
    """
    reader = next((read for ends, read in _READERS if path.name.lower().endswith(ends)), None)
    if reader is None:
        ends = ", ".join([end for ends, _ in _READERS for end in ends])
        raise ArgumentError(f"expected a file name that ends in {ends}, got {path.name!r}")
    with reader(path, prefix, shape) as source:
        yield source


@contextmanager
def _torch_file(path: Path, prefix: str | None, shape: Any) -> Iterator[Source]:
    arrays, rest = without_wrapper(_torch.read(path), prefix)
    modules, counters = grouped(cleaned(arrays, ".", prefix), ".")
    yield Source("torch", modules, True, counters + rest)


@contextmanager
def _safetensors_file(path: Path, prefix: str | None, shape: Any) -> Iterator[Source]:
    arrays, _ = _safetensors.read(path)
    modules, counters = grouped(cleaned(arrays, ".", prefix), ".")
    yield Source("torch", modules, False, counters)


@contextmanager
def _flax_file(path: Path, prefix: str | None, shape: Any) -> Iterator[Source]:
    arrays = _flax.read(path)
    merged: dict[str, Stored] = {}
    ignored = []
    for name, array in arrays.items():
        collection, _, own = re.sub(r"^(variables|model)/", "", name).partition("/")
        if collection in ("params", "batch_stats"):
            merged[own] = array
        elif collection in ("opt_state", "step", "tx"):
            ignored.append(name)
        else:
            merged[name] = array
    modules, counters = grouped(cleaned(merged, "/", prefix), "/")
    yield Source("flax", modules, False, counters + ignored)


@contextmanager
def _keras_file(path: Path, prefix: str | None, shape: Any) -> Iterator[Source]:
    with _keras.opened(path) as source:
        yield _below(source, prefix)


@contextmanager
def _onnx_file(path: Path, prefix: str | None, shape: Any) -> Iterator[Source]:
    with _onnx.opened(path, shape) as source:
        yield _below(source, prefix)


def _below(source: Source, prefix: str | None) -> Source:
    """Return the modules whose names begin with a prefix, without it."""
    if prefix is None:
        return source
    kept = [
        attrs.evolve(each, name=each.name.removeprefix(prefix))
        for each in source.modules
        if each.name.startswith(prefix)
    ]
    if not kept:
        raise DataError(f"expected names that begin with {prefix!r}, got none")
    return attrs.evolve(source, modules=kept)


_READERS: Sequence[
    tuple[tuple[str, ...], Callable[[Path, str | None, Any], AbstractContextManager[Source]]]
] = [
    ((".pt", ".pth", ".bin", ".ckpt"), _torch_file),
    ((".safetensors",), _safetensors_file),
    ((".keras", ".h5", ".hdf5"), _keras_file),
    ((".msgpack",), _flax_file),
    ((".onnx",), _onnx_file),
]
