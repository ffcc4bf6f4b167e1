"""Refuse what is no executor that can compute shards."""

from __future__ import annotations

from typing import Any

from fcnn.parallel._engine import registered
from fcnn.parallel._submits import check_submits


def check_executor(executor: Any) -> None:
    """Check that ``executor`` can compute shards in this process.

    Raises:
        ArgumentError: if no engine is registered for its type and it has no ``submit``, or its
            workers cannot import NumPy.
        RuntimeError: if it was made in another process, before a fork.
    """
    engine = registered(executor)
    if engine is None:
        check_submits(executor)
    else:
        engine.check(executor)
