"""``.safetensors``: eight bytes of a length, a JSON header of that length, then the numbers.

Source: https://github.com/huggingface/safetensors#format. PyTorch and tinygrad write the same
names and layouts; PyTorch's are sorted, so their order says nothing, and tinygrad's are not.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fcnn.errors import DataError
from fcnn.weights._stored import BF16, Stored, itemsize, mapped, numbers, reading

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BF16, "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_LONGEST = 100_000_000
"""The longest header that the format allows."""


def read(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Return the arrays by name, in the order of the numbers, and the text beside them.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged.
    """
    with reading(".safetensors"):
        whole = mapped(path)
        length = int.from_bytes(whole[:8], "little")
        if len(whole) < 8 or length > min(len(whole) - 8, _LONGEST):
            raise DataError(f"expected a header of {length} bytes, got a shorter file")
        header = json.loads(bytes(whole[8 : 8 + length]))
        if not isinstance(header, dict):
            raise DataError("expected a JSON object as the header, got something else")
        about = header.pop("__metadata__", {})
        data = whole[8 + length :]
        if not isinstance(about, dict) or not all(isinstance(v, str) for v in about.values()):
            raise DataError("expected text as metadata, got something else")
        items = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        arrays = {name: _array(name, each, data) for name, each in items}
    # save_model of safetensors.torch keeps one of several tied names, and says which.
    arrays.update({n: arrays[a] for n, a in about.items() if a in arrays and n not in arrays})
    return arrays, about


def _array(name: str, entry: dict[str, Any], data: memoryview) -> Stored:
    kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in _DTYPES:
        raise DataError(f"expected a dtype of {', '.join(_DTYPES)} in {name!r:.60}, got {kind!r}")
    plain = [*shape, start, end]
    if any(type(n) is not int or n < 0 for n in plain):
        raise DataError(f"expected whole numbers as shape and place of {name!r:.60}, got others")
    if end > len(data) or end - start != math.prod(shape) * itemsize(_DTYPES[kind]):
        raise DataError(f"expected the numbers of {name!r:.60} {shape}, got {end - start} bytes")

    def read() -> np.ndarray:
        return numbers(data[start:end], _DTYPES[kind]).reshape(shape)

    return Stored(tuple(shape), read)
