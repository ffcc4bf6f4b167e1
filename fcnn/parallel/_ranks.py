"""The executor and engine of `fcnn.parallel.mpi`: the ranks of a communicator of MPI.

A call is a few collective operations in which all ranks take part: an order with the pickle of
what all shards need, its arrays as one buffer, the shards, and the replies. Then, if gradients
are to be added, rank 0 says how.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from fcnn._batch import add_gradients
from fcnn.errors import ArgumentError
from fcnn.parallel._arena import Pickled, lay, sizes_of, write
from fcnn.parallel._chain import Chain
from fcnn.parallel._cut import spread
from fcnn.parallel._engine import Engine, Function
from fcnn.parallel._failure import Failure
from fcnn.parallel._flat import flat, rebuilt
from fcnn.parallel._member import ALONG, NOT, WHOLE, Order, Summary, serve
from fcnn.parallel._owner import refuse_in_fork
from fcnn.parallel._pickling import dumps
from fcnn.parallel._shards import one_blas_thread


class Ranks(Executor):
    """The executor of rank 0, which computes too; the other ranks serve it.

    `fcnn.parallel.map_shards` and `fcnn.parallel.sum_shards` use all ranks. ``submit`` calls on
    this rank, and returns when that is done.

    Attributes:
        size: how many ranks compute, with this one.
    """

    def __init__(self, comm: Any) -> None:
        self.size: int = comm.Get_size()
        self._comm, self._owner = comm, os.getpid()
        self._memory, self._chain = bytearray(), Chain(comm)
        self._lock = threading.Lock()
        self._is_open = True
        self._is_within = False  # a call, for whose next message the other ranks wait

    def check(self) -> None:
        """Check that the ranks can be used.

        Raises:
            RuntimeError: after the end of `fcnn.parallel.mpi`, or in a fork of this process.
        """
        refuse_in_fork("the ranks of MPI", self._owner)
        if not self._is_open:
            raise RuntimeError(
                "expected ranks that serve, got the executor of a with statement that has ended; "
                "call fcnn.parallel.mpi() on all ranks again"
            )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` on this rank, now."""
        self.check()
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Say whether the ranks are free, and hold them meanwhile."""
        self.check()
        is_free = self.size > 1 and self._lock.acquire(blocking=False)
        try:
            if is_free and self._is_within:
                raise RuntimeError(
                    "expected ranks that wait for a call, got some in the middle of one, which "
                    "was interrupted; leave the with statement of fcnn.parallel.mpi()"
                )
            yield is_free
        finally:
            if is_free:
                self._lock.release()

    def close(self) -> None:
        """Let the other ranks go; end all of them if they wait for what will not come."""
        self._is_open = False
        if self._is_within:  # an interrupt, or no memory
            traceback.print_exc()
            self._comm.Abort(1)
        self._comm.bcast(None)
        self._comm.Free()

    def share(self, function: Function, common: Any, shards: Sequence[Any]) -> list[Any]:
        """Return ``[function(common, shard) for shard in shards]``."""
        parts = self._parts(shards)
        mine = self._order(function, common, parts, adds=False)
        found = self._replies(mine, len(parts))
        self._is_within = False
        return [result for part in _checked(found) for result in part]

    def share_sum(
        self, function: Function, common: Any, shards: Sequence[Any], weights: Sequence[float]
    ) -> tuple[list[Any], Any]:
        """Do what `fcnn.parallel.sum_shards` does."""
        parts = self._parts(shards)
        mine = self._order(function, common, parts, adds=True)
        done = mine if isinstance(mine, list) else []
        gradients = [gradient for _, gradient in done]
        found = self._replies(Summary.of(done) if done else mine, len(parts))
        way = _way(found)
        self._comm.bcast(way)
        if way == ALONG:
            sums = self._chain.add(len(parts), [flat(each) or [] for each in gradients])
        elif way == WHOLE:
            others = self._replies(gradients, len(parts))
        self._is_within = False
        rests = [rest for each in _checked(found) for rest in each.rests]
        if way == ALONG:
            seen = [each for summary in found for each in summary.seen]
            return rests, rebuilt(gradients[0], sums, seen, weights)
        every = [gradient for part in _checked(others) for gradient in part]
        return rests, add_gradients(every, weights)

    def _parts(self, shards: Sequence[Any]) -> list[Sequence[Any]]:
        return [shards[part] for part in spread(len(shards), -(-len(shards) // self.size))]

    def _order(
        self, function: Function, common: Any, parts: Sequence[Sequence[Any]], *, adds: bool
    ) -> list[Any] | BaseException:
        """Have the parts computed on all ranks; return the results of the first, or an error."""
        buffers: list[pickle.PickleBuffer] = []
        code, data = dumps(function), dumps(common, buffers)
        sent = [b"", *map(dumps, parts[1:])]  # before anything is sent: it may not pickle
        places, end = lay(sizes_of(buffers), 0, 64)
        if len(self._memory) < end:
            self._memory = bytearray(end)
        memory = memoryview(self._memory)[:end]  # a slice of a bytearray would be set by a copy
        write(memory, buffers, places)
        self._is_within = True
        comm = self._comm
        comm.bcast(Order(code, Pickled(data, places), end, len(parts), adds))
        if end:
            comm.Bcast(memory)
        comm.scatter(sent + [dumps([])] * (self.size - len(sent)))
        try:
            return [function(common, shard) for shard in parts[0]]
        except BaseException as error:  # raised when the others have answered
            return error

    def _replies(self, mine: Any, count: int) -> list[Any]:
        """Return what this rank and the others have found, of as many as have shards."""
        replies = self._comm.gather(None)
        return [mine, *[pickle.loads(reply) for reply in replies[1:count]]]


def _way(found: Sequence[Any]) -> str:
    """Return how the gradients that summaries describe are added."""
    if any(type(each) is not Summary for each in found):
        return NOT
    form = found[0].form
    return ALONG if form is not None and all(each.form == form for each in found) else WHOLE


def _checked(found: list[Any]) -> list[Any]:
    """Return what the ranks have found, or raise the first exception."""
    for each in found:
        if isinstance(each, Failure):
            raise each.error()
        if isinstance(each, BaseException):
            raise each
    return found


class ByRanks(Engine):
    """Computes on all ranks, or here while they compute for another thread."""

    def map(
        self, executor: Any, function: Function, common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return the results in the order of the shards."""
        with one_blas_thread(), executor.taken() as is_free:
            if is_free:
                found: list[Any] = executor.share(function, common, shards)
                return found
            return [function(common, shard) for shard in shards]

    def sum(
        self,
        executor: Any,
        function: Function,
        common: Any,
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any]:
        """Add the gradients from rank to rank."""
        with one_blas_thread(), executor.taken() as is_free:
            if is_free:
                found: tuple[list[Any], Any] = executor.share_sum(function, common, shards, weights)
                return found
        return super().sum(executor, function, common, shards, weights)

    def check(self, executor: Any) -> None:
        """Refuse ranks that no longer serve, or in a fork."""
        executor.check()


@contextlib.contextmanager
def ranks(comm: Any = None) -> Iterator[Ranks | None]:
    """See `fcnn.parallel.mpi`."""
    try:
        from mpi4py import MPI
    except ImportError:
        raise ImportError(
            "expected the package mpi4py, which is not installed; pip install 'fcnn[mpi]'"
        ) from None
    comm = MPI.COMM_WORLD if comm is None else comm
    if not isinstance(comm, MPI.Intracomm):
        raise ArgumentError(f"expected an intracommunicator of mpi4py, got {comm!r}")
    own = comm.Dup()  # no message of the caller's is taken for one of these
    if own.Get_rank():
        try:
            serve(own)
        except BaseException:  # rank 0 would wait for ever
            traceback.print_exc()
            own.Abort(1)
        own.Free()
        yield None
        return
    executor = Ranks(own)
    try:
        yield executor
    finally:
        executor.close()
