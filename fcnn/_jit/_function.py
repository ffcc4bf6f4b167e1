"""`jit`: the same function, recorded once and replayed."""

from __future__ import annotations

import functools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from fcnn._jit._errors import DeviationError
from fcnn._jit._leaves import flattened, is_supported, key_of
from fcnn._jit._plan import Plan, first_difference, record
from fcnn._jit._report import Report
from fcnn._jit._results import differences
from fcnn._jit._unseen import unseen
from fcnn._ops.memory import RECORDING
from fcnn.errors import ArgumentError, TraceError

P = ParamSpec("P")
R = TypeVar("R")

PLANS = 16
"""The most signatures of a function; the one that was not used for longest goes first."""
BYTES = 1 << 29
"""The most memory of a function's plans, an arena of each; one plan may take more."""
PATHS = 2
"""Plans of one signature, whose calls were decided otherwise by values; the last used first."""
DEVIATIONS = 4
"""Calls that take none of the plans' paths before theirs is recorded."""
FORGIVEN = 8
"""Replays that make up for one such call: what is rare is not worth a recording."""
RECORDINGS = 8
"""Recordings for one signature; where most calls take other paths still, it runs unrecorded."""


class _Slot:
    """What is known for a signature: its plans, or that there are none."""

    def __init__(self) -> None:
        self.plans: tuple[Plan, ...] = ()
        self.calls = self.deviations = self.recordings = 0
        self.is_given_up = False
        self.lock = threading.RLock()

    @property
    def plan(self) -> Plan | None:
        """The plan that was used last."""
        return self.plans[0] if self.plans else None

    @property
    def bytes(self) -> int:
        """What its plans hold."""
        return sum(plan.bytes for plan in self.plans)

    def put_first(self, plan: Plan) -> None:
        """Keep a plan, and try it first from now on."""
        with self.lock:
            others = [each for each in self.plans if each is not plan]
            self.plans = (plan, *others[: PATHS - 1])


