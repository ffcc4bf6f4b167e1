"""Eight-bit weights and activations."""

from __future__ import annotations

from typing import Any

from fcnn._typing import Array
from fcnn.export._graph import Graph, Tensor


class Ranges:
    """The least and largest value of each tensor, by name."""

    def __init__(self) -> None:
        self.of: dict[str, tuple[float, float]] = {}

    def see(self, tensor: Tensor, values: Array) -> None:
        """Note what a tensor holds."""
        if values.dtype.kind == "f":
            self.of[tensor.name] = float(values.min()), float(values.max())


def quantized(graph: Graph, ranges: Ranges, outputs: list[str]) -> Any:
    """Write in 8 bits."""
    raise NotImplementedError
