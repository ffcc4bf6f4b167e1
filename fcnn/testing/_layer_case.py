"""A layer in one mode, and everything that the laws ask of it."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import Context
from fcnn._typing import Tree
from fcnn.errors import ShapeError
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import numbers
from fcnn.testing._memory import fresh
from fcnn.testing._points import Inputs, many, moved, size_of
from fcnn.testing._vjp import gradient_like

LARGE = 10.0
"""How much larger than normal the inputs of the large batch are."""


@attrs.define
class Calls:
    """How many calls of apply and of vjp were made, of how many, and the bits of the first."""

    target: int
    applied: int = 0
    pulled: int = 0
    first: bytes | None = None

    @property
    def made(self) -> int:
        """The number of calls that were made of both."""
        return min(self.applied, self.pulled)


@attrs.frozen
class Case:
    """A layer, where to look at it, and its three functions in one context."""

    layer: Any
    triple: tuple[Any, Any, Any]
    shape: Any
    out_shape: Any
    made: Tree
    params: Tree
    inputs: Inputs
    ctx: Context
    key: Key
    seed: Key
    batch: int
    step: float
    rtol: float
    calls: Calls

    def init(self, key: Key) -> tuple[Tree, Any]:
        """Run the layer's init."""
        made: tuple[Tree, Any] = self.triple[0](key, self.shape)
        return made

    def apply(self, params: Tree, x: Tree, ctx: Context | None = None) -> Any:
        """Run the layer's apply, in the case's context if no other is given."""
        self.calls.applied += 1
        return self.triple[1](params, x, self.ctx if ctx is None else ctx)

    def vjp(self, params: Tree, x: Tree, ctx: Context | None = None) -> Any:
        """Run the layer's vjp, in the case's context if no other is given."""
        self.calls.pulled += 1
        return self.triple[2](params, x, self.ctx if ctx is None else ctx)

    def x(self, n: int | None = None, draw: int = 0) -> Tree:
        """Return n examples, those of the large batch with larger numbers."""
        count = self.batch if n is None else n
        scale = LARGE if count == self.many else 1.0
        return self.inputs(count, draw=draw, scale=scale)

    def at(self, dtype: Any, n: int | None = None, draw: int = 0) -> tuple[Tree, Tree]:
        """Return params and n examples in a dtype, in memory of their own."""
        return fresh(self.params, dtype), fresh(self.x(n, draw), dtype)

    def others(self, dtype: Any) -> Tree:
        """Return other params of the same shapes."""
        return tree.astype(moved(self.params, fold_in(self.key, 5)), dtype)

    def dy(self, y: Tree, i: int = 0) -> Tree:
        """Draw a gradient at the output, in y's dtype."""
        return gradient_like(y, fold_in(self.key, 100 + i))

    @property
    def many(self) -> int:
        """The length of the large batch."""
        return many(self.inputs, size_of(self.out_shape))

    @property
    def sizes(self) -> list[int]:
        """The batch lengths to check: 1, 2, 5, one above 16, and the one asked for.

        Training may refuse a batch of one or two, as batch norm does.
        """
        return [n for n in sorted({1, 2, 5, self.batch, self.many}) if self._takes(n)]

    def _takes(self, n: int) -> bool:
        if not self.ctx.train or n > 2 or n == self.batch:
            return True
        try:
            self.apply(self.params, self.x(n))
        except ShapeError:
            return False
        return True

    def short(self) -> tuple[Tree, Tree, Tree]:
        """Return params, x and dy for the shortest batch, in float32."""
        params, x = self.at(np.float32, self.sizes[0])
        return params, x, self.dy(self.apply(params, x))

    def bits(self, params: Tree, x: Tree, dy: Tree) -> bytes:
        """Return the bits of what apply, vjp and pullback give."""
        y, pullback = self.vjp(params, x)
        results = (self.apply(params, x), y, pullback(dy))
        return b"".join([array.tobytes() for array in numbers(results)])

    def run(self, dtype: Any, n: int | None = None) -> tuple[Tree, Tree, Tree]:
        """Return y, dparams and dx."""
        params, x = self.at(dtype, n)
        y, pullback = self.vjp(params, x)
        return (y, *pullback(self.dy(y)))
