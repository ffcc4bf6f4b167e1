"""The workers of a command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fcnn import parallel


@contextlib.contextmanager
def pool(workers: int | None) -> Iterator[Any]:
    """Yield an executor: processes, one per core by default; one thread for one worker."""
    count = parallel.cores() if workers is None else workers
    with parallel.threads(1) if count == 1 else parallel.processes(count) as executor:
        yield executor
