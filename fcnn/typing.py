"""Names for annotations.

>>> import numpy as np, fcnn
>>> from fcnn.typing import Array, Pullback, Shape, Triple
>>> @fcnn.layer
... def scale(factor: float) -> Triple:
...     def init(key: fcnn.Key, shape: Shape) -> tuple[tuple[()], Shape]:
...         return (), shape
...     def apply(params: tuple[()], x: Array, ctx: fcnn.Context = fcnn.EVAL) -> Array:
...         return factor * x
...     def vjp(
...         params: tuple[()], x: Array, ctx: fcnn.Context = fcnn.EVAL
...     ) -> tuple[Array, Pullback]:
...         return factor * x, lambda dy: ((), factor * dy)
...     return init, apply, vjp
>>> scale(2.0).apply((), np.ones(2))
array([2., 2.])

`Tree` is the type of params and optimizer states: any value may be passed as one, and one that
is returned is opaque to a type checker until ``isinstance`` says what it is. `Array` is the
type of one array as a model's input, and then of its output; where the input is a tuple or
dict of arrays, the output is ``Any``.
"""

from fcnn._layer import Triple
from fcnn._signatures import Grad, ValueAndGrad, ValueAuxAndGrad
from fcnn._typing import Array, IntArray, Padding, Shape, Size, Tree
from fcnn._typing import ModelPullback as Pullback

__all__ = [
    "Array",
    "Grad",
    "IntArray",
    "Padding",
    "Pullback",
    "Shape",
    "Size",
    "Tree",
    "Triple",
    "ValueAndGrad",
    "ValueAuxAndGrad",
]
