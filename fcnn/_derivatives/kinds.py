"""Forward rules: the products with the Jacobian of the layers here whose kind is known.

* Linear in the input but for a bias (dense, convolutions, means, whatever moves elements):
  ``J v`` is the layer of v without its bias; and linear in the params, so that along a tangent
  of these it is the layer with the tangent as its params.
* Without params, and with a symmetric Jacobian (elementwise functions, masks, softmax): ``J v``
  is the pullback of v.
* Normalisations: ``J = diag(scale) M`` with M symmetric, being the Hessian of a norm; linear in
  scale and bias.

They save the search and the certificate that other layers need, most of their time.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import Context, Layer, core
from fcnn._typing import Tree

_LINEAR = frozenset(
    (
        *("dense", "conv1d", "conv2d", "conv3d", "depthwise_conv2d"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("avg_pool1d", "avg_pool2d", "avg_pool3d", "global_avg_pool", "adaptive_avg_pool"),
        *("upsample2d", "resize2d", "pixel_shuffle", "pixel_unshuffle", "crop2d"),
        *("flatten", "reshape", "transpose", "add", "concat"),
    )
)
_SYMMETRIC = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
        *("sigmoid", "tanh", "log_sigmoid", "softplus", "softsign", "softmax", "softmax_over"),
        *("hard_swish", "hard_sigmoid", "hard_tanh", "hard_shrink", "soft_shrink", "elementwise"),
        *("dropout", "spatial_dropout", "stochastic_depth", "alpha_dropout", "gaussian_noise"),
    )
)
_NORMS = frozenset(("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"))


def product(
    layer: Layer, params: Any, x: Any, ctx: Context, dparams: Any, dx: Any
) -> tuple[Any, Any] | None:
    """Return the output and its tangent, None being zero; None if the kind is not known."""
    constructor = layer.spec.constructor
    if not constructor.__module__.startswith("fcnn.layers."):
        return None
    name = layer.spec.name
    if name in _LINEAR:
        return _of_linear(layer, params, x, ctx, dparams, dx)
    if name in _SYMMETRIC:
        y, pullback = core(layer.vjp)(params, x, ctx)
        return y, None if dx is None else pullback(dx)[1]
    if name in _NORMS:
        return _of_norm(layer, params, x, ctx, dparams, dx)
    return None


def _of_linear(
    layer: Layer, params: Any, x: Any, ctx: Context, dparams: Any, dx: Any
) -> tuple[Any, Any]:
    apply = core(layer.apply)
    tangent = None
    if dx is not None:
        has_bias = isinstance(getattr(params, "bias", None), np.ndarray)
        bare = attrs.evolve(params, bias=np.zeros_like(params.bias)) if has_bias else params
        tangent = apply(bare, dx, ctx)
    if dparams is not None:
        of_params = apply(dparams, x, ctx)
        tangent = of_params if tangent is None else tangent + of_params
    return apply(params, x, ctx), tangent


def _of_norm(
    layer: Layer, params: Any, x: Any, ctx: Context, dparams: Any, dx: Any
) -> tuple[Any, Any]:
    has_scale = isinstance(params.scale, np.ndarray)
    plain = attrs.evolve(params, scale=np.ones_like(params.scale)) if has_scale else params
    tangent = None
    if dx is not None:
        tangent = core(layer.vjp)(plain, x, ctx)[1](dx)[1]
        tangent = params.scale * tangent if has_scale else tangent
    if dparams is not None:
        moved: Tree = tree.map(lambda p, d: d, params, dparams, statistic=lambda p, _: p)
        of_params = core(layer.apply)(moved, x, ctx)
        if not has_scale:  # then it is affine: what no bias gives is there too
            still = tree.map(np.zeros_like, params)
            of_params = of_params - core(layer.apply)(still, x, ctx)
        tangent = of_params if tangent is None else tangent + of_params
    return core(layer.apply)(params, x, ctx), tangent
