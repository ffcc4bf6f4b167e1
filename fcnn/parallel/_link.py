"""A connection of two processes, over which arrays travel through shared memory.

A message is a pickle without its arrays (protocol 5). The pickle, the arrays and a table of where
each begins are copied once, into memory that both processes see; then the receiver is signalled.
The socket carries the descriptor of memory that is new. Each side writes to memory of its own,
which the next message of that side overwrites: the sides take turns.

Source: A. Pitrou, "PEP 574: Pickle protocol 5 with out-of-band data", 2018,
https://peps.python.org/pep-0574/.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import pickle
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fcnn.parallel._memory import acknowledge, attach, reserve, ring
from fcnn.parallel._owner import refuse_in_fork
from fcnn.parallel._pickling import dumps

ALIGNMENT = 64  # bytes: where an array may begin
PATIENCE = 0.5  # seconds after which a receiver checks that the sender is alive
SPIN = 1e-3
"""Seconds of spinning where each process has a core: the kernel takes 20 to 100 µs to wake one that
sleeps, and most waits of a training step are shorter than this. A process that spins gives way to
others that could run: without that, one other busy process on two cores made a step of
`processes(2)` that computes nothing take 2.4 times as long."""
HEADER = struct.Struct("=QQ")  # at the start of the memory: where the table begins and ends
SIZE = struct.Struct("=Q")  # on the socket, with a descriptor: the size of the memory
SAME, NEW, ARENA = 1, 2, 4  # signals: a message is there, in the same memory or new, and an arena


_yield = getattr(os, "sched_yield", functools.partial(time.sleep, 0))


class Received(NamedTuple):
    """A message as it arrives: its pickle and the memory of its arrays."""

    parts: list[memoryview]

    def unpickled(self) -> Any:
        """Return the message."""
        data, *buffers = self.parts
        return pickle.loads(data, buffers=buffers)


class Link:
    """One end of a connection.

    Args:
        channel: a Unix socket; the other end has the other of the pair.
        wake: the descriptor of the signal that a message has arrived.
        bell: the descriptor that signals the other end.
        alive: says whether the other process is alive. The socket says so too, except while a
            third process, forked from the other one, still holds that end.
        spin: seconds for which a receiver asks again and again before it sleeps; see `SPIN`.
    """

    def __init__(
        self,
        channel: socket.socket,
        wake: int,
        bell: int,
        alive: Callable[[], bool],
        spin: float = 0.0,
    ) -> None:
        self._channel, self._wake, self._bell, self._alive = channel, wake, bell, alive
        self._spin = spin
        self._owner = os.getpid()
        self._poller = select.poll()
        self._poller.register(wake, select.POLLIN)
        self._poller.register(channel, 0)  # that it was closed; data would wake too early
        self._signal = 0
        self._written: mmap.mmap | None = None
        self._read: mmap.mmap | None = None
        self.arena: mmap.mmap | None = None  # the memory that both ends write to

    def send(self, message: Any, arena: tuple[mmap.mmap, int] | None = None) -> None:
        """Send a message, and overwrite the memory of the one before it.

        Args:
            message: anything that pickles.
            arena: memory that both ends may write to, and its descriptor, if the message needs
                it; it is passed on unless the other end has it.

        Raises:
            ConnectionError: if the other process has ended.
            MemoryError: if there is no memory for the message.
            TypeError: if the message does not pickle.
        """
        refuse_in_fork("shared memory", self._owner)
        buffers: list[pickle.PickleBuffer] = []
        data = dumps(message, buffers)
        parts = [memoryview(data), *[buffer.raw() for buffer in buffers]]
        places, start = [], ALIGNMENT  # behind the header
        for part in parts:
            places.append((start, part.nbytes))
            start += -(-part.nbytes // ALIGNMENT) * ALIGNMENT
        table = pickle.dumps(places)
        end = start + len(table)
        memory, signal = self._written, SAME
        if memory is None or len(memory) < end:
            memory, signal = self._renewed(end + end // 4), NEW
        for (begin, size), part in zip(places, parts, strict=True):
            memory[begin : begin + size] = part
        memory[start:end] = table
        HEADER.pack_into(memory, 0, start, end)
        if arena is not None and arena[0] is not self.arena:
            self.arena, fd = arena
            socket.send_fds(self._channel, [SIZE.pack(len(self.arena))], [fd])
            signal |= ARENA
        ring(self._bell, signal)

    def poll(self, timeout: float) -> bool:
        """Return whether a message has arrived; wait for it up to ``timeout`` seconds.

        Raises:
            EOFError: if the other process has ended and no message is left.
        """
        if not self._signal:
            events = dict(self._spun(timeout) or self._poller.poll(1000 * timeout))
            if events.get(self._wake, 0) & select.POLLIN:
                self._signal = acknowledge(self._wake)
            elif events or not self._alive():
                raise EOFError
        return self._signal != 0

    def _spun(self, timeout: float) -> list[tuple[int, int]]:
        """Return the first events of a short time, or none."""
        end = time.perf_counter() + min(self._spin, timeout)
        while not (events := self._poller.poll(0)) and time.perf_counter() < end:
            _yield()
        return events

    def receive(self, *, copy: bool) -> Received:
        """Return the next message; its arrays are copies, or read-only until the one after it.

        Raises:
            EOFError: if the other process has ended.
        """
        refuse_in_fork("shared memory", self._owner)
        while not self.poll(PATIENCE):
            pass
        signal, self._signal = self._signal, 0
        if signal & NEW:
            self._read = None  # free the old first
            self._read = self._passed(writable=False)
        if signal & ARENA:
            self.arena = None
            self.arena = self._passed(writable=True)
        if self._read is None:
            raise EOFError
        table, end = HEADER.unpack_from(self._read)
        found = memoryview(self._read)[:end]
        whole = memoryview(bytearray(found)) if copy else found
        places = pickle.loads(whole[table:])
        return Received([whole[start : start + size] for start, size in places])

    def _passed(self, *, writable: bool) -> mmap.mmap | None:
        """Map the memory whose descriptor the other end has sent."""
        size, fds, *_ = socket.recv_fds(self._channel, SIZE.size, 1)
        found = [attach(fd, *SIZE.unpack(size), writable=writable) for fd in fds]
        return found[0] if found else None

    def _renewed(self, size: int) -> mmap.mmap:
        """Replace the memory that this end writes to, and pass it to the other end."""
        self._written = None  # free the old before the new is reserved
        memory, fd = reserve(size)
        try:
            socket.send_fds(self._channel, [SIZE.pack(size)], [fd])
        finally:
            os.close(fd)
        self._written = memory
        return memory

    def close(self) -> None:
        """Close this end: the other process finds it closed, even if forks hold copies of it.

        A fork only closes its copies.
        """
        if os.getpid() == self._owner:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        os.close(self._wake)
        os.close(self._bell)
        self._written = self._read = self.arena = None
