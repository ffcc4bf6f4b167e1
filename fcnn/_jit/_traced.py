"""Arrays and keys that report what is done with them to a recorder."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from fcnn._jit._errors import caller, line_of
from fcnn._jit._op import Way
from fcnn._typing import Array
from fcnn.errors import TraceError
from fcnn.prng import Key

if TYPE_CHECKING:
    from fcnn._jit._recorder import Recorder


def plain(value: Any) -> Any:
    """Return a traced array as a NumPy array, what is in a tuple, list or dict likewise."""
    if isinstance(value, Traced):
        return value.view(np.ndarray)
    cls = type(value)
    if cls is tuple:
        return tuple([plain(each) for each in value])
    if cls is list:
        return [plain(each) for each in value]
    if cls is dict:
        return {name: plain(each) for name, each in value.items()} if value else value
    return value


def refuse(what: str) -> NoReturn:
    """Refuse what needs the values of a traced array, or cannot be recorded."""
    raise TraceError(
        f"expected a function whose NumPy calls do not depend on values, got {what} of an array "
        f"that is being recorded, in {line_of(caller())}; compute with arrays (np.where, "
        f"np.maximum), or call the function without jit"
    )


class Traced(np.ndarray):
    """An array whose NumPy calls are recorded; each recording has a class of its own."""

    recorder: ClassVar[Recorder]
    is_number: ClassVar[bool] = False
    """Whether it stands for a Python number, whose precision gives way to that of arrays."""

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        return self.recorder.ufunc(ufunc, method, inputs, out, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.recorder.function(self, func, types, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.recorder.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.recorder.set(self, key, value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        return self.recorder.reshaped(self, plain(self).reshape(*shape, **kwargs), kwargs)

    def ravel(self, order: Any = "C") -> Any:
        return self.recorder.reshaped(self, plain(self).ravel(order), {"order": order})

    def flatten(self, order: Any = "C") -> Any:
        return self.recorder.copied(self, plain(self).flatten(order), order)

    def copy(self, order: Any = "C") -> Any:
        return self.recorder.cast(self, plain(self).copy(order))

    def __copy__(self) -> Any:
        return self.copy("K")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy("K")

    def astype(  # type: ignore[override]
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = True,
        copy: bool = True,
    ) -> Any:  # fmt: skip
        result = plain(self).astype(dtype, order, casting, True, copy)
        return self if result.base is not None else self.recorder.cast(self, result)

    def fill(self, value: Any) -> None:
        self[...] = value

    def put(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse("put()")


def _refusing(name: str) -> Callable[..., NoReturn]:
    def method(self: Traced, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(f"{name.strip('_')}()")

    return method


def _calling(name: str) -> Callable[..., Any]:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        return self.recorder.host(getattr(np.ndarray, name), (self, *args), kwargs)

    return method


def _functional(name: str) -> Callable[..., Any]:
    """Return an in-place operator that makes a new array of no axes, as of a NumPy number."""
    in_place = getattr(np.ndarray, f"__i{name}__")
    other = getattr(operator, f"__{name}__")

    def method(self: Traced, value: Any) -> Any:
        return in_place(self, value) if self.ndim else other(self, value)

    return method


for _name in (
    "__bool__", "__float__", "__int__", "__index__", "__complex__", "__contains__", "__reduce__",
    "__reduce_ex__", "item", "tolist", "tobytes", "tofile", "dump", "dumps", "partition", "sort",
    "resize", "setfield", "byteswap",
):  # fmt: skip
    setattr(Traced, _name, _refusing(_name))
for _name in (
    "take", "repeat", "argmax", "argmin", "argsort", "argpartition", "cumsum", "cumprod", "round",
    "dot", "compress", "choose", "trace", "searchsorted", "nonzero", "conj", "conjugate",
):  # fmt: skip
    setattr(Traced, _name, _calling(_name))
for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    setattr(Traced, f"__i{_name}__", _functional(_name))


class TracedKey(Key):
    """A key whose draws are recorded: the key of an argument, and the path taken from it."""

    __slots__ = ()
    recorder: ClassVar[Recorder]
    argument: ClassVar[int | None]
    taken: ClassVar[int]

    def generator(self) -> NoReturn:
        refuse("a generator")

    def way(self) -> Way:
        """Return the argument, if it is of one, and the path to this key."""
        path = [i.array if type(i) is Entry else i for i in self.path[self.taken :]]
        return Way(self.argument, self.seed, tuple(path))


class Entry(int):
    """An entry of a key's path that is computed: its value now, and the array that holds it."""

    array: Array
