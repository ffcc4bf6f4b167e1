"""PyTorch's ``.pt`` files: the zip archives of version 1.6 and later, and the files before.

Source: ``torch/serialization.py`` and ``torch/_utils.py`` of version 2.13.0.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Shape
from fcnn.errors import DataError
from fcnn.weights._pickles import Machine
from fcnn.weights._stored import BF16, Stored, itemsize, mapped, member, numbers, reading

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "float64": "f8", "double": "f8", "float32": "f4", "float": "f4", "float16": "f2",
    "half": "f2", "bfloat16": BF16, "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "bool": "?",
    "complex64": "c8", "complex128": "c16",
}  # fmt: skip
_STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": BF16,
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16", "UntypedStorage": "u1",
}  # fmt: skip


@attrs.frozen(eq=False)
class _Kind:
    """A dtype or a type of storage in a pickle: a value, not to be called."""

    code: str


@attrs.frozen(eq=False)
class _Storage:
    """Numbers in a file, by key."""

    key: str
    code: str
    count: int
    bytes_of: Callable[[_Storage], memoryview]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * itemsize(self.code)


def read(path: Path) -> Any:
    """Return what is in the file, with a `Stored` for each tensor.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or holds anything but tensors, containers, numbers and text.
    """
    with reading("PyTorch"):
        whole = mapped(path)
        if bytes(whole[:4]) == b"PK\3\4":
            return _zipped(path, whole)
        return _legacy(whole)


def _zipped(path: Path, whole: memoryview) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = {each.filename for each in archive.infolist()}
        found = [n for n in names if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(found) != 1:
            raise DataError(f"expected one data.pkl in {path.name}, got {len(found)}")
        root = found[0].removesuffix("data.pkl")
        order = "<"
        if root + "byteorder" in names:
            said = bytes(member(archive, whole, root + "byteorder")).strip()
            if said not in (b"little", b"big"):
                raise DataError(f"expected the byte order little or big, got {said!r:.20}")
            order = "<" if said == b"little" else ">"
        checked: dict[str, memoryview] = {}

        def bytes_of(storage: _Storage) -> memoryview:
            if storage.key not in checked:
                name = f"{root}data/{storage.key}"
                if name not in names:
                    raise DataError(f"expected the member {name!r:.60}, got none")
                checked[storage.key] = member(archive, whole, name)
            return checked[storage.key]

        names_of = _names(order)
        machine = Machine(names_of, lambda pid: _persistent(pid, bytes_of))
        return machine.run(io.BytesIO(member(archive, whole, found[0])))


def _legacy(whole: memoryview) -> Any:
    file: Any = whole.obj
    found: dict[str, _Storage] = {}
    places: dict[str, memoryview] = {}

    def bytes_of(storage: _Storage) -> memoryview:
        return places[storage.key]

    def persistent(pid: Any) -> _Storage:
        if type(pid) is tuple and len(pid) == 6 and pid[5] is not None:
            raise DataError("expected a storage, got a view of one; save it again with torch.save")
        storage = _persistent(pid, bytes_of, lazily=True)
        return found.setdefault(storage.key, storage)

    def load() -> Any:
        return Machine(_names("<"), persistent).run(file)

    try:
        is_ours = load() == _MAGIC and load() == 1001
    except (DataError, ValueError, IndexError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise DataError("expected a file that torch.save wrote, got other bytes")
    about = load()
    if type(about) is not dict or about.get("little_endian") is not True:
        raise DataError("expected little-endian numbers, got a file of another machine")
    made, keys = load(), load()
    if type(keys) is not list or set(keys) != set(found):
        raise DataError("expected the keys of the storages, got others")
    at = file.tell()
    for key in keys:
        storage = found[key]
        (count,) = struct.unpack("<q", whole[at : at + 8])
        data = whole[at + 8 : at + 8 + storage.size]
        if count != storage.count or len(data) != storage.size:
            raise DataError(f"expected {storage.count} numbers in storage {key!r:.20}, got {count}")
        places[key], at = data, at + 8 + storage.size
    return made


def _persistent(
    pid: Any, bytes_of: Callable[[_Storage], memoryview], lazily: bool = False
) -> _Storage:
    """Return the storage of a persistent id ``('storage', type, key, location, count)``."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
        raise DataError(f"expected a storage, got {pid!r:.40}")
    kind, key, count = pid[1], pid[2], pid[4]
    if type(kind) is not _Kind or type(key) is not str or type(count) is not int or count < 0:
        raise DataError(f"expected a storage, got {pid!r:.40}")
    storage = _Storage(key, kind.code, count, bytes_of)
    if not lazily and len(bytes_of(storage)) < storage.size:
        raise DataError(f"expected {storage.size} bytes in storage {key!r:.20}, got fewer")
    return storage


