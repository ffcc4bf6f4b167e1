"""The recorder: what is called with traced arrays, as operations on memory.

An operation holds plain arrays: parts of the memory of the arguments, of results, or constants.
They lie where they lay when the function ran; `fcnn._jit._program` puts others in their place.
"""

from __future__ import annotations

import functools
import operator
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal

import attrs
import numpy as np

from fcnn._jit._arrays import as_view, digest_of, is_basic, is_same
from fcnn._jit._errors import caller, line_of
from fcnn._jit._op import Op, Way
from fcnn._jit._spans import Owner, Place, at, copy_of, owner_of, place_in
from fcnn._jit._traced import Entry, Traced, TracedKey, plain, refuse
from fcnn._ops.memory import RECORDING
from fcnn._typing import Array
from fcnn.errors import ArgumentError, TraceError
from fcnn.prng import Key
from fcnn.tree._structure import rebuild

BASE: Literal["call"] = "call"
"""The error state outside of any `numpy.errstate` of the function: it tells the two apart."""

_OF_SHAPES = {
    np.shape, np.ndim, np.size, np.may_share_memory, np.shares_memory, np.result_type,
    np.can_cast, np.min_scalar_type, np.iscomplexobj, np.isrealobj, np.common_type,
}  # fmt: skip
_MADE_OF_OTHERS = {
    np.sum, np.mean, np.var, np.std, np.clip, np.stack, np.any, np.all, np.max, np.min, np.amax,
    np.amin, np.prod, np.zeros_like, np.ones_like, np.full_like, np.take_along_axis,
    np.put_along_axis,
}  # fmt: skip
_IN_PLACE = {np.put, np.place, np.putmask, np.fill_diagonal}
_WITH_OUT = {np.concatenate, np.einsum, np.dot}


def _of_arrays(function: Any) -> Any:
    """Return a function of numbers as one of arrays without axes."""

    @functools.wraps(function)
    def of_arrays(*given: Any) -> Any:
        numbers = [each.item() if isinstance(each, np.ndarray) else each for each in given]
        made = function(*numbers)
        return tuple(map(np.asarray, made)) if type(made) is tuple else np.asarray(made)

    return of_arrays


def _is_index(index: Callable[[Any], int], i: Any) -> bool:
    try:
        index(i)
    except ArgumentError:
        return False
    return True


