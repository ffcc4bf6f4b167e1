"""The same in a ``.safetensors`` file, with the library of that name (extra ``safetensors``).

Its version 0.8.0 writes an array that is not C-contiguous with wrong numbers and no error, so
every array is copied into that order first.

Source: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fcnn.errors import ArgumentError, DataError

_KEY = "fcnn"


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            "expected the package safetensors, which is not installed; "
            "pip install 'fcnn[safetensors]', or save as .npz"
        ) from None
    return safetensors


def write(file: IO[bytes], doc: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a description and arrays.

    Raises:
        ArgumentError: if an array has a dtype that the format has not.
    """
    library = _library()
    ordered = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    for name, array in ordered.items():
        if array.dtype.kind not in "biuf" or not array.dtype.isnative:
            raise ArgumentError(
                f"expected native numbers in {name}, got {array.dtype}; save as .npz"
            )
    file.write(library.numpy.save(ordered, {_KEY: json.dumps(doc)}))


def read(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the description, None if there is none, and the arrays.

    Raises:
        DataError: if it is no such file, or damaged.
    """
    library = _library()
    try:
        with library.safe_open(path, framework="numpy") as file:
            doc = _description(file)
            return doc, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    except (library.SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"expected a .safetensors file, got a damaged one: {error}") from None


def _description(file: Any) -> Any:
    text = (file.metadata() or {}).get(_KEY)
    return None if text is None else json.loads(text)
