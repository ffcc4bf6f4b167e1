"""One worker process as its parent sees it: started, asked, and started again when it dies."""

from __future__ import annotations

import contextlib
import mmap
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from fcnn.parallel._failure import Failure
from fcnn.parallel._launch import launch
from fcnn.parallel._link import Link

RESTART_INTERVAL = 1.0  # seconds between the starts of a process that never becomes ready
GRACE = 5.0  # seconds that a process has to end before it is killed


class DiedError(Exception):
    """A process ended before it was ready."""

    def __init__(self, code: int) -> None:
        self.by_itself = code >= 0  # otherwise a signal ended it
        how = f"exit code {code}" if self.by_itself else f"signal {-code}"
        super().__init__(f"a worker process ended before it was ready ({how})")


class Worker:
    """A slot for a process: a process that has died is followed by another.

    Args:
        spin: how long both ends of the link spin; see `Link`.
    """

    process: subprocess.Popen[bytes]

    def __init__(self, spin: float = 0.0) -> None:
        self._spin = spin
        self._link: Link | None = None
        self.is_ready = False
        self._start()

    def available(self, timeout: float = 0.0) -> bool:
        """Return whether the process is ready to be asked; wait up to ``timeout`` seconds.

        Raises:
            DiedError: if it ended before it was ready. The next call may start another.
        """
        if self.is_ready:
            return True
        if self._link is None:
            pause = self._started + RESTART_INTERVAL - time.monotonic()
            time.sleep(max(0.0, min(pause, timeout)))
            if pause <= timeout:
                self._try_to_start()
            return False
        try:
            if not self._link.poll(timeout):
                return False
            self._link.receive(copy=True)
        except (EOFError, ConnectionError):
            raise DiedError(self.end()) from None
        self.is_ready = True
        return True

    def ask(self, code: bytes, common: Any, shards: Sequence[Any]) -> None:
        """Have ``function(common, shard)`` computed for each shard; `answer` must come next.

        Args:
            code: the function's pickle; the process keeps the function of the last one.
            common: the first argument.
            shards: the second ones.
        """
        self.order((code, common, shards))

    def order(self, message: Any, arena: tuple[mmap.mmap, int] | None = None) -> None:
        """Send a message that has an answer, and the memory that it needs; see `Link.send`."""
        if self._link is not None:
            with contextlib.suppress(ConnectionError):  # `answer` finds that it has died
                self._link.send(message, arena)

    def answer(self) -> list[Any] | Failure | None:
        """Return the results, or None if the process has died: another one is starting."""
        try:
            if self._link is not None:
                received = self._link.receive(copy=True)
                answer: list[Any] | Failure = received.unpickled()
                return answer
        except (EOFError, ConnectionError):
            self.replace()
        return None

    def replace(self) -> None:
        """Kill the process and start another."""
        self.process.kill()
        self.end()
        self._try_to_start()

    def close(self) -> None:
        """Tell the process to end, without waiting for it."""
        if self._link is not None:
            self._link.close()
        self._link, self.is_ready = None, False

    def forget(self) -> None:
        """In a fork: close the fork's copies of the link, and leave the process to its parent."""
        self.close()
        self.process.returncode = 0  # `subprocess` need not look for it

    def end(self) -> int:
        """End the process and return its exit code, which is negative if a signal ended it."""
        self.close()
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _try_to_start(self) -> None:
        """Start a process, or leave it to `available` after another interval."""
        with contextlib.suppress(OSError, MemoryError):
            self._start()

    def _start(self) -> None:
        self._started = time.monotonic()
        self.process, self._link = launch(self._spin)
