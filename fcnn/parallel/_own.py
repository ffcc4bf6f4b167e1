"""The engine of `fcnn.parallel.processes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fcnn.parallel._engine import Engine, Function
from fcnn.parallel._shards import one_blas_thread


class Own(Engine):
    """Computes in this process and others that share memory with it."""

    def map(
        self, executor: Any, function: Function, common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return the results in the order of the shards."""
        with one_blas_thread():
            found: list[Any] = executor.share(function, common, shards)
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
        with one_blas_thread():
            found: tuple[list[Any], Any] = executor.share_sum(function, common, shards, weights)
        return found

    def check(self, executor: Any) -> None:
        """Refuse a pool that was shut down, or in a fork."""
        executor.check()
