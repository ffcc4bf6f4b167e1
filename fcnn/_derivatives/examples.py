"""Gradients of each example by itself, from one pass over the batch.

Backwards, the gradients at the outputs of all examples pass together through every layer. Only
where a layer has params is the sum over the examples left out. For params of the usual forms
this is one stacked product (`fcnn._derivatives.stacked`), compared with the pullback at two
examples; for others
each example is pulled back by itself.

Source: I. Goodfellow, "Efficient per-example gradient computations", 2015,
https://arxiv.org/abs/1510.01799.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fcnn import _batch, tree
from fcnn._derivatives.certificate import floats
from fcnn._derivatives.stacked import forms, one_by_one
from fcnn._derivatives.wiring import Wires, wires_of
from fcnn._doors import check_loss, check_model
from fcnn._layer import EVAL, Context, Layer, core, refuse_context
from fcnn._typing import Array
from fcnn.errors import ArgumentError, FcnnError
from fcnn.layers._joins import total_of

if TYPE_CHECKING:
    from fcnn._signatures import Grad
    from fcnn.losses import Loss

Pull: TypeAlias = Callable[[Any], tuple[Any, Any]]
"""``pull(dy) -> (gradients of each example in the params, dx)``."""


def per_example_gradients(model: Layer, loss: Loss) -> Grad:
    """Return the function that gives the gradient of each example's loss in the params.

    Example i of the result is ``grad(model, loss)(params, x[i:i+1], target[i:i+1])``, computed
    in one pass over the batch: two to five times as fast as a loop over the examples for networks
    as small as LeNet, and no faster where each example is large (32 × 32 pixels of 32 channels)
    or the gradients themselves are, whose memory is then the limit.

    Args:
        model: a layer.
        loss: a loss.

    Returns:
        ``f(params, x, target, ctx=EVAL) -> grads``, a tree like params whose arrays have the
        axis of the examples in front, ``(n, ...)``. In the place of a statistic is an
        `fcnn.tree.Observation` that observed nothing, so that the mean over the examples goes
        into an optimizer's step.

    Raises:
        ArgumentError: if model or loss is something else; from ``f``, in training with batch
            statistics: an example then has no gradient of its own.
        ShapeError: from ``f``, if the batch is empty or its target has another length.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.per_example_gradients(model, fcnn.losses.mean_squared_error)
    >>> f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)).weight.shape
    (4, 2, 1)
    """
    check_model(model)
    check_loss(loss)

    def f(params: Any, x: Any, target: Any, ctx: Context = EVAL) -> Any:
        if type(ctx) is not Context:
            refuse_context(ctx)
        n = _batch.check_targets(x, target)
        y, pull = pull_examples(model, params, x, ctx.at((), False))
        dys = []
        for i in range(n):
            one = slice(i, i + 1)
            dys.append(loss.vjp(_batch.take(y, one), _batch.take(target, one))[1](1.0))
        return pull(_batch.concatenate(dys))[0]

    return f


def pull_examples(
    model: Layer, params: Any, x: Any, ctx: Context, in_params: bool = True
) -> tuple[Any, Pull]:
    """Return the output, and the pullback that does not add the params' gradients.

    Without ``in_params`` these are not wanted: it is the model's.

    Raises:
        ArgumentError: in training, if the params hold statistics.
    """
    if ctx.train and any(tree.statistics(params)):
        raise ArgumentError(
            "expected evaluation, got a training context and params with statistics; a batch's "
            "statistics mix its examples: leave ctx out"
        )
    return _pull(model, params, x, ctx) if in_params else model.vjp(params, x, ctx)


def _pull(layer: Layer, params: Any, x: Any, ctx: Context) -> tuple[Any, Pull]:
    wires = wires_of(layer) if floats(params) else None
    if wires is None:
        return _of_leaf(layer, params, x, ctx)
    y, pull = _through(wires, params, x, ctx)
    if wires.is_known:
        return y, pull
    leaf_y, leaf_pull = _of_leaf(layer, params, x, ctx)
    _, pullback = core(layer.vjp)(params, x, ctx)

    def certified(dy: Any) -> tuple[Any, Any]:
        grads, _ = pull(dy)
        if _are_right(grads, _gradient_of_one(layer, params, x, ctx, dy)):
            return grads, pullback(dy)[1] if ctx.input_grad else None
        return leaf_pull(dy)

    return leaf_y, certified


def _through(wires: Wires, params: Any, x: Any, ctx: Context) -> tuple[Any, Pull]:
    pulls, outputs = [], []
    is_chain, seen = wires.wiring == "chain", wires.read(x)
    rows = zip(wires.parts, wires.own(params), wires.contexts(ctx), seen, strict=True)
    for i, (part, own, context, its) in enumerate(rows):
        context = context.at((), ctx.input_grad or (is_chain and i > 0))
        x, pull = _pull(part.layer, own, x if is_chain else its, context)
        pulls.append(pull)
        outputs.append(x)
    if is_chain:

        def backwards(dy: Any) -> tuple[Any, Any]:
            grads = []
            for pull in reversed(pulls):
                grad, dy = pull(dy)
                grads.append(grad)
            return wires.together(grads[::-1]), dy

        return x, backwards

    y, pull_join = wires.apart(outputs), None
    if wires.join is not None:
        y, pull_join = core(wires.join.vjp)((), y)

    def side_by_side(dy: Any) -> tuple[Any, Any]:
        dy = dy if pull_join is None else pull_join(dy)[1]
        keys = [part.item for part in wires.parts]
        pairs = [pull(dy[key]) for pull, key in zip(pulls, keys, strict=True)]
        grads, dxs = wires.together([grad for grad, _ in pairs]), [dx for _, dx in pairs]
        if not ctx.input_grad:
            return grads, None
        return grads, wires.apart(dxs) if wires.wiring == "items" else total_of(dxs)

    return y, side_by_side


def _of_leaf(layer: Layer, params: Any, x: Any, ctx: Context) -> tuple[Any, Pull]:
    y, pullback = core(layer.vjp)(params, x, ctx)
    if not floats(params):
        return y, pullback
    found = list(forms(layer, params, x, ctx)) if isinstance(x, np.ndarray) else []

    def pull(dy: Any) -> tuple[Any, Any]:
        dx = pullback(dy)[1] if ctx.input_grad else None
        gradient = _gradient_of_one(layer, params, x, ctx, dy)
        for form in found:
            try:
                grads = form(dy)
            except (FcnnError, ValueError, TypeError, IndexError):
                continue  # the layer is not what the fields of its params promise
            if _are_right(grads, gradient):
                return grads, dx
        return one_by_one(params, _batch.length(x), gradient), dx

    return y, pull


def _gradient_of_one(
    layer: Layer, params: Any, x: Any, ctx: Context, dy: Any
) -> Callable[[int], Any]:
    """Return the function that pulls back one example's dy alone."""

    def alone(i: int) -> Any:
        one = slice(i, i + 1)
        _, pullback = core(layer.vjp)(params, _batch.take(x, one), ctx.at((), False))
        return pullback(_batch.take(dy, one))[0]

    def among_others(i: int) -> Any:
        _, pullback = core(layer.vjp)(params, x, ctx.at((), False))
        return pullback(tree.map(lambda d: _only(d, i), dy))[0]

    # In training, what is drawn depends on the example's place in the batch.
    return among_others if ctx.train else alone


def _only(dy: Array, i: int) -> Array:
    """Return dy with all examples but one zero."""
    kept = np.zeros_like(dy)
    kept[i] = dy[i]
    return kept


def _are_right(grads: Any, gradient: Callable[[int], Any]) -> bool:
    """Return whether the gradients of the first and the last example are those pulled back alone.

    The other examples' come from the same formula.
    """
    for i in (0, -1):
        n = len(floats(grads)[0])
        for grad, expected in zip(floats(grads), floats(gradient(i % n)), strict=True):
            if grad.shape[1:] != expected.shape:
                return False
            rounding = 1e-3 if grad.dtype == np.float32 else 1e-10
            error = np.abs(grad[i] - expected).max(initial=0)
            if not error <= rounding * np.abs(expected).max(initial=0):
                return False
    return True
