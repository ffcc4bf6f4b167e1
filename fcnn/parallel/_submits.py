"""Refuse an executor that cannot compute by ``submit``, and say what can."""

from __future__ import annotations

from typing import Any

from fcnn.errors import ArgumentError
from fcnn.parallel._owner import refuse_foreign

INSTEAD = (
    "use fcnn.parallel.threads(), fcnn.parallel.processes(), "
    "an executor of concurrent.futures, or None for this thread"
)


def check_submits(executor: Any) -> None:
    """Check an executor that computes by ``submit``; see `check_executor`."""
    name = type(executor).__name__
    if isinstance(executor, type):
        raise ArgumentError(
            f"expected an executor with submit(), got the class {executor.__name__}; "
            f"call it: {executor.__name__}(...)"
        )
    if not callable(getattr(executor, "submit", None)):
        raise ArgumentError(f"expected an executor with submit(), got {name}; {INSTEAD}")
    if hasattr(executor, "get_executor"):  # a Client of Dask
        raise ArgumentError(
            f"expected an executor, got a {name} of Dask; pass its executor, client.get_executor()"
        )
    if any(kind.__name__ == "InterpreterPoolExecutor" for kind in type(executor).__mro__):
        raise ArgumentError(
            f"expected an executor whose workers can import NumPy, got {name}, whose "
            f"subinterpreters cannot; use fcnn.parallel.threads() or fcnn.parallel.processes()"
        )
    refuse_foreign(executor)