def _names(order: str) -> Callable[[str], Any]:
    """Return the table of what a pickle may name, for numbers of a byte order."""

    def rebuild_v2(storage: Any, offset: Any, size: Any, stride: Any, *more: Any) -> Stored:
        _check_metadata(more, 2)
        code = getattr(storage, "code", "f4")
        return _tensor(storage, offset, size, stride, code, order)

    def rebuild_v3(storage: Any, offset: Any, size: Any, stride: Any, *more: Any) -> Stored:
        _check_metadata(more, 3)
        if len(more) < 3 or type(more[2]) is not _Kind:
            raise DataError("expected the dtype of a tensor, got none")
        return _tensor(storage, offset, size, stride, more[2].code, order)

    known: dict[str, Any] = {
        "collections OrderedDict": lambda *pairs: dict(*pairs),
        "torch._utils _rebuild_tensor_v2": rebuild_v2,
        "torch._utils _rebuild_tensor_v3": rebuild_v3,
        "torch._utils _rebuild_parameter": lambda data, *more: data,
        "torch Size": lambda sizes=(): tuple(sizes),
        "torch.storage UntypedStorage": _Kind("u1"),
        **{f"torch {name}": _Kind(code) for name, code in {**_DTYPES, **_STORAGES}.items()},
    }

    def look_up(name: str) -> Any:
        if name not in known:
            raise DataError(
                f"expected a state_dict of tensors, got {name.replace(' ', '.', 1)!r:.100}, which "
                f"is not read; save it again: torch.save(model.state_dict(), path)"
            )
        return known[name]

    return look_up


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, code: str, order: str) -> Stored:
    """Return a view of a storage, which is read on demand."""
    if type(storage) is not _Storage:
        raise DataError(f"expected a tensor's storage, got {type(storage).__name__}")
    width = itemsize(code)
    _check_view(storage.size // width, offset, size, stride)

    def read() -> np.ndarray:
        kind = code if code == BF16 else order + code
        data = storage.bytes_of(storage)
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        used = data[offset * width : (last + 1) * width] if 0 not in size else data[:0]
        flat = numbers(used, kind)
        if 0 in size:
            return flat.reshape(size)
        steps = [s * flat.itemsize for s in stride]
        return np.lib.stride_tricks.as_strided(flat, size, steps, writeable=False)

    return Stored(tuple(size), read)


def _check_metadata(more: tuple[Any, ...], at: int) -> None:
    if len(more) > at and any(more[at:][1 if at == 3 else 0 :]):
        raise DataError("expected a plain tensor, got one with metadata")


def _check_view(count: int, offset: Any, size: Shape, stride: Shape) -> None:
    """Refuse a view that leaves its storage."""
    plain = [offset, *size, *stride]
    if any(type(n) is not int or n < 0 for n in plain) or len(size) != len(stride):
        raise DataError(f"expected sizes and strides of a tensor, got {size} and {stride}")
    if len(size) > 32:
        raise DataError(f"expected a tensor of at most 32 axes, got {len(size)}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= count:
        raise DataError(f"expected a tensor within {count} numbers, got one that ends at {last}")
