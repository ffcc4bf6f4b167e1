"""A model in whole numbers: what `calibrate` makes, `apply` runs and `fcnn.export.c` writes."""

from __future__ import annotations

from typing import Any

import attrs

from fcnn._layer import Layer
from fcnn._typing import Array, Shape
from fcnn.export._graph import Graph, Tensor
from fcnn.export._whole._fixed import Scale
from fcnn.export._whole._tables import Step


@attrs.frozen(eq=False, repr=False)
class Quantized:
    """A model in evaluation whose layers compute in whole numbers.

    Attributes:
        model: the model.
        shape: the shape of one example.
        steps: what is computed, in order.
        scales: what the whole numbers of each value stand for.
        shapes: of all values, with the batch axis, as they lie in a file: channels first.
        results: the value of each output.
        inputs, outputs: the model's, in the order of their trees.
        arrays: the constants of the operations that are computed in floats, or move elements.
        graph: the model in floats, which the steps are made of.
    """

    model: Layer
    shape: Any
    steps: tuple[Step, ...]
    scales: dict[str, Scale]
    shapes: dict[str, Shape]
    results: dict[str, str]
    inputs: tuple[Tensor, ...]
    outputs: tuple[tuple[str, Tensor], ...]
    arrays: dict[str, Array]
    graph: Graph

    def __repr__(self) -> str:
        return f"Quantized({self.model!r}, {self.bytes} bytes of weights)"

    @property
    def bytes(self) -> int:
        """The bytes of weights, biases, tables and multipliers."""
        return sum(array.nbytes for step in self.steps for array in step.arrays.values())
