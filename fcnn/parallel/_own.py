"""The engine of `fcnn.parallel.processes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fcnn._blas import BLAS
from fcnn.parallel._engine import Engine, Function


class Own(Engine):
    """Computes in this process and others that share memory with it."""

    def map(
        self, executor: Any, function: Function, common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return the results in the order of the shards."""
        BLAS.enter()
        try:
            found: list[Any] = executor.share(function, common, shards)
        finally:
            BLAS.leave()
        return found

    def sum(
        self,
        executor: Any,
        function: Function,
        common: Any,
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any]:
        """Add the gradients where they were computed."""
        BLAS.enter()
        try:
            found: tuple[list[Any], Any] = executor.share_sum(function, common, shards, weights)
        finally:
            BLAS.leave()
        return found

    def check(self, executor: Any) -> None:
        """Refuse a pool that was shut down, or in a fork."""
        executor.check()
