"""`save`, `load`, `load_model` and `load_info`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import numpy as np

from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn.checkpoint import _npz, _safetensors
from fcnn.checkpoint._decode import decode
from fcnn.checkpoint._encode import Encoded
from fcnn.checkpoint._environment import environment
from fcnn.checkpoint._leaf_names import namer
from fcnn.checkpoint._like import into
from fcnn.checkpoint._names import find
from fcnn.checkpoint._write import replacing
from fcnn.errors import ArgumentError, DataError, TreeError

T = TypeVar("T")
PathLike: TypeAlias = str | os.PathLike[str]

_FORMAT = 1
_FILES: dict[str, ModuleType] = {".npz": _npz, ".safetensors": _safetensors}


def save(path: PathLike, tree: Tree, *, model: Layer | None = None, **info: Any) -> None:
    """Write a tree to a file, at once or not at all.

    The tree is anything that `fcnn.tree` takes: params, an optimizer's state; or a
    `fcnn.train.State` or `fcnn.train.Run`. ``.npz`` holds no pickles and can be read with
    `numpy.load`; ``.safetensors`` needs the extra of that name. The file also holds what
    `fcnn.checkpoint.environment` returns.

    Args:
        path: the file; an old one is replaced when the new one is complete.
        tree: what to write.
        model: the model whose params are in the tree. Its arrays are then called by the names
            of its layers (``conv1.weight``; ``3.bias`` for a layer without a name), and
            `load_model` gives it back.
        **info: whatever the reader should know: ``class_names``, ``input_shape``, the mean and
            scale of a normalisation; numbers, text, arrays, tuples, dicts.

    Raises:
        ArgumentError: if the file's ending is neither ``.npz`` nor ``.safetensors``.
        TreeError: if the tree, the model or the info holds what a file cannot.
        OSError: if it cannot be written: no such folder, or the disk is full.

    >>> import fcnn, numpy as np, tempfile
    >>> model = fcnn.serial(fcnn.named("hidden", fcnn.dense(3)), fcnn.relu, fcnn.dense(2))
    >>> params, out_shape = model.init(fcnn.key(0), (4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fcnn.save(f"{folder}/net.npz", params, model=model, class_names=("cat", "dog"))
    ...     print(fcnn.load(f"{folder}/net.npz") == params)
    ...     with np.load(f"{folder}/net.npz") as arrays:
    ...         print(arrays.files)
    True
    ['fcnn.json', 'hidden.weight', 'hidden.bias', '2.weight', '2.bias']
    """
    path = Path(path)
    file_kind = _kind(path)
    if model is not None and not isinstance(model, Layer):
        raise ArgumentError(f"expected a layer as model, got {type(model).__name__}")
    own = Encoded(namer=namer(model))
    about = Encoded(arrays=own.arrays, namer=lambda path: f"info.{path}")
    doc = {
        "format": _FORMAT,
        "tree": own.encode(tree, ""),
        "model": None if model is None else about.encode(model, "model"),
        "printed": None if model is None else repr(model),
        "info": about.encode(info, ""),
        "environment": environment(),
    }
    with replacing(path) as file:
        file_kind.write(file, doc, own.arrays)


def load(
    path: PathLike, *, like: T | None = None, strict: bool = True, modules: Collection[str] = ()
) -> T:
    """Read a tree that `save` wrote.

    Args:
        path: the file.
        like: a tree of the structure, shapes and dtypes that are expected. The classes of its
            nodes are used, so no module need be named.
        strict: with ``like``, refuse a file that differs in any leaf. If False, take the leaves
            whose path, shape and dtype fit, keep those of ``like`` elsewhere, and say in a
            warning which they are.
        modules: where classes of nodes may be looked up by name, besides fcnn. A module that is
            named is imported.

    Returns:
        The tree. Its arrays are new.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or nothing that `save` wrote.
        TreeError: if it differs from ``like``: with the first leaf that does; or if a class is
            neither in fcnn nor in the modules.

    >>> import fcnn, tempfile
    >>> params, out_shape = fcnn.dense(2).init(fcnn.key(0), (3,))
    >>> other, out_shape = fcnn.dense(2).init(fcnn.key(0), (4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fcnn.save(f"{folder}/net.npz", params)
    ...     fcnn.load(f"{folder}/net.npz", like=other)
    Traceback (most recent call last):
    fcnn.errors.TreeError: expected .weight of shape (4, 2) float32, got shape (3, 2) float32; ...
    """
    path = Path(path).expanduser()
    doc, arrays = _kind(path).read(path)
    doc = _checked_doc(doc, arrays)
    if like is None:
        tree: T = decode(doc["tree"], arrays, lambda kind, name: find(kind, name, modules))
        return tree
    return into(like, doc["tree"], arrays, strict=strict, by_name="format" not in doc)


def load_model(path: PathLike, *, modules: Collection[str] = ()) -> tuple[Layer, Tree]:
    """Read a model and its params from a file that `save` wrote with ``model=``.

    Constructors are looked up by name in fcnn and in the modules; no code is in the file.

    Args:
        path: the file, of params, of a `fcnn.train.State` or of a `fcnn.train.Run`.
        modules: where constructors may be looked up by name, besides fcnn.

    Returns:
        The model and its params.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or has no model.
        TreeError: if a constructor is neither in fcnn nor in the modules.

    >>> import fcnn, tempfile
    >>> model = fcnn.serial(fcnn.dense(3), fcnn.relu, fcnn.dense(2))
    >>> params, out_shape = model.init(fcnn.key(0), (4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fcnn.save(f"{folder}/net.npz", params, model=model)
    ...     fcnn.load_model(f"{folder}/net.npz") == (model, params)
    True
    """
    path = Path(path).expanduser()
    doc, arrays = _kind(path).read(path)
    doc = _checked_doc(doc, arrays)
    if doc.get("model") is None:
        raise DataError(f"expected a model in {path.name}, got a tree alone; save it with model=")

    def look_up(kind: str, name: str) -> Any:
        return find(kind, name, modules)

    model, tree = (decode(doc[each], arrays, look_up) for each in ("model", "tree"))
    if not isinstance(model, Layer):
        raise DataError(f"expected a model in {path.name}, got {model!r:.40}")
    for _ in range(2):  # a run has a state, a state has params
        tree = getattr(tree, "params", tree)
    return model, tree


def load_info(path: PathLike) -> dict[str, Any]:
    """Read the description in a file: the info of `save`, the model as it prints, versions.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or nothing that `save` wrote.

    >>> import fcnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fcnn.save(f"{folder}/net.npz", (1.0,), class_names=("cat", "dog"))
    ...     fcnn.load_info(f"{folder}/net.npz")["class_names"]
    ('cat', 'dog')
    """
    path = Path(path).expanduser()
    doc, arrays = _kind(path).read(path)
    doc = _checked_doc(doc, arrays)
    info = decode(doc.get("info"), arrays, lambda kind, name: find(kind, name))
    if not isinstance(info, dict):
        raise DataError(f"expected a dict as the info of {path.name}, got {info!r:.40}")
    return {**info, "model": doc.get("printed"), "environment": doc.get("environment")}


def is_storable(value: Any) -> bool:
    """Return whether a file can hold a model or another value."""
    try:
        Encoded().encode(value, "")
    except TreeError:
        return False
    return True


def _kind(path: Path) -> ModuleType:
    found = _FILES.get(path.suffix.lower())
    if found is None:
        raise ArgumentError(
            f"expected a file name that ends in .npz or .safetensors, got {path.name!r}"
        )
    return found


def _checked_doc(doc: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the description; of a file without one, that of a dict of its arrays."""
    if doc is None:
        return {"tree": {"dict": [[name, {"array": name}] for name in arrays]}, "info": None}
    if not isinstance(doc, dict) or "tree" not in doc:
        raise DataError(f"expected the description of a tree, got {doc!r:.40}")
    if doc.get("format") != _FORMAT:
        raise DataError(
            f"expected a file of format {_FORMAT}, got {doc.get('format')!r:.20}; "
            f"read it with the version of fcnn that wrote it: {_version(doc)}"
        )
    return doc


def _version(doc: dict[str, Any]) -> str:
    about = doc.get("environment")
    return str(about.get("fcnn"))[:20] if isinstance(about, dict) else "unknown"
