"""Recorded operations as a flat Python function, bound to memory that is planned by lifetimes.

An array of an operation lies in the memory of one owner, and each owner has one home:

* an argument: a view of the caller's array, or a small one copied into the arena, where its views
  need not be made anew on each call;
* a result: new memory on each call, or a small one copied out of the arena;
* a constant: where it is;
* all others: the arena.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from fcnn._jit._errors import line_of
from fcnn._jit._op import Op, Way
from fcnn._jit._passes import (
    Arena,
    Node,
    arena_of,
    nodes_of,
    without_constant,
    without_unused,
)
from fcnn._jit._recorder import Recorder
from fcnn._jit._results import expression, read_only
from fcnn._jit._spans import Owner, Place, aligned, at, in_memory_order, owner_of
from fcnn._jit._traced import plain
from fcnn._jit._write import call, settings
from fcnn._typing import Array
from fcnn.prng import Key

VIEW, COPY, SPEED = 250, 150, 16  # ns for a view, ns for a copy, bytes that are copied in a ns
SMALL = 1 << 14  # bytes of a result that is copied out of the arena

Probe = Callable[[int, tuple[Array, ...]], None]


class Call(NamedTuple):
    """A call as people see it."""

    name: str
    place: str
    shape: str
    digest: bytes

    @classmethod
    def of(cls, name: str, place: tuple[str, int], kind: Any, digest: bytes) -> Call:
        """Describe an operation; ``kind`` is the dtype and the shape of one of its arrays."""
        return cls(name, line_of(place), f"{kind[0]}{list(kind[1])}" if kind else "", digest)


def kind_of(op: Op) -> tuple[np.dtype[Any], tuple[int, ...]] | None:
    """Return the dtype and the shape of what an operation writes, or else reads."""
    return next(((each.dtype, each.shape) for each in (*op.outs, *op.operands)), None)


class Program:
    """The generated function, and what it is bound to.

    Args:
        recorder: what was recorded.
        inputs: the owner of each argument's recorded copy, by its number among the leaves.
        count: the number of leaves.
        result: what the function returned.
        traced: what it returned when it was recorded.
    """

    def __init__(
        self, recorder: Recorder, inputs: dict[int, Owner], count: int, result: Any, traced: Any
    ) -> None:
        self._recorder: Any = recorder
        self._leaf = {owner: i for i, owner in inputs.items()}
        self._count = count
        self._result, self._traced = result, traced
        self._names: dict[str, Any] = {}
        self._constants: dict[int, str] = {}
        self._kept: dict[Any, str] = {}
        self._places: dict[Place, str] = {}
        self._static: dict[str, Place] = {}
        self._memories: dict[Owner, Array] = {}
        self._equal: dict[bytes, Array] = {}
        ends = self._owners_of_results()
        nodes = nodes_of(recorder.ops)
        nodes, constant = without_constant(nodes, set(self._leaf))
        self.nodes = without_unused(nodes, ends)
        self._folded = constant | {i for i in ends if not self._is_written(i)}
        self._ends = ends
        self._choose_homes()
        self.source, self._probed = self._written()
        self._code: dict[bool, CodeType] = {}
        self.arena = self._arena.length
        bases = {
            id(owner_of(v)): owner_of(v) for v in self._names.values() if type(v) is np.ndarray
        }
        self.constant_bytes = sum(each.nbytes for each in bases.values())
        self.temporaries = sum(each.nbytes for each in self._arena.starts)
        self._called = [
            (op.name, op.place, kind_of(op), op.digest) for op in (node.op for node in self.nodes)
        ]
        del self._recorder, self.nodes, self._result, self._traced, self._leaf
        del self._folded, self._ends, self._copied, self._fresh, self._memories, self._equal
        del self._constants, self._kept, self._places, self._locals, self._lines

    @functools.cached_property
    def calls(self) -> list[Call]:
        """The calls in order."""
        return [Call.of(*each) for each in self._called]

    def bind(self, probe: Probe | None = None) -> Callable[[list[Any]], Any]:
        """Return the function ``leaves -> result`` with an arena of its own.

        ``probe(number, written)`` is called after each call.
        """
        probed = probe is not None
        if probed not in self._code:
            source = self._probed if probed else self.source
            self._code[probed] = compile(source, "<fcnn.jit>", "exec")
        memory = aligned(self.arena)
        scope = dict(self._names)
        for name, place in self._static.items():
            scope[name] = at(place, memory, self._arena.starts[place.owner])
        scope |= {"probe": probe, "errstate": np.errstate}
        exec(self._code[probed], scope)  # the source is made above, of names alone
        # Its globals do not hold it, so that its memory is freed with it, not by a collection.
        replay: Callable[[list[Any]], Any] = scope.pop("replay")
        return replay

    # Which owner has which home.

    def _owners_of_results(self) -> set[Owner]:
        found: set[Owner] = set()

        def leaf(result: Any, traced: Any) -> str:
            found.add(self._recorder.owner_of(plain(traced)))
            return "0"

        expression(self._result, self._traced, leaf, lambda value: "0")
        return found

    def _is_written(self, owner: Owner) -> bool:
        return owner in self._leaf or any(owner in node.writes for node in self.nodes)

    def _choose_homes(self) -> None:
        views: dict[Owner, set[Place]] = {}
        for node in self.nodes:
            for place in (*node.op.reads(), *node.op.outs):
                views.setdefault(place.owner, set()).add(place)
        self._copied = {i for i in self._leaf if self._is_copied(i, views.get(i, set()))}
        as_arrays: set[Owner] = set()
        self._leaves_of(as_arrays)
        self._fresh = {
            i for i in as_arrays - self._leaf.keys() - self._folded
            if i.nbytes > SMALL
        }  # fmt: skip
        away = (self._leaf.keys() - self._copied) | self._fresh | self._folded
        start = Op("copy", None, (), {}, ())
        before = Node(start, frozenset(), frozenset(self._copied))
        self._arena: Arena = arena_of([before, *self.nodes], away, self._ends)

    def _leaves_of(self, owners: set[Owner]) -> None:
        """Add the owners of results that are arrays."""

        def leaf(result: Any, traced: Any) -> str:
            if isinstance(result, np.ndarray):
                owners.add(self._recorder.owner_of(plain(traced)))
            return "0"

        expression(self._result, self._traced, leaf, lambda value: "0")

    def _is_copied(self, owner: Owner, places: set[Place]) -> bool:
        """Whether an argument is copied into the arena, to save the making of views."""
        if not places:
            return False
        count = len([each for each in places if each != owner.whole])
        return owner.axes is None or count * VIEW > COPY + owner.nbytes / SPEED

    # The source.

    def _written(self) -> tuple[str, str]:
        """Return the source, and the source with a probe after each call."""
        self._lines: list[str] = []
        probes: set[int] = set()
        self._indent = "    "
        self._locals: dict[Any, str] = {}
        given = ", ".join(f"a{i}" for i in range(self._count))
        self._line(f"{given}, = leaves" if given else "pass")
        for owner in sorted(self._copied, key=lambda i: self._leaf[i]):
            self._line(f"{self._name(np.copyto)}({self._at(owner.whole)}, a{self._leaf[owner]})")
        state: Any = ((), 0)
        for number, node in enumerate(self.nodes):
            for line in settings(state, node.op.state):
                self._indent = "    "
                self._line(line)
            if node.op.state != state:
                state = node.op.state
                self._indent = "    " if state == ((), 0) else "        "
                if state[1]:
                    self._line(f"{self._name(np.setbufsize)}({state[1]})")
            self._line(call(node.op, self._expression, self._name))
            outs = self._expression(node.op.outs)  # by names that the call has made
            probes.add(len(self._lines))
            self._line(f"probe({number}, {outs})")
        self._indent = "    "
        returned = expression(self._result, self._traced, self._returned, self._name)
        self._line(f"return {returned}")
        plain = [line for i, line in enumerate(self._lines) if i not in probes]
        return _function(plain), _function(self._lines)

    def _line(self, text: str) -> None:
        self._lines.append(self._indent + text)

    def _name(self, value: Any) -> str:
        """Return the name of a constant."""
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return repr(value)
        if type(value) is float and math.isfinite(value):
            return repr(value)
        name = self._constants.get(id(value))
        if name is None:
            label = getattr(value, "__name__", "c")
            label = label if label.isidentifier() else "c"
            name = f"{label}_{len(self._names)}"
            self._names[name] = value
            self._constants[id(value)] = name
        return name

    def _expression(self, value: Any) -> str:
        """Return the expression of an argument of a call."""
        if type(value) is Place:
            return self._array(value)
        if isinstance(value, Way):
            return value.expression(self._name(Key), self._expression)
        if type(value) is tuple:
            parts = "".join(f"{self._expression(each)}, " for each in value)
            return f"({parts})"
        if type(value) is list:
            return "[" + ", ".join([self._expression(each) for each in value]) + "]"
        return self._name(value)

    def _array(self, place: Place) -> str:
        return self._constant(place) if self._is_constant(place) else self._at(place)

    def _is_constant(self, place: Place) -> bool:
        return place.owner in self._folded or 0 in place.shape

    def _constant(self, place: Place) -> str:
        """Return the name of an array that does not depend on an argument, or is empty."""
        key = ("constant", place)
        if key not in self._kept:
            array = place.owner.array
            if array is None:
                self._kept[key] = self._name(np.empty(place.shape, place.dtype))
            else:
                memory = self._memory_of(place.owner, array)
                self._kept[key] = self._name(at(place, memory))
        return self._kept[key]

    def _memory_of(self, owner: Owner, array: Array) -> Array:
        """Return the bytes of a constant, one piece of memory for all that have the same."""
        memory = self._memories.get(owner)
        if memory is None:
            memory = np.empty(owner.nbytes, np.uint8)
            np.copyto(at(owner.whole, memory), array)
            memory = self._memories[owner] = self._equal.setdefault(memory.tobytes(), memory)
        return memory

    def _at(self, place: Place) -> str:
        if place.owner in self._leaf and place.owner not in self._copied:
            return self._view(place, *self._base_of_argument(place.owner))
        if place.owner in self._fresh:
            return self._view(place, *self._base_of_result(place.owner))
        name = self._places.get(place)
        if name is None:
            name = self._places[place] = f"s{len(self._static)}"
            self._static[name] = place
        return name

    def _base_of_argument(self, owner: Owner) -> tuple[str, str]:
        name, axes = f"a{self._leaf[owner]}", owner.axes
        if axes == tuple(range(len(owner.shape))):
            return name, name
        made = self._locals.get(owner)
        if made is None:
            made = self._locals[owner] = f"{name}t"
            self._line(f"{made} = {name}.transpose({axes})")
        return name, made

    def _base_of_result(self, owner: Owner) -> tuple[str, str]:
        made = self._locals.get(owner)
        is_whole = owner.axes == tuple(range(len(owner.shape)))
        if made is None:
            made = self._locals[owner] = f"r{len(self._locals)}"
            shape = owner.shape if is_whole else (owner.nbytes // owner.dtype.itemsize,)
            self._line(f"{made} = {self._name(np.empty)}({shape}, {self._dtype(owner.dtype)})")
        return (made if is_whole else ""), made

    def _view(self, place: Place, whole: str, base: str) -> str:
        """Return a view of an array that is there only on a call."""
        if whole and place == place.owner.whole:
            return whole
        name = self._locals.get(place)
        if name is None:
            name = self._locals[place] = f"v{len(self._locals)}"
            self._line(f"{name} = {self._new(place, base)}")
        return name

    def _new(self, place: Place, base: str) -> str:
        _, offset, shape, strides, dtype = place
        array = self._name(np.ndarray)
        return f"{array}({shape}, {self._dtype(dtype)}, {base}, {offset}, {strides})"

    def _dtype(self, dtype: np.dtype[Any]) -> str:
        key = ("dtype", dtype)
        if key not in self._kept:
            self._kept[key] = self._name(dtype)
        return self._kept[key]

    def _returned(self, result: Any, traced: Any) -> str:
        """Return the expression of a leaf of the result: of the caller's own."""
        place = self._recorder.place_of(plain(traced))
        if not isinstance(result, np.ndarray):
            found = self._array(place)
            return f"{found}[()]" if isinstance(result, np.generic) else f"{found}.item()"
        found = self._own(place)
        if result.flags.writeable:
            return found
        is_argument = found == f"a{self._leaf.get(place.owner)}"
        return f"{self._name(read_only)}({found}{'.view()' if is_argument else ''})"

    def _own(self, place: Place) -> str:
        if self._is_constant(place):
            return f"{self._constant(place)}.copy('K')"
        if place.owner in self._fresh:
            return self._at(place)
        if place.owner in self._leaf:
            return self._view(place, *self._base_of_argument(place.owner))
        if in_memory_order(place) == tuple(range(len(place.shape))):
            return f"{self._at(place)}.copy()"
        flat = Place(place.owner, 0, (place.owner.nbytes,), (1,), np.dtype(np.uint8))
        key = ("copy", place.owner)
        if key not in self._locals:
            self._locals[key] = f"k{len(self._locals)}"
            self._line(f"{self._locals[key]} = {self._at(flat)}.copy()")
        return self._new(place, self._locals[key])


def _function(lines: list[str]) -> str:
    return "\n".join(["def replay(leaves):", *lines, ""])
