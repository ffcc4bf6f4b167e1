"""Weight standardization: a layer whose filters have mean 0 and variance 1.

Forward, over the m elements of a filter::

    mean = Σw / m      var = Σ(w - mean)² / m      σ = √(var + eps)      ŵ = (w - mean) / σ

Backward, from the gradient g at ŵ, as for batch norm::

    dw = (g - Σg/m - ŵ · Σ(g·ŵ)/m) / σ

Source: S. Qiao et al., "Micro-batch training with batch-channel normalization and weight
standardization", 2019, https://arxiv.org/abs/1903.10520.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn._check import number
from fcnn._layer import EVAL, Context, Layer, Triple, core, layer
from fcnn._typing import Array, ModelPullback, Tree
from fcnn._walk import Part, combinator
from fcnn.errors import ArgumentError
from fcnn.prng import Key


@layer(inputs="any")
def weight_standardized(conv: Layer, *, eps: float = 1e-5) -> Triple:
    """Standardise the weight of a convolution before it runs.

    Each filter is ``(w - mean) / sqrt(var + eps)``, mean and variance over all axes of the weight
    but the last. The params are those of ``conv``; what is learnt is w. It goes with `group_norm`
    behind it, for batches too small for `batch_norm`.

    Args:
        conv: a layer whose params have a ``weight`` with the filters on the last axis: `conv2d`,
            `depthwise_conv2d`, `dense` and so on.
        eps: is added to the variance.

    Raises:
        ArgumentError: if ``conv`` is no layer, its params have no ``weight``, or ``eps`` is
            negative.

    >>> import numpy as np, fcnn
    >>> layer = fcnn.weight_standardized(fcnn.conv2d(8, 3))
    >>> params, _ = layer.init(fcnn.key(0), (5, 5, 4))
    >>> flat = np.ones((1, 5, 5, 4), np.float32)
    >>> bool(abs(layer.apply(params, flat)).max() < 1e-4)  # the elements of a filter add up to 0
    True

    Source: S. Qiao et al., "Micro-batch training with batch-channel normalization and weight
    standardization", 2019, https://arxiv.org/abs/1903.10520.
    """
    eps = number(eps, "eps", 0)
    if not isinstance(conv, Layer):
        hint = "; call the constructor" if callable(conv) else ""
        raise ArgumentError(f"expected a layer, got {conv!r}{hint}")

    def init(key: Key, shape: Any) -> tuple[Tree, Any]:
        params, out = conv.init(key, shape)
        if not isinstance(getattr(params, "weight", None), np.ndarray):
            raise ArgumentError(f"expected a layer whose params have a weight, got {conv!r}")
        return params, out

    def apply(params: Any, x: Any, ctx: Context = EVAL) -> Any:
        standard, _ = _standardise(params.weight, eps)
        return conv.apply(attrs.evolve(params, weight=standard), x, ctx)

    def vjp(params: Any, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        standard, spread = _standardise(params.weight, eps)
        y, pullback = core(conv.vjp)(attrs.evolve(params, weight=standard), x, ctx)

        def pullback_of_both(dy: Any) -> tuple[Tree, Any]:
            dparams, dx = pullback(dy)
            dweight = _standardise_adjoint(standard, spread, dparams.weight)
            return attrs.evolve(dparams, weight=dweight), dx

        return y, pullback_of_both

    return init, apply, vjp


def _standardise(weight: Array, eps: float) -> tuple[Array, Array]:
    """Return ŵ, and σ of each filter in float64."""
    rows = weight.reshape(-1, weight.shape[-1]).astype(np.float64)
    with np.errstate(invalid="ignore"):
        rows -= rows.mean(axis=0)
        spread = np.sqrt(np.square(rows).mean(axis=0) + eps)
        rows /= spread
    return rows.reshape(weight.shape).astype(weight.dtype), spread


def _standardise_adjoint(standard: Array, spread: Array, dstandard: Array) -> Array:
    """Return the gradient at w from that at ŵ."""
    rows = standard.reshape(-1, standard.shape[-1])
    drows = dstandard.reshape(rows.shape).astype(np.float64)
    with np.errstate(invalid="ignore"):
        slope = (drows * rows).mean(axis=0)
        drows -= drows.mean(axis=0)
        drows -= rows * slope
        drows /= spread
    return drows.reshape(standard.shape).astype(standard.dtype)


# No chain, whose layers `serial` would run by themselves.
@combinator(weight_standardized, wiring="branches")
def _parts(layer: Layer) -> list[Part]:
    return [Part("weight_standardized", layer.spec.arguments["conv"], ())]
