"""A plan: one recording of a function for arguments of one signature, and its replays."""

from __future__ import annotations

import contextlib
import itertools
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._jit._arrays import digest_of
from fcnn._jit._errors import DeviationError
from fcnn._jit._leaves import replaced
from fcnn._jit._program import Call, Program
from fcnn._jit._recorder import BASE, Recorder
from fcnn._jit._spans import Owner
from fcnn._ops.memory import RECORDING, give_back_freed_memory
from fcnn._typing import Array
from fcnn.prng import Key


def record(
    function: Callable[..., Any], args: Any, leaves: list[Any], result: Any, digests: bool = False
) -> Program:
    """Run a function with traced arguments; return the program of its calls.

    Args:
        function: the function.
        args: its positional arguments and its keyword arguments, as a pair.
        leaves: their arrays and keys.
        result: what the function returned for them.
        digests: note a digest of what each call wrote.

    Raises:
        TraceError: if a call cannot be recorded, or the function returned something else.
    """
    recorder = Recorder(digests)
    inputs: dict[int, Owner] = {}
    numbers = iter(range(len(leaves)))
    kept = []

    def replace(leaf: Any) -> Any:
        i = next(numbers)
        if isinstance(leaf, Key):
            return recorder.key(leaf, i)
        copied = leaf.copy("K")
        kept.append(copied)
        traced, inputs[i] = recorder.argument(copied, leaf.flags.writeable)
        return traced

    positional, keywords = replaced(args, replace)
    with np.errstate(all=BASE, call=_nothing):
        RECORDING.recorder = recorder
        try:
            traced = function(*positional, **keywords)
        finally:
            RECORDING.recorder = None
    try:
        return Program(recorder, inputs, len(leaves), result, traced)
    finally:
        recorder.forget()


def _nothing(*_: Any) -> None:
    """Take no notice of a floating-point error."""


LARGE = 16 << 20
"""Bytes of an arena that is not held while the function itself runs: it needs as much."""
COMPARED = 4
"""Calls that are compared with the function in any case; later the 8th, the 16th and so on."""
PATIENCE = 64
"""Calls on which arguments of equal values are compared with those that were recorded."""


class Plan:
    """A program with the arenas that are free, and what it has not been compared on yet.

    Every array argument is compared once: on the first call where it differs from what it was
    when the function was recorded, the function runs too, and the bits of both are compared. By
    chance a result may be the same, such as an accuracy, so some calls are compared anyway.
    """

    def __init__(self, program: Program, leaves: list[Any]) -> None:
        self.program = program
        self._free: list[Callable[[list[Any]], Any]] = []
        self._bound = self._calls = 0
        self._patience = PATIENCE
        self._unseen = {i: (weakref.ref(leaf), _digest(leaf)) for i, leaf in enumerate(leaves)}

    def __call__(self, leaves: list[Any]) -> Any:
        """Replay.

        Raises:
            DeviationError: if the values take another path.
        """
        try:
            replay = self._free.pop()
        except IndexError:
            replay = self.program.bind()
            self._bound += 1
            if self.is_large:  # it takes pages of its own as it is written to
                give_back_freed_memory()
        try:
            return replay(leaves)
        finally:
            self._free.append(replay)

    def release(self) -> None:
        """Give up the arenas that are free, if they are large; the next replay makes one anew."""
        if not self.is_large:
            return
        with contextlib.suppress(IndexError):
            while True:
                self._free.pop()
                self._bound -= 1

    def is_new(self, leaves: list[Any]) -> list[int]:
        """Return the numbers of the arguments that differ for the first time.

        A caller may write to an array and pass it again, so that an array is compared even if it
        is the one that was recorded; after some calls only others are.
        """
        unseen = self._unseen  # which another thread may replace meanwhile
        if self._patience > 0:
            self._patience -= 1
            others = list(unseen)
        else:
            others = [i for i, (leaf, _) in unseen.items() if leaves[i] is not leaf()]
            if not others:
                return others
        new = [i for i in others if _digest(leaves[i]) != unseen[i][1]]
        if self._patience <= 0 and not new:
            self._unseen = {i: each for i, each in unseen.items() if leaves[i] is each[0]()}
        return new

    def is_due(self) -> bool:
        """Count a call; return whether it shall be compared in any case."""
        self._calls += 1
        return self._calls <= COMPARED or self._calls & (self._calls - 1) == 0

    @property
    def is_large(self) -> bool:
        """Whether the arena is not held while the function itself runs."""
        return self.program.arena >= LARGE

    @property
    def has_unseen(self) -> bool:
        """Whether there are arguments that have not differed yet."""
        return bool(self._unseen)

    @property
    def bytes(self) -> int:
        """What the plan holds: its constants, and an arena for each thread that used it at once."""
        return self.program.constant_bytes + max(1, self._bound) * self.program.arena

    def saw(self, numbers: list[int]) -> None:
        """Note that a replay with other values of these arguments had the right bits."""
        self._unseen = {i: each for i, each in self._unseen.items() if i not in numbers}

    def times(self, leaves: list[Any], repeats: int = 5) -> list[float]:
        """Return the shortest time of each call in seconds, of a few replays."""
        ends: list[float] = []
        replay = self.program.bind(lambda number, written: ends.append(time.perf_counter()))
        least = [float("inf")] * len(self.program.calls)
        for _ in range(repeats):
            ends.clear()
            ends.append(time.perf_counter())
            replay(leaves)
            spent = [b - a for a, b in itertools.pairwise(ends)]
            least = [min(pair) for pair in zip(least, spent, strict=True)]
        return least


def _digest(leaf: Any) -> Any:
    """Return what tells an array from others of its shape and dtype; a key does so itself."""
    return leaf if isinstance(leaf, Key) else digest_of([leaf])


def first_difference(
    function: Callable[..., Any], args: Any, leaves: list[Any], result: Any, program: Program
) -> Call | None:
    """Return the first call of a program that writes something else than the function does."""
    try:
        right = record(function, args, leaves, result, digests=True)
    except Exception:
        return None
    found: list[bytes] = []

    def probe(number: int, written: tuple[Array, ...]) -> None:
        found.append(digest_of(written))

    try:
        program.bind(probe)(leaves)
    except DeviationError:
        return None
    for call, digest, of in zip(program.calls, found, right.calls, strict=False):
        if call[:3] != of[:3] or digest != of.digest:
            return call
    return None
