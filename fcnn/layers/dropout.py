"""Dropout of elements, of whole channels and of whole examples.

``y = x · mask / (1 - rate)`` with a mask of ones and zeros drawn from the context's key, and
``dx = dy · mask / (1 - rate)`` with the same mask. They differ in what one draw decides on.
"""

from __future__ import annotations

from collections.abc import Callable

from fcnn._check import number
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._pointwise import keep_shape, key_of
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.prng import bernoulli


def _dropping(rate: float, name: str, decides: Callable[[Shape], Shape]) -> Triple:
    """Return the triple of a dropout; ``decides(x.shape)`` is the shape of its mask."""
    keep = 1 - number(rate, "rate", 0, 1, open_high=True)

    def mask(x: Array, ctx: Context) -> Array:
        drawn = bernoulli(key_of(ctx, name), keep, decides(x.shape)).astype(x.dtype)
        drawn *= 1 / keep
        return drawn

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return x * mask(x, ctx) if ctx.train and keep < 1 else x

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        if not ctx.train or keep == 1:
            return x, lambda dy: ((), dy)
        drawn = mask(x, ctx)
        return x * drawn, lambda dy: ((), dy * drawn)

    return keep_shape, apply, vjp


@layer
def dropout(rate: float) -> Triple:
    """Set each element to 0 with probability ``rate`` in training, and scale up the others.

    ``y = x · mask / (1 - rate)`` with mask drawn from the context's key, and
    ``dx = dy · mask / (1 - rate)`` with the same mask. In evaluation, the identity.

    Args:
        rate: the probability of an element to be dropped, in [0, 1).

    Raises:
        ArgumentError: if the rate is outside [0, 1).
        MissingKeyError: in training without a key.

    >>> import numpy as np, fcnn
    >>> half = fcnn.dropout(0.5)
    >>> bool((half.apply((), np.ones((1, 3))) == 1).all())
    True
    >>> sorted({float(v) for v in half.apply((), np.ones((1, 99)), fcnn.training(fcnn.key(0)))[0]})
    [0.0, 2.0]

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks
    from overfitting", 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    return _dropping(rate, "dropout", lambda shape: shape)


@layer
def spatial_dropout(rate: float) -> Triple:
    """Set whole channels of an example to 0 with probability ``rate`` in training.

    As `dropout`, with one draw for each channel of each example: neighbouring pixels hold
    nearly the same, so that dropping some of them hides little. In evaluation, the identity.

    Shapes: x and y ``(n, ..., channels)``, mask ``(n, 1, ..., 1, channels)``.

    Args:
        rate: the probability of a channel to be dropped, in [0, 1).

    Raises:
        ArgumentError: if the rate is outside [0, 1).
        MissingKeyError: in training without a key.

    >>> import numpy as np, fcnn
    >>> images = np.ones((1, 8, 8, 99))
    >>> y = fcnn.spatial_dropout(0.5).apply((), images, fcnn.training(fcnn.key(0)))
    >>> sorted({float(v) for v in y.mean(axis=(1, 2))[0]})
    [0.0, 2.0]

    Source: J. Tompson et al., "Efficient object localization using convolutional networks",
    2014, https://arxiv.org/abs/1411.4280.
    """
    return _dropping(
        rate,
        "spatial_dropout",
        lambda shape: (shape[0], *[1] * (len(shape) - 2), *shape[1:][-1:]),
    )


@layer
def stochastic_depth(rate: float) -> Triple:
    """Set whole examples to 0 with probability ``rate`` in training, and scale up the others.

    As the last layer in the body of a `fcnn.residual`, it drops the body for some of the
    examples, for which the block is then its shortcut. In evaluation, the identity.

    Shapes: x and y ``(n, ...)``, mask ``(n, 1, ..., 1)``.

    Args:
        rate: the probability of an example to be dropped, in [0, 1). In the source it grows
            linearly with the block's place, to 0.5 at the last.

    Raises:
        ArgumentError: if the rate is outside [0, 1).
        MissingKeyError: in training without a key.

    >>> import numpy as np, fcnn
    >>> block = fcnn.residual(fcnn.conv2d(8, 3, padding="same"), fcnn.stochastic_depth(0.2))
    >>> block.init(fcnn.key(0), (28, 28, 8))[1]
    (28, 28, 8)
    >>> y = fcnn.stochastic_depth(0.2).apply((), np.ones((99, 2)), fcnn.training(fcnn.key(0)))
    >>> sorted({float(v) for v in y.mean(axis=1)})
    [0.0, 1.25]

    Source: G. Huang et al., "Deep networks with stochastic depth", 2016,
    https://arxiv.org/abs/1603.09382.
    """
    return _dropping(rate, "stochastic_depth", lambda shape: (shape[0], *[1] * (len(shape) - 1)))


for _dropout in (dropout, spatial_dropout, stochastic_depth):
    facts(_dropout, multiply_adds=0, window=(1, 1))
