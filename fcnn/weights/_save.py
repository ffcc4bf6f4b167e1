"""`save`: the params of a model as another framework's file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fcnn import tree
from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn.checkpoint._save import PathLike
from fcnn.checkpoint._write import replacing
from fcnn.errors import ArgumentError, TreeError
from fcnn.layers.norm import batch_norm
from fcnn.weights._rules import Target, rule_of
from fcnn.weights._targets import targets_of

_DTYPES = {"f8": "F64", "f4": "F32", "i8": "I64"}


def save(
    path: PathLike,
    model: Layer,
    params: Tree,
    *,
    shape: Any,
    format: Literal["torch"] = "torch",  # noqa: A002 (the field's word)
    names: Mapping[str, str] | None = None,
) -> None:
    """Write params as a PyTorch state_dict in a ``.safetensors`` file.

    ``module.load_state_dict(safetensors.torch.load_file(path))`` takes it, and
    ``safetensors.torch.load_model(module, path)``. A layer's arrays have the name that `named`
    gives it or its place in front, as those of a Sequential of the same layers do.

    Args:
        path: the file; it ends in ``.safetensors``.
        model: the model.
        params: its params.
        shape: the shape of one example, which tells what is flattened where.
        format: whose names and layouts: ``"torch"``.
        names: the other framework's names of layers, by their names here; those of
            ``load(...).names`` give a file like the one that was loaded.

    Raises:
        ArgumentError: if the ending is another, or the format is none of these.
        TreeError: if the params are not the model's, two names are the same, or a layer has no
            rule.
        OSError: if the file cannot be written.

    >>> import fcnn, tempfile
    >>> model = fcnn.serial(fcnn.named("hidden", fcnn.dense(3)), fcnn.relu, fcnn.dense(2))
    >>> params, _ = model.init(fcnn.key(0), (4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fcnn.weights.save(f"{folder}/net.safetensors", model, params, shape=(4,))
    ...     print(*fcnn.load(f"{folder}/net.safetensors"))
    2.bias 2.weight hidden.bias hidden.weight
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".safetensors":
        raise ArgumentError(f"expected a file name that ends in .safetensors, got {path.name!r}")
    if format != "torch":
        raise ArgumentError(f'expected the format "torch", got {format!r}')
    found = targets_of(model, shape, "torch")
    if tree.structure(found.params) != tree.structure(params):
        raise TreeError("expected the params of the model, got a tree of another structure")
    own = dict(zip(tree.paths(params), map(np.asarray, tree.leaves(params)), strict=True))
    arrays: dict[str, np.ndarray] = {}
    for target in found.targets:
        name = (names or {}).get(target.name, target.name)
        for each, array in _arrays(target, own):
            full = f"{name}.{each}" if name else each
            if full in arrays:
                raise TreeError(f"expected names that differ, got {full!r} twice; say names=")
            arrays[full] = array
    _write(path, arrays)


def _arrays(target: Target, own: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    rule = rule_of(target.layer)
    for slot in [] if rule is None else rule(target):
        dot = "" if slot.field.startswith("[") or not slot.field else "."
        place = f"{target.params_path}{dot}{slot.field}"
        array = own[place]
        if array.shape != target.shapes[slot.field] or array.dtype.str[1:] not in _DTYPES:
            raise TreeError(
                f"expected {place} of float32 or float64 {target.shapes[slot.field]}, "
                f"got {array.dtype} {array.shape}"
            )
        yield slot.names[0], slot.save(array).reshape(slot.shape)
    if target.layer.spec.constructor is batch_norm:
        yield "num_batches_tracked", np.zeros((), np.int64)


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays, sorted by name as the format's own library does."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    ordered = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    for name in ordered:
        array = arrays[name]
        kind = _DTYPES[array.dtype.str[1:]]
        place = [at, at + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in ordered:
            little = arrays[name].dtype.newbyteorder("<")
            file.write(np.ascontiguousarray(arrays[name], little).tobytes())
