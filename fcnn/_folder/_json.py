"""JSON files, and models, losses and optimizers in them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fcnn._value import Value
from fcnn.checkpoint._decode import decode
from fcnn.checkpoint._encode import Encoded
from fcnn.checkpoint._names import find
from fcnn.checkpoint._write import replacing
from fcnn.errors import DataError, TreeError

OWN = ("fcnn.metrics", "fcnn.data.augment")
"""Modules of fcnn whose functions may be named in a file."""


def write(path: Path, content: Any) -> None:
    """Write a JSON file, at once or not at all."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write((text + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected a JSON file {path}, got a damaged one: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"expected an object in {path}, got {type(found).__name__}")
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; what it cannot hold becomes its printed form.

    >>> import numpy as np, fcnn
    >>> from fcnn._folder._json import plain
    >>> plain({"rate": np.float32(0.5), "shape": (2, 3), "act": fcnn.relu, "least": float("nan")})
    {'rate': 0.5, 'shape': [2, 3], 'act': 'relu', 'least': None}
    """
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufU":
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list) and not isinstance(value, Value):
        return [plain(each) for each in value]
    return repr(value)


def pack(value: Any) -> dict[str, Any] | None:
    """Return a model or the like as JSON, arrays among its arguments in base64.

    None if a file cannot hold it: a function that no module holds, say.
    """
    encoded = Encoded(namer=lambda path: path or "value")
    try:
        doc = encoded.encode(value, "")
    except TreeError:
        return None
    return {"doc": doc, "arrays": {name: _array(each) for name, each in encoded.arrays.items()}}


def unpack(packed: Any, modules: Collection[str] = ()) -> Any:
    """Return what `pack` was given; constructors and functions are looked up by name.

    Raises:
        DataError: if it is damaged.
        TreeError: if a name is neither in fcnn nor in the modules.
    """
    try:
        arrays = {name: _from_base64(each) for name, each in packed["arrays"].items()}
        doc = packed["doc"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"expected a value of a run, got {error!r:.80}") from None
    return decode(doc, arrays, lambda kind, name: find(kind, name, {*OWN, *modules}))


def _array(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "base64": data}


def _from_base64(held: Mapping[str, Any]) -> np.ndarray:
    dtype = np.dtype(str(held["dtype"]))
    if dtype.hasobject:
        raise ValueError(f"an array of {dtype}")
    data = base64.b64decode(held["base64"], validate=True)
    return np.frombuffer(data, dtype).reshape([int(n) for n in held["shape"]]).copy()
