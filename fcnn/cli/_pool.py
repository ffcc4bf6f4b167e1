"""The workers of a command."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from fcnn import parallel
from fcnn.cli._parser import whole


def count(text: str) -> int:
    """Read a number of workers, refusing one far above the number of cores."""
    cores = parallel.cores()
    most = max(64, 4 * cores)
    found = whole(1)(text)
    if found > most:
        raise argparse.ArgumentTypeError(
            f"expected at most {most} workers on {cores} cores, got {found}"
        )
    return found


@contextlib.contextmanager
def pool(workers: int | None) -> Iterator[Any]:
    """Yield an executor: processes, one per core by default; one thread for one worker.

    On Windows, where `fcnn.parallel.processes` cannot run, threads.
    """
    number = parallel.cores() if workers is None else workers
    alone = number == 1 or sys.platform == "win32"
    with parallel.threads(number) if alone else parallel.processes(number) as executor:
        yield executor
