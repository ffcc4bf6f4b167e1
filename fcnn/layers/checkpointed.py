"""Gradient checkpointing: the pullback computes the forward pass again, to save memory."""

from __future__ import annotations

from typing import Any

from fcnn._layer import EVAL, Context, Layer, Triple, core, layer
from fcnn._typing import ModelPullback, Tree
from fcnn._walk import Part, combinator
from fcnn.errors import ArgumentError


@layer(inputs="any")
def checkpointed(layer: Layer) -> Triple:
    """Keep a layer's input alone for its pullback, which computes the rest again.

    Outputs and gradients have the same bits as the layer's: randomness comes from the same
    key. The forward pass of the layer runs twice. A stack of k equal blocks, each in a
    checkpointed, keeps k inputs and what one block keeps.

    Raises:
        ArgumentError: if it is not given a layer.

    >>> import fcnn
    >>> block = fcnn.residual(fcnn.conv2d(4, 3, padding="same"), fcnn.batch_norm(), fcnn.relu)
    >>> model = fcnn.repeat(fcnn.checkpointed(block), 4)
    >>> model.init(fcnn.key(0), (8, 8, 4))[1]
    (8, 8, 4)

    Source: T. Chen et al., "Training deep nets with sublinear memory cost", 2016,
    https://arxiv.org/abs/1604.06174.
    """
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to checkpoint, got {layer!r}")

    def vjp(params: Tree, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        def pullback(dy: Any) -> tuple[Tree, Any]:
            again: ModelPullback = core(layer.vjp)(params, x, ctx)[1]
            return again(dy)

        return layer.apply(params, x, ctx), pullback

    return layer.init, layer.apply, vjp


# No chain, whose layers `serial` would run by themselves.
@combinator(checkpointed, wiring="branches")
def _checkpointed_parts(layer: Layer) -> list[Part]:
    return [Part("", layer.spec.arguments["layer"], ())]