class Recorder:
    """What is recorded of one run of a function; see `fcnn._ops.memory.Recorder`."""

    def __init__(self, digests: bool = False) -> None:
        self.ops: list[Op] = []
        self._owners: dict[int, tuple[Any, Owner]] = {}  # by the id of an array that is alive
        self.kind: Any = type("Traced", (Traced,), {"recorder": self})
        self.number_kind: Any = type("Traced", (Traced,), {"recorder": self, "is_number": True})
        self._digests = digests
        self._seen: dict[int, tuple[Array, Array]] = {}
        self._buffer = np.getbufsize()
        self._thread = threading.get_ident()

    def forget(self) -> None:
        """Let go of what was recorded: a class that refers to it lives until a collection."""
        self.ops.clear()
        self._owners.clear()
        self._seen.clear()

    # What arguments become.

    def argument(self, copied: Array, is_writeable: bool) -> tuple[Traced, Owner]:
        """Return a copy of an argument as a traced array, and its owner."""
        traced: Traced = self._own(copied)
        owner = self.owner_of(copied)
        owner.array = None
        traced.setflags(write=is_writeable)
        return traced, owner

    def owner_of(self, array: Array) -> Owner:
        """Return the owner of an array that is recorded."""
        return self._owners[id(owner_of(array))][1]

    def place_of(self, array: Array) -> Place:
        """Return where an array that is recorded lies."""
        return place_in(self.owner_of(array), array)

    def key(self, key: Key, number: int | None) -> TracedKey:
        """Return the key of an argument, or a constant one, as one whose draws are recorded."""
        taken = 0 if number is None else len(key.path)
        fields = {"recorder": self, "argument": number, "taken": taken, "__slots__": ()}
        kind: Any = type("TracedKey", (TracedKey,), fields)
        made: TracedKey = kind(key.seed, key.path)
        return made

    # What kernels ask for: `fcnn._ops.memory.Recorder`.

    def allocated(self, made: Array, value: Any = None) -> Array:
        """Return a new array as one that is recorded; ``value`` is what it was filled with."""
        traced: Array = self._own(made)
        if value is not None and made.size:
            self._record("copy", None, (np.asarray(value, made.dtype),), (made,))
        return traced

    def converted(self, given: Any, dtype: Any, order: str, copy: bool) -> Array:
        """Return an array of this dtype and order."""
        if not isinstance(given, Traced):
            if copy:
                return np.array(given, dtype)
            found: Array = (np.ascontiguousarray if order == "C" else np.asarray)(given, dtype)
            return found
        same = dtype is None or given.dtype == dtype
        if same and not copy and (order == "K" or (given.flags.c_contiguous and given.ndim)):
            return given
        array = plain(given)
        if order == "C" and not array.ndim:
            array = array.reshape(1)
        made: Array = self.cast(array, array.astype(array.dtype if same else dtype, order))
        return made

    def decided(self, condition: Any) -> bool:
        """Return a truth value, which a replay compares."""
        value = bool(plain(condition))
        if isinstance(condition, Traced):
            self._record("guard", None, (condition,), (), expected=value)
        return value

    def held(self, condition: Any, arguments: tuple[Any, ...]) -> bool:
        """Return the truth value of a function of arrays, which a replay compares."""
        value = bool(condition(*plain(arguments)))
        if not arguments or any(isinstance(each, Traced) for each in arguments):
            self._record("guard", condition, arguments, (), expected=value)
        return value

    def unless(self, condition: Any, function: Any, arguments: tuple[Any, ...]) -> None:
        """Call a function that writes to its first argument, if a condition is false."""
        if not plain(condition):
            RECORDING.recorder = None  # a replay calls it as it is
            try:
                function(*plain(arguments))
            finally:
                RECORDING.recorder = self
        self._record("unless", function, (condition, *arguments), (plain(arguments[0]),))

    def number(self, value: Any) -> Any:
        """Return a recorded number of float64."""
        if not isinstance(value, Traced):
            return float(value)
        return self.cast(value, plain(value).astype(np.float64)).view(self.number_kind)

    def called(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the result of a function that is recorded as one call."""
        if not any(isinstance(each, Traced) for each in arguments):
            return function(*arguments)
        return self.host(function, arguments, {})

    def computed(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the numbers that a function of numbers gives, which is one call."""
        if not any(isinstance(each, Traced) for each in arguments):
            return function(*arguments)
        made = self.host(_of_arrays(function), arguments, {})
        several = isinstance(made, tuple)
        numbers = tuple([each.view(self.number_kind) for each in (made if several else (made,))])
        return numbers if several else numbers[0]

    def drawn(self, draw: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a draw from a traced key."""
        key, *rest = (kwargs.pop("key"), *args) if "key" in kwargs else args
        way = key.way()
        made = draw(Key(key.seed, key.path), *rest, **kwargs)
        traced = self._own(made)
        self._record("host", draw, (way, *rest), (made,), kwargs)
        return traced

    def entered(self, key: Key, kind: int, i: Any, index: Callable[[Any], int]) -> Key:
        """Return the key below another one whose entry is recorded; ``index`` checks that."""
        entry = Entry(index(plain(i)))
        entry.array = i
        self.held(functools.partial(_is_index, index), (i,))
        below = key if isinstance(key, TracedKey) else self.key(key, None)
        made: Key = type(below)(key.seed, (*key.path, kind, entry))
        return made

    # What NumPy calls.

    def ufunc(
        self, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], out: Any, kwargs: Any
    ) -> Any:
        """Run a ufunc or one of its methods, and record it."""
        if method == "at":
            if not isinstance(inputs[0], Traced):
                self._lost(ufunc.at)
            ufunc.at(*plain(inputs))
            return self._record("in place", ufunc.at, inputs, (plain(inputs[0]),))
        inputs, are_numbers = self._with_numbers(inputs)
        if are_numbers and ufunc is np.power:  # of which NumPy's may differ in the last bit
            return self.computed(operator.pow, inputs)
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        kwargs = {name: value for name, value in kwargs.items() if name != "subok"}
        if out is not None:
            targets = tuple([self._target(each, function) for each in out])
            to = targets if method == "__call__" else targets[0]
            function(*plain(inputs), out=to, **plain(kwargs))
            self._record("out", function, inputs, targets, kwargs)
            return out[0] if len(out) == 1 else out
        result = function(*plain(inputs), **plain(kwargs))
        kwargs.pop("order", None)
        several = isinstance(result, tuple)
        made = tuple([np.asarray(each) for each in (result if several else (result,))])
        traced = [self._own(each) for each in made]
        self._record("out", function, inputs, made, kwargs)
        if are_numbers and made[0].dtype in (np.float64, np.int64):
            return traced[0].view(self.number_kind)
        return tuple(traced) if several else traced[0]

    def function(self, first: Any, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Run another function of NumPy, and record it."""
        if func in _OF_SHAPES:
            return func(*plain(args), **plain(kwargs))
        if func is np.copyto:
            return self._copyto(*args, **kwargs)
        if func is np.empty_like:
            kwargs = {"subok": False, **kwargs}
            return self.allocated(func(*plain(args), **kwargs))
        if func in _MADE_OF_OTHERS and kwargs.get("where", True) is True:
            return np.ndarray.__array_function__(first, func, types, args, kwargs)
        if func in _IN_PLACE:
            refuse(f"np.{func.__name__}()")
        if func in _WITH_OUT and not {"optimize", "casting", "dtype"} & set(kwargs):
            return self._with_out(func, args, dict(kwargs))
        if "out" in kwargs and kwargs["out"] is not None:
            refuse(f"np.{func.__name__}(out=)")
        return self.host(func, args, kwargs)

    def host(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Call a function that returns arrays: views of its arguments, or new ones."""
        result = function(*plain(tuple(args)), **plain(kwargs))
        several = isinstance(result, tuple | list)
        each = list(result) if several else [result]
        if not all(isinstance(one, np.ndarray | np.generic) for one in each):
            refuse(f"{getattr(function, '__name__', function)}()")
        made = [np.asarray(one) for one in each]
        known = [self.is_known(one) for one in made]
        if any(known) and not all(known):
            refuse(f"{getattr(function, '__name__', function)}()")
        traced = [self._own(one) for one in made]
        if not all(known):
            self._record("host", function, tuple(args), tuple(made), kwargs)
        return rebuild(type(result), (), traced) if several else traced[0]

    # What the methods of a traced array call.

    def get(self, array: Traced, key: Any) -> Any:
        """Return ``array[key]``: a view, or a recorded copy."""
        if not is_basic(key):
            return self.host(operator.getitem, (array, key), {})
        found = plain(array)[key]
        if not isinstance(found, np.ndarray):
            found = plain(array)[as_view(key)]
        return found.view(self.kind)

    def set(self, array: Traced, key: Any, value: Any) -> None:
        """Do ``array[key] = value``."""
        target = plain(array)
        if not is_basic(key):
            target[plain(key)] = plain(value)
            self._record("in place", operator.setitem, (array, key, value), (target,))
            return
        part = target[as_view(key)]
        if isinstance(value, np.ndarray) and is_same(part, plain(value)):
            return
        self._copyto(part.view(self.kind), value, casting="unsafe")

    def reshaped(self, array: Traced, result: Array, kwargs: dict[str, Any]) -> Any:
        """Return a view in another shape, or record the copy."""
        if not result.size or owner_of(result) is owner_of(plain(array)):
            return self._own(result)
        return self.copied(array, result, kwargs.get("order", "C"))

    def copied(self, array: Traced, result: Array, order: Any) -> Any:
        """Record the copy of an array into one of another shape."""
        traced = self._own(result)
        if order != "C":
            if result.ndim == 1:
                self._record("host", np.ndarray.ravel, (array, order), (result,))
            else:
                given = (array, *result.shape)
                self._record("host", np.ndarray.reshape, given, (result,), {"order": order})
            return traced
        self._record("copy", None, (array,), (result.reshape(array.shape),))
        return traced

    def cast(self, array: Array, result: Array) -> Any:
        """Record the copy of an array into one of another dtype or order."""
        traced = self._own(result)
        self._record("copy", None, (array,), (result,), {"casting": "unsafe"})
        return traced

    # Bookkeeping.

    def is_known(self, array: Array) -> bool:
        """Whether an array is part of the memory that is recorded."""
        return id(owner_of(array)) in self._owners

    def _own(self, made: Array) -> Any:
        base = owner_of(made)
        number = id(base)
        if number not in self._owners:
            alive = weakref.ref(base, lambda _: self._owners.pop(number, None))
            self._owners[number] = alive, Owner.of(base)
        return plain(made).view(self.kind)

    def _copyto(
        self, target: Any, source: Any, casting: str = "same_kind", where: Any = True
    ) -> None:
        to = self._target(target, np.copyto)
        np.copyto(to, plain(source), casting=casting, where=plain(where))  # type: ignore[arg-type]
        if not isinstance(source, np.ndarray):
            source = np.asarray(source)
            source = source.astype(to.dtype) if source.dtype.kind not in "OUS" else source
        kwargs: dict[str, Any] = {} if casting == "same_kind" else {"casting": casting}
        if where is not True:
            kwargs["where"] = where
        self._record("copy", None, (source,), (to,), kwargs)

    def _with_out(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out", None)
        if out is None:
            made = np.asarray(func(*plain(args), **plain(kwargs)))
            kwargs.pop("order", None)
            traced = self._own(made)
        else:
            traced, made = out, self._target(out, func)
            func(*plain(args), out=made, **plain(kwargs))
        self._record("out", func, tuple(args), (made,), kwargs)
        return traced

    def _with_numbers(self, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
        """Give what stands for Python numbers the precision of the arrays beside them."""
        numbers = [isinstance(each, Traced) and each.is_number for each in inputs]
        if not any(numbers):
            return inputs, False
        others = [
            each for each, is_number in zip(inputs, numbers, strict=True)
            if isinstance(each, np.ndarray | np.generic) and not is_number
        ]  # fmt: skip
        if not others:
            return inputs, True
        dtypes = [each.dtype for each in others]
        cast = [
            each.view(self.kind).astype(
                np.result_type(*dtypes, each.dtype.type(0).item()), copy=False
            ) if is_number else each
            for each, is_number in zip(inputs, numbers, strict=True)
        ]  # fmt: skip
        return tuple(cast), False

    def _target(self, out: Any, function: Any) -> Array:
        if not isinstance(out, np.ndarray) or not self.is_known(out):
            self._lost(function)
        target: Array = plain(out)
        return target

    def _lost(self, function: Any) -> None:
        raise TraceError(
            f"expected {getattr(function, '__name__', function)} to write to an array that is "
            f"recorded, got one made by NumPy in {line_of(caller())}; make it with np.empty_like "
            f"or np.zeros_like of an argument, or compute without out="
        )

    def _constant(self, array: Array) -> Array:
        """Return a copy of an array that is not recorded, as it is now."""
        base = owner_of(array)
        now = copy_of(base)
        known, copied = self._seen.get(id(base), (None, now))
        if known is None or copied.tobytes() != now.tobytes():
            copied = now
            self._seen[id(base)] = base, copied
        return at(place_in(Owner.of(base), array), copied)

    def _record(
        self,
        style: str,
        function: Any,
        args: tuple[Any, ...],
        outs: tuple[Array, ...],
        kwargs: dict[str, Any] | None = None,
        expected: bool = True,
    ) -> None:
        if threading.get_ident() != self._thread:
            refuse("a call in another thread")
        operands: list[Any] = []
        args, kwargs = self._settled(args, operands), self._settled(kwargs or {}, operands)
        state = np.geterr()
        differs = tuple([(name, str(how)) for name, how in state.items() if how != BASE])
        size = np.getbufsize()
        op = Op(
            style, function, args, kwargs, tuple([self.place_of(each) for each in outs]),
            tuple(operands), expected, caller(), (differs, size if size != self._buffer else 0),
        )  # fmt: skip
        if style != "guard" and any(each.owner.array is None for each in op.reads()):
            for each in op.outs:  # it depends on an argument: its memory need not be kept
                each.owner.array = None
        if self._digests:
            op.digest = digest_of(outs)
        self.ops.append(op)

    def _settled(self, value: Any, operands: list[Any]) -> Any:
        """Return arguments with places for arrays, or constants where they are not recorded.

        These are added to ``operands``.
        """
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            known = self._owners.get(id(owner_of(array)))
            operand = self._constant(array) if known is None else place_in(known[1], array)
            operands.append(operand)
            return operand
        if type(value) is tuple:
            return tuple([self._settled(each, operands) for each in value])
        if type(value) is Way:
            return attrs.evolve(value, path=self._settled(value.path, operands))
        if type(value) is list:
            return [self._settled(each, operands) for each in value]
        if type(value) is dict:
            return {name: self._settled(each, operands) for name, each in value.items()}
        return value