class Jitted(Generic[P, R]):
    """A function that is recorded on a call with each signature, and then replayed.

    Args:
        function: the function.
        skip: how many calls run before signatures are looked at.
        after: how many calls with a signature run unrecorded then, before it is recorded.
        quiet: run the function where it cannot be recorded, with one warning, instead of raising.
        is_own: the function is of this library throughout, and surely does with arrays what the
            recorder sees: a replay is compared with it for each argument once, not again.
        name: gives the function's name in warnings; its repr if None.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        skip: int = 0,
        after: int = 0,
        quiet: bool = False,
        is_own: bool = False,
        name: Callable[[], str] | None = None,
    ) -> None:
        self._function, self._after, self._quiet, self._is_own = function, after, quiet, is_own
        self._skip = self._to_skip = skip
        self._name = name or functools.partial(repr, function)
        self._is_given_up = False
        self._slots: OrderedDict[Any, _Slot] = OrderedDict()
        self._last: tuple[Any, _Slot | None] = None, None  # the most recent, found without a lock
        self._lock = threading.Lock()
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns."""
        if self._to_skip or RECORDING.recorder is not None or self._is_given_up:
            self._to_skip = max(0, self._to_skip - 1)
            return self._function(*args, **kwargs)
        try:
            leaves, signature = flattened(args, kwargs)
            key = key_of(signature)
        except ArgumentError:
            if not self._quiet:
                raise
            return self._function(*args, **kwargs)
        last, slot = self._last
        if slot is None or last != key:
            slot = self._slot(key)
            self._last = key, slot
        plans = slot.plans
        if not plans:
            return self._first(slot, args, kwargs, leaves)
        for plan in plans:
            is_due = not self._is_own and plan.is_due()
            new = plan.is_new(leaves) if plan.has_unseen else []
            try:
                result: R = plan(leaves)
            except DeviationError:
                continue
            if plan is not plans[0]:
                slot.put_first(plan)
            if slot.deviations:
                slot.deviations -= 1
            if new or is_due:
                return self._compared(slot, plan, args, kwargs, leaves, new, result)
            return result
        for plan in plans:
            plan.release()
        # Outside the handler, so that what the function raises has no other error as its context.
        return self._noted(slot, args, kwargs, leaves, self._function(*args, **kwargs))

    def __repr__(self) -> str:
        return f"jit({self._function!r})"

    def __reduce__(self) -> Any:
        settings = self._skip, self._after, self._quiet, self._is_own, self._name
        return _made, (self._function, *settings)

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Return a report on the plan for these arguments: its calls, their time, its memory.

        Raises:
            TraceError: if they are not recorded, or their values take another path.
        """
        if self._is_given_up:
            raise TraceError(
                "expected a function that is recorded, got one that runs unrecorded, as a warning "
                "has said"
            )
        leaves, signature = flattened(args, kwargs)
        slot = self._slot(key_of(signature))
        if slot.plan is None:
            self._first(slot, args, kwargs, leaves)
        if slot.plan is None:
            raise TraceError(
                "expected arguments for which the function is recorded, got others, such as an "
                "array with gaps or of another byte order; pass copies of them"
            )
        try:
            return Report.of(slot.plan, leaves)
        except DeviationError:
            raise TraceError(
                "expected arguments whose values take the path that was recorded, got others; "
                "pass those of the first call"
            ) from None

    def _slot(self, key: Any) -> _Slot:
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slots[key] = _Slot()
                self._forget()
            else:
                self._slots.move_to_end(key)
            return slot

    def _forget(self) -> None:
        """Drop the plans that were not used for longest, until the rest is within the bounds."""
        total = sum(slot.bytes for slot in self._slots.values())
        while len(self._slots) > PLANS or (total > BYTES and len(self._slots) > 1):
            _, slot = self._slots.popitem(last=False)
            total -= slot.bytes

    def _first(self, slot: _Slot, args: Any, kwargs: Any, leaves: list[Any]) -> R:
        result = self._function(*args, **kwargs)
        slot.calls += 1
        if slot.is_given_up or slot.calls <= self._after:
            return result
        if not all(map(is_supported, leaves)):
            slot.is_given_up = True
            return result
        with slot.lock:
            if slot.plan is None and not self._is_given_up:
                self._record(slot, args, kwargs, leaves, result)
        return result

    def _record(self, slot: _Slot, args: Any, kwargs: Any, leaves: list[Any], result: R) -> None:
        slot.recordings += 1
        if slot.recordings > RECORDINGS:
            slot.is_given_up, slot.plans = True, ()
            return
        try:
            program = record(self._function, (args, kwargs), leaves, result)
            plan = Plan(program, leaves)
            if differences(result, plan(leaves)):
                self._give_up(slot, args, kwargs, leaves, result, plan)
                return
        except Exception as error:  # whatever the function does not do with plain arrays
            reason = error if isinstance(error, TraceError) else _unforeseen(error)
            if not self._quiet:
                raise reason from error.__cause__
            self._leave(str(reason))
            return
        slot.put_first(plan)
        with self._lock:
            self._forget()

    def _compared(
        self,
        slot: _Slot,
        plan: Plan,
        args: Any,
        kwargs: Any,
        leaves: list[Any],
        new: list[int],
        replayed: R,
    ) -> R:
        """Run the function too, and compare the bits."""
        plan.release()
        result = self._function(*args, **kwargs)
        if differences(result, replayed):
            self._give_up(slot, args, kwargs, leaves, result, plan)
        else:
            plan.saw(new)
        return result

    def _noted(self, slot: _Slot, args: Any, kwargs: Any, leaves: list[Any], result: R) -> R:
        """Count a call whose values took a path of no plan; record it if there are many."""
        with slot.lock:
            slot.deviations += FORGIVEN if slot.recordings < RECORDINGS else 1
            if slot.deviations >= DEVIATIONS * FORGIVEN:
                for plan in slot.plans:
                    plan.release()
                slot.deviations = 0
                self._record(slot, args, kwargs, leaves, result)
        return result

    def _give_up(
        self, slot: _Slot, args: Any, kwargs: Any, leaves: list[Any], result: R, plan: Plan
    ) -> None:
        slot.plans = ()
        call = first_difference(self._function, (args, kwargs), leaves, result, plan.program)
        where = "its result" if call is None else f"the result of {call.name} in {call.place}"
        makers = unseen(lambda: self._function(*args, **kwargs))
        cause = (
            f"the recorder does not see the array of {', or of '.join(makers)}: make it with "
            f"np.empty_like or np.zeros_like of an argument"
            if makers
            else "the function reads something that is no argument and has changed"
        )
        self._leave(f"a replay differs from the function, first in {where}; {cause}")

    def _leave(self, reason: str) -> None:
        """Run the function unrecorded from now on, and say so once."""
        with self._lock:
            if self._is_given_up:  # another thread has said so
                return
            self._is_given_up = True
            self._slots.clear()
            self._last = None, None
        hint = "; jit=False leaves this warning out" if self._quiet else ""
        warnings.warn(f"{self._name()} runs unrecorded: {reason}{hint}", stacklevel=5)


def _made(
    function: Callable[P, R],
    skip: int,
    after: int,
    quiet: bool,
    is_own: bool,
    name: Callable[[], str],
) -> Jitted[P, R]:
    return Jitted(function, skip=skip, after=after, quiet=quiet, is_own=is_own, name=name)


def _unforeseen(error: Exception) -> TraceError:
    made = TraceError(
        f"expected a function that does the same with arrays that are recorded, got "
        f"{type(error).__name__}: {error}"
    )
    made.__cause__ = error
    return made


def jit(function: Callable[P, R]) -> Jitted[P, R]:
    """Return the same function, which records its NumPy calls once and then replays them.

    The function must be pure, of trees of arrays, keys and contexts. The first call with given
    shapes, dtypes and tree structure records the calls to NumPy; later ones make the same calls
    one after the other, with memory that is planned by lifetimes and without the Python between
    them. The bits are those of the function.

    * Arrays and keys are arguments, and so are the counts and rates in an optimizer's state (see
      `fcnn.tree.number`): a whole training step is recorded once, a schedule is called anew. All
      other values (numbers, strings, functions, layers) are part of the signature: a new one is
      recorded again. Pass a number that changes as an array; `fold_in` and schedules take a step
      number as one, ``np.asarray(step)``. Keys may be results, too.
    * What depends on the values of an array in Python (``if x > 0``, ``float(x)``) raises an
      error that names the line. Layers and losses of fcnn, which do look at values (for NaN, or
      for labels out of range), are compared on each call; where they decide otherwise than when
      they were recorded, the function itself runs, and raises its errors. If that happens often,
      the other way is recorded, too.
    * With ``functools.partial(model.apply, params)`` the params are constants, and what is
      computed of them alone is computed once.
    * Results are the caller's own. A plan holds memory for its temporary arrays, one for each
      thread that replays it at the time; those of at most 16 signatures, and 512 MiB, are kept.
    * The first call with other values of an argument also runs the function, and compares the
      bits; so do the first four replays, the 8th, the 16th and so on. A plan that differs is
      thrown away with a warning, and the function runs unrecorded: a function of your own may make
      an array with ``np.empty`` or ``np.asarray``, which the recorder cannot see.

    ``print(jit(f).plan(*args))`` shows where the time goes.

    Raises:
        ArgumentError: if ``function`` is not callable; from the result, if an argument is
            neither a tree nor hashable.
        TraceError: from the result, if a call cannot be recorded.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten, fcnn.dense(2))
    >>> params, _ = model.init(fcnn.key(0), (8, 8, 1))
    >>> f, x = fcnn.jit(model.apply), np.ones((1, 8, 8, 1), np.float32)
    >>> np.array_equal(f(params, x), model.apply(params, x))
    True

    Source: JAX's ``jit``, https://docs.jax.dev/en/latest/jit-compilation.html; planning of memory
    by lifetimes: Y. Pisarchyk and J. Lee, "Efficient memory management for deep neural net
    inference", 2020, https://arxiv.org/abs/2001.03288.
    """
    if not callable(function):
        raise ArgumentError(f"expected a function for jit, got {function!r}")
    return Jitted(function)
