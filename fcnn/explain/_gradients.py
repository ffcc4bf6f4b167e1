"""Attributions by gradients: at the input, around it, and on the way from a baseline."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn import tree
from fcnn._check import number, whole
from fcnn._doors import check_key
from fcnn._layer import Layer
from fcnn._typing import Array, Tree
from fcnn.explain._targets import Target, check, gradient
from fcnn.prng import Key, fold_in, normal


def saliency(model: Layer, params: Tree, x: Any, *, target: Target = None) -> Any:
    """Return how each number of the input moves the target's score: its gradient.

    ``∂ score / ∂ x``, of the shape of x, with its sign. As a picture, take the largest absolute
    value over the channels, as `fcnn.plot.attributions` does.

    Raises:
        ArgumentError: if an argument is something else.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(2)
    >>> params = fcnn.DenseParams(np.array([[1.0, -1], [2, 5]]), np.zeros(2))
    >>> fcnn.explain.saliency(model, params, np.ones((1, 2)), target=0)
    array([[1., 2.]])

    Source: K. Simonyan, A. Vedaldi and A. Zisserman, "Deep inside convolutional networks",
    2013, https://arxiv.org/abs/1312.6034.
    """
    check(model, params, x)
    return gradient(model, params, x, target)[0]


def smoothgrad(
    model: Layer,
    params: Tree,
    x: Array,
    *,
    key: Key,
    target: Target = None,
    noise: float = 0.15,
    samples: int = 25,
) -> Array:
    """Return the mean of `saliency` over noisy copies of the input.

    Args:
        model: a layer.
        params: its parameters.
        x: a batch, one array.
        key: the source of the noise.
        target: which output; None for the highest score of the input without noise.
        noise: the standard deviation, relative to the range max - min of each example.
        samples: how many copies.

    Raises:
        ArgumentError: if an argument is something else.

    >>> import numpy as np, fcnn
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (3,))
    >>> x = np.ones((1, 3), np.float32)
    >>> fcnn.explain.smoothgrad(fcnn.dense(2), params, x, key=fcnn.key(1)).shape
    (1, 3)

    Source: D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017,
    https://arxiv.org/abs/1706.03825.
    """
    check(model, params, x)
    check_key(key)
    samples, noise = whole(samples, "samples"), number(noise, "noise", 0)
    _, target = gradient(model, params, x, target)
    axes = tuple(range(1, x.ndim))
    sigma = noise * (x.max(axis=axes, keepdims=True) - x.min(axis=axes, keepdims=True))
    total = np.zeros(x.shape, np.float64)
    for i in range(samples):
        moved = x + (sigma * normal(fold_in(key, i), x.shape, dtype=x.dtype)).astype(x.dtype)
        total += gradient(model, params, moved, target)[0]
    return (total / samples).astype(x.dtype)


def integrated_gradients(
    model: Layer,
    params: Tree,
    x: Any,
    *,
    target: Target = None,
    baseline: Any = 0.0,
    steps: int = 50,
) -> Any:
    """Return what each number of the input adds to the score, compared with a baseline.

    ``(x - x₀) · ∫₀¹ ∂ score(x₀ + t (x - x₀)) / ∂x dt``. By the fundamental theorem the sum over
    an example is ``score(x) - score(x₀)`` (completeness), but for the error of the quadrature,
    that of Gauss and Legendre.

    Args:
        model: a layer.
        params: its parameters.
        x: a batch.
        target: which output; None for the highest score of the input.
        baseline: x₀, an input that shows nothing: a number, or an array that broadcasts to x.
        steps: the number of nodes, each a forward and a backward pass.

    Raises:
        ArgumentError: if an argument is something else.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.dense(1), fcnn.tanh)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> x = np.array([[0.4, -0.3]], np.float32)
    >>> parts = fcnn.explain.integrated_gradients(model, params, x)
    >>> bool(np.isclose(parts.sum(), model.apply(params, x) - model.apply(params, 0 * x)))
    True

    Source: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", 2017,
    https://arxiv.org/abs/1703.01365.
    """
    check(model, params, x)
    steps = whole(steps, "steps")
    _, target = gradient(model, params, x, target)

    def start(leaf: Array, base: Any) -> Array:
        return np.broadcast_to(np.asarray(base, leaf.dtype), leaf.shape)

    is_tree = not isinstance(x, np.ndarray) and not np.isscalar(baseline)
    at = tree.map(start, x, baseline) if is_tree else tree.map(lambda a: start(a, baseline), x)
    way = tree.map(np.subtract, x, at)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = tree.map(lambda leaf: np.zeros(leaf.shape), x)
    for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        between = tree.map(lambda a, d, t=t: a + a.dtype.type(t) * d, at, way)
        slope, _ = gradient(model, params, between, target)
        total = tree.map(lambda sum_, g, w=weight: sum_ + w * g, total, slope)
    return tree.map(lambda d, sum_: (d * sum_).astype(d.dtype), way, total)
