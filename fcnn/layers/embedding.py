"""A learnt vector for each of a vocabulary of whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._check import whole
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops.scatter import add_rows
from fcnn._ops.values import called, decide
from fcnn._typing import Array, IntArray, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ArgumentError, LabelError
from fcnn.initializers import normal
from fcnn.prng import Key
from fcnn.tree import node

UNIT_NORMAL = normal()


@node
class EmbeddingParams:
    """What `embedding` learns."""

    weight: Array  # (vocabulary, features)


@layer(inputs="integers")
def embedding(
    vocabulary: int,
    features: int,
    *,
    padding_index: int | None = None,
    weight_init: Any = UNIT_NORMAL,
) -> Triple:
    """Look up a learnt vector for each whole number: ``y = weight[x]``.

    ``dweight[i]`` is the sum of dy over the places where x is i. There is no dx: it is None.

    Shapes: x ``(n, ...)``, whole numbers from 0 to ``vocabulary - 1``; weight
    ``(vocabulary, features)``; y ``(n, ..., features)``.

    Args:
        vocabulary: how many different numbers there are.
        features: the length of a vector.
        padding_index: a number whose vector is 0, whatever the weight, and has no gradient.
        weight_init: initializer of the vectors.

    Raises:
        ArgumentError: if an argument is out of its range.
        DTypeError: if the input is not of whole numbers.
        LabelError: if a number is negative, or not below ``vocabulary``.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.embedding(1000, 8), fcnn.flatten, fcnn.dense(2))
    >>> params, out_shape = model.init(fcnn.key(0), (5,))
    >>> model.apply(params, np.array([[3, 1, 4, 1, 5]])).shape
    (1, 2)

    Source: Y. Bengio et al., "A neural probabilistic language model", 2003,
    https://jmlr.org/papers/v3/bengio03a.html.
    """
    vocabulary, features = whole(vocabulary, "vocabulary"), whole(features, "features")
    if padding_index is not None and not whole(padding_index, "padding_index", 0) < vocabulary:
        raise ArgumentError(f"expected padding_index below {vocabulary}, got {padding_index}")

    def init(key: Key, shape: Shape) -> tuple[EmbeddingParams, Shape]:
        return EmbeddingParams(weight_init(key, (vocabulary, features))), (*shape, features)

    def apply(params: EmbeddingParams, x: IntArray, ctx: Context = EVAL) -> Array:
        if x.size and not decide((x.min() >= 0) & (x.max() < vocabulary)):
            wrong = x.min() if x.min() < 0 else x.max()
            raise LabelError(f"expected numbers from 0 to {vocabulary - 1}, got {wrong}")
        y: Array = called(np.take, params.weight, x, 0)
        if padding_index is not None:
            y[x == padding_index] = 0
        return y

    def vjp(
        params: EmbeddingParams, x: IntArray, ctx: Context = EVAL
    ) -> tuple[Array, ModelPullback]:
        def pullback(dy: Array) -> tuple[EmbeddingParams, None]:
            dweight = add_rows(dy.reshape(-1, features), x.reshape(-1), vocabulary)
            if padding_index is not None:
                dweight[padding_index] = 0
            return EmbeddingParams(dweight), None

        return apply(params, x), pullback

    return init, apply, vjp


facts(embedding, multiply_adds=0)
