"""Worker processes that find arrays where the caller left them: in shared memory.

A training step of a small network takes a millisecond. Two threads spend half of it waiting
for Python's lock: who waits sleeps, and to wake takes as long as an operation on 32 small images.
A pool that sends arrays through pipes spends as long sending them. Here a message is a pickle
without its arrays (protocol 5); these are copied once, into memory that both processes see, and
a function is made anew there when it is another than before. The calling process works too, so
two cores take one other process. Of LeNet-5's step on 64 images, 2.4 ms, this costs 0.5: mostly
Python whose code the step has driven out of the cache. To watch the bell, awake, gained nothing.

Source: A. Pitrou, "PEP 574: Pickle protocol 5 with out-of-band data", 2018,
https://peps.python.org/pep-0574/.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import accumulate
from multiprocessing.shared_memory import SharedMemory
from queue import SimpleQueue
from typing import Any, cast

from fcnn._blas import BLAS

ALIGNMENT = 64  # bytes: where an array may begin
READY = "ready"
PATIENCE = 0.5  # seconds after which a receiver looks whether the sender still lives


class Link:
    """One end of a connection of two processes, each of which writes into memory of its own.

    A bell wakes the receiver, not the pipe: who writes into a pipe gives its processor to the
    process that waits for it, and who rings goes on beside it.
    """

    def __init__(self, pipe: Any, bells: tuple[Any, Any], other: Any) -> None:
        self._pipe, (self._bell, self._own_bell), self._other = pipe, bells, other
        self._written: SharedMemory | None = None
        self._read: SharedMemory | None = None

    def send(self, message: Any) -> None:
        """Send a message; the memory of the one before it is written over."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        parts = [memoryview(data), *(buffer.raw() for buffer in buffers)]
        ends = list(accumulate(-(-part.nbytes // ALIGNMENT) * ALIGNMENT for part in parts))
        places = [(start, part.nbytes) for start, part in zip([0, *ends], parts, strict=False)]
        table = pickle.dumps(places)  # stands behind the parts: a pipe holds little
        end = ends[-1] + len(table)
        memory = self._written
        if memory is None or memory.size < end:
            _release(memory, unlink=True)
            self._written = None
            memory = self._written = _reserved(end + end // 4)
        room = _bytes(memory)
        for (start, size), part in zip(places, parts, strict=True):
            room[start : start + size] = part
        room[ends[-1] : end] = table
        self._pipe.send_bytes(pickle.dumps((memory.name, ends[-1], end)))
        self._bell.release()

    def receive(self, *, copy: bool) -> Any:
        """The next message; its arrays are copies, or read-only until the one after it comes.

        Raises:
            EOFError: if the other process has ended.
        """
        while not self._own_bell.acquire(timeout=PATIENCE):
            if not self._other.is_alive():
                raise EOFError
        name, table, end = pickle.loads(self._pipe.recv_bytes())
        if self._read is None or self._read.name != name:
            _release(self._read)
            self._read = SharedMemory(name)
        found = _bytes(self._read)[:end]
        whole = memoryview(bytearray(found)) if copy else found.toreadonly()
        places = pickle.loads(whole[table:])
        data, *buffers = [whole[start : start + size] for start, size in places]
        return pickle.loads(data, buffers=buffers)

    def close(self, *, alone: bool = False) -> None:
        """Let go of the pipe and of the memory; if alone, also of what the other has left."""
        with contextlib.suppress(EOFError, OSError):
            while alone and self._pipe.poll():  # what it wrote last, perhaps in new memory
                name, *_ = pickle.loads(self._pipe.recv_bytes())
                if self._read is None or self._read.name != name:
                    _release(self._read)
                    self._read = SharedMemory(name)
        self._pipe.close()
        _release(self._read, unlink=alone)
        _release(self._written, unlink=True)


def _reserved(size: int) -> SharedMemory:
    """New shared memory that is there: what is only promised may fail when it is written."""
    memory = SharedMemory(create=True, size=size)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(memory._fd, 0, size)  # type: ignore[attr-defined]
    except OSError as error:
        _release(memory, unlink=True)
        raise MemoryError(
            f"there is no room for {size} bytes of shared memory ({error.strerror}): give "
            f"/dev/shm more, or send fewer examples at a time, or use fcnn.parallel.threads"
        ) from None
    return memory


def _bytes(memory: SharedMemory) -> memoryview[int]:
    return cast("memoryview[int]", memory.buf)  # None once it is closed


def _release(memory: SharedMemory | None, *, unlink: bool = False) -> None:
    if memory is not None:
        with contextlib.suppress(BufferError):  # arrays may still stand in it
            memory.close()
        if unlink:
            with contextlib.suppress(FileNotFoundError):
                memory.unlink()


def _serve(pipe: Any, bells: tuple[Any, Any]) -> None:
    """A worker's life: compute what comes until None comes, or the caller has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller's business
    BLAS.enter()
    link = Link(pipe, bells, multiprocessing.parent_process())
    link.send(READY)
    known, function = b"", _call
    with contextlib.suppress(EOFError, ConnectionError):
        while (message := _next(link)) is not None:
            reply: tuple[bool, Any]
            try:
                if isinstance(message, Exception):
                    raise message
                code, common, part = message
                if code != known:
                    known, function = code, pickle.loads(code)
                reply = True, [function(common, shard) for shard in part]
            except Exception as error:  # raised again where the results are wanted
                reply = False, _sendable(error)
            try:
                link.send(reply)
            except Exception as error:
                kind = MemoryError if isinstance(error, MemoryError) else TypeError
                link.send((False, kind(f"what a worker returned does not pickle: {error}")))
            message = common = part = reply = None  # type: ignore[assignment]
    link.close()


def _next(link: Link) -> Any:
    """The next message, or the error that came of unpickling it."""
    try:
        return link.receive(copy=False)
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        return error


def _sendable(error: Exception) -> Exception:
    """The error, or one that says the same if it does not pickle."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class Worker:
    """A process and this end of the link to it; when it dies, another takes its place."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin a process, which is ready some time later."""
        context = multiprocessing.get_context("spawn")
        pipe, there = context.Pipe()
        bells = context.Semaphore(0), context.Semaphore(0)
        self.process = context.Process(target=_serve, args=(there, bells[::-1]), daemon=True)
        self.process.start()
        there.close()
        self._link = Link(pipe, bells, self.process)
        self._is_ready = False

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            RuntimeError: if it ended before.
        """
        if not self._is_ready:
            try:
                self._is_ready = self._link.receive(copy=True) == READY
            except EOFError:
                raise RuntimeError(
                    "a worker process ended before it was ready, and has said why; if it found no "
                    "main guard: each worker imports the main script, whose own work must stand "
                    'below if __name__ == "__main__":'
                ) from None

    def ask(self, code: bytes, common: Any, part: Sequence[Any]) -> None:
        """Have ``function(common, shard)`` computed for each shard; `answer` must be next.

        ``code`` is the function's pickle, by which the process knows whether it has it already.
        """
        self.wait()
        with contextlib.suppress(ConnectionError):  # `answer` will find out
            self._link.send((code, common, part))

    def answer(self) -> list[Any] | None:
        """The results, or the error that came instead is raised; None if the process died."""
        try:
            returned, results = self._link.receive(copy=True)
        except (EOFError, ConnectionError):
            self.restart()
            return None
        if not returned:
            raise results
        return list(results)

    def restart(self) -> None:
        """Kill the process and begin another."""
        self.process.kill()
        self.close()
        self.start()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError, MemoryError):
            self._link.send(None)
        self.process.join(timeout=5)
        self.process.kill()
        self.process.join()
        self.process.close()
        self._link.close(alone=True)


class Processes(Executor):
    """An executor whose workers are this process and others; see the module.

    `share` is the quick way; ``submit`` and ``map`` are those of any executor.
    """

    def __init__(self, workers: int) -> None:
        self._max_workers = workers
        self.others = [Worker() for _ in range(workers - 1)]
        self._end = weakref.finalize(self, _close, self.others, os.getpid())
        try:
            for worker in self.others:
                worker.wait()
        except BaseException:
            self._end()
            raise
        self._lock = threading.Lock()
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.others:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(max(1, workers - 1), thread_name_prefix="fcnn")

    def share(
        self, function: Callable[[Any, Any], Any], common: Any, parts: Sequence[Sequence[Any]]
    ) -> list[list[Any] | None]:
        """``[function(common, shard) for shard in part]`` for each part, the first of them here.

        None stands for the results of a worker that died.

        Raises:
            RuntimeError: after `shutdown`.
        """
        if not self._end.alive:
            raise RuntimeError("this pool was shut down: parallel.processes() makes another")
        asked: list[Worker] = []
        waiting: list[Worker] = []
        try:
            with self._lock:
                for _ in parts[1:]:
                    asked.append(self._idle.get())
            code = pickle.dumps(function)
            for worker, part in zip(asked, parts[1:], strict=True):
                waiting.append(worker)
                worker.ask(code, common, part)
            results: list[list[Any] | None] = [[function(common, shard) for shard in parts[0]]]
            while waiting:
                results.append(waiting[0].answer())
                del waiting[0]
        except BaseException:
            for worker in waiting:  # its answer may be left, and must answer nothing else
                worker.restart()
            raise
        finally:
            for worker in asked:
                self._idle.put(worker)
        return results

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` in one of the other processes, or in a thread if there is none."""
        if not self.others:
            return self._threads.submit(fn, *args, **kwargs)
        return self._threads.submit(self._remotely, fn, args, kwargs)

    def _remotely(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        worker = self._idle.get()
        try:
            worker.ask(pickle.dumps(_call), fn, [(args, kwargs)])
            results = worker.answer()
        finally:
            self._idle.put(worker)
        if results is None:
            raise BrokenExecutor("a worker process died")
        return results[0]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, when what was submitted is done: it waits for that in any case."""
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        self._end()


def _call(fn: Callable[..., Any], how: tuple[Any, Any]) -> Any:
    args, kwargs = how
    return fn(*args, **kwargs)


def _close(workers: list[Worker], owner: int) -> None:
    while workers and os.getpid() == owner:  # not in a fork of it
        workers.pop().close()
