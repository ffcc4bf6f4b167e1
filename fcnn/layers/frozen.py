"""A layer that does not learn."""

from __future__ import annotations

from typing import Any

from fcnn._freezing import FrozenParams, unmoved
from fcnn._layer import EVAL, Context, Layer, Triple, core, layer
from fcnn._typing import ModelPullback
from fcnn._walk import Attribute, Part, combinator
from fcnn.errors import ArgumentError, TreeError
from fcnn.prng import Key


@layer(inputs="any")
def frozen(layer: Layer) -> Triple:
    """Run a layer as a fixed function of its input: its params stay as they are.

    The layer runs as in evaluation, in training too: with stored batch-norm statistics and
    without dropout. Its params are in a node, ``FrozenParams(params)``, which optimizers treat
    as statistics: no weight decay moves them, no norm of the gradient counts them, and
    arithmetic on what stands in the place of their gradient raises a TypeError. dx is that of
    the layer.

    Where frozen layers are the first of a `serial`, nothing is kept for their pullback and none
    runs. Behind layers that learn, dx is needed, and a layer computes the gradients of its
    params with it, which are dropped.

    Raises:
        ArgumentError: if what it freezes is no layer.
        TreeError: if its params are not in a `FrozenParams`.

    A new last layer for a trained body:

    >>> import fcnn
    >>> body = fcnn.serial(fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.relu, fcnn.flatten)
    >>> body_params, _ = body.init(fcnn.key(0), (8, 8, 1))  # or trained ones
    >>> model = fcnn.serial(fcnn.frozen(body), fcnn.dense(10))
    >>> params, _ = model.init(fcnn.key(1), (8, 8, 1))
    >>> params = (fcnn.FrozenParams(body_params), params[1])
    """
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to freeze, got {layer!r}")

    def held(params: Any) -> Any:
        if type(params) is not FrozenParams:
            raise TreeError(
                f"expected FrozenParams, got {type(params).__name__}; "
                f"wrap the layer's params: fcnn.FrozenParams(params)"
            )
        return params.params

    def still(ctx: Context) -> Context:
        return Context(input_grad=ctx.input_grad, fuse=ctx.fuse)

    def init(key: Key, shape: Any) -> tuple[FrozenParams, Any]:
        params, out_shape = layer.init(key, shape)
        return FrozenParams(params), out_shape

    def apply(params: FrozenParams, x: Any, ctx: Context = EVAL) -> Any:
        return layer.apply(held(params), x, still(ctx))

    def vjp(params: FrozenParams, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        if not ctx.input_grad:
            return apply(params, x, ctx), lambda dy: (unmoved(params), None)
        y, pullback = core(layer.vjp)(held(params), x, still(ctx))
        return y, lambda dy: (unmoved(params), pullback(dy)[1])

    return init, apply, vjp


# No chain, whose layers `serial` would run by themselves.
@combinator(frozen, wiring="branches", eval_only=True)
def _frozen_parts(layer: Layer) -> list[Part]:
    return [Part("", layer.spec.arguments["layer"], (Attribute("params"),))]
