"""The rules of fusion: which neighbouring layers run as one kernel, and how.

A convolution applies its epilogue (bias and activation) block by block, while a block is in
cache, and takes the maximum over a pool that tiles its output before both. In evaluation a
batch norm is ``x * factor + offset`` a channel, so it folds into the convolution before it::

    weight' = weight · factor      bias' = bias · factor + offset

Two convolutions with nothing between them are one with larger filters, where that takes fewer
multiplications (`fcnn._ops.conv_composed`).

In training a pullback keeps what it reads. A convolution behind a batch norm and its activation
reads their output, which one pass over the batch norm's own input gives again, to the bit: so it is
computed anew in the pullback instead of kept.

With the activation alone the bits are those of the layers one by one. A pool, a folded batch norm
or a composed convolution gives the same within the rounding of a product of another width and of
sums in another order, 1e-5 of the terms' sizes in float32; where two elements of a window become
equal only by the rounding of ``x + bias``, the pool's gradient goes to the larger, not to the
first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from fcnn._layer import Context, Layer, core
from fcnn._ops.conv_pooled import correlate_pooled, correlate_pooled_adjoints
from fcnn._ops.epilogue import RELU, Epilogue
from fcnn._ops.rectifiers import clipped, exponential, leaky
from fcnn._ops.window import Pair, Window
from fcnn._typing import Array, ModelPullback
from fcnn._walk import parts_of
from fcnn.fusion import Fused, RunPullback, copy_rules, of_layer, rule
from fcnn.layers._composition import Composition, WeightAndBias
from fcnn.layers._convolution import Convolution
from fcnn.layers._sliding import ConvParams
from fcnn.layers.activations import relu
from fcnn.layers.branches import add, concat, residual
from fcnn.layers.conv import conv1d, conv2d, conv3d
from fcnn.layers.norm import BatchNorm, batch_norm
from fcnn.layers.pool import Pooling, max_pool2d
from fcnn.layers.rectifiers import (
    SELU_ALPHA,
    SELU_GAIN,
    celu,
    elu,
    leaky_relu,
    relu6,
    selu,
)

EPILOGUES: dict[Any, Callable[..., Epilogue]] = {
    relu: lambda: RELU,
    relu6: lambda: clipped(0, 6),
    leaky_relu: lambda negative_slope: leaky(negative_slope),
    elu: lambda alpha: exponential(alpha),
    selu: lambda: exponential(SELU_ALPHA, gain=SELU_GAIN),
    celu: lambda alpha: exponential(alpha, width=alpha),
}
"""The activations that a kernel applies to its blocks, all of them non-decreasing: of a layer's
arguments. The rules below name relu, and hold for each of them."""


def epilogues_of(layers: Sequence[Layer]) -> list[Epilogue]:
    """Return how a kernel applies those of the layers that are activations."""
    made_by = [(each, each if each.spec.is_name else each.spec.constructor) for each in layers]
    return [EPILOGUES[by](**each.spec.arguments) for each, by in made_by if by in EPILOGUES]


class ConvRun:
    """A convolution with what follows it: a max pool or none, an activation or none."""

    def __init__(self, conv: Convolution, rest: Sequence[Layer], first: int = 1) -> None:
        """Parse the layers ``rest``, whose places in the run are from ``first`` on."""
        self.conv = conv
        self.epilogue = next(iter(epilogues_of(rest)), None)
        pools = [i for i, each in enumerate(rest) if each.spec.constructor is max_pool2d]
        self.pooling = Pooling.of(rest[pools[0]]) if pools else None
        self.pool_at = first + pools[0] if pools else 0

    @property
    def is_possible(self) -> bool:
        """Whether the pool can be taken along: windows that tile, one bias a filter, zeros."""
        return self.pooling is None or (
            self.pooling.is_tiling
            and self.conv.bias != "untied"
            and self.conv.padding_mode == "zeros"
        )

    def apply(self, params: ConvParams, x: Array, window: Window) -> Array:
        """Return the run's output; ``window`` is what `check` gave."""
        if self.pooling is None:
            return self.conv.apply(params, x, window, self.epilogue)
        y: Array = self._pooled(params, x, window, keep=False)[0]
        return y

    def vjp(
        self, params: ConvParams, x: Array, ctx: Context, window: Window
    ) -> tuple[Array, ModelPullback]:
        """Return the run's output and its pullback to the convolution's params and x."""
        x = self.conv.arranged(x, window)
        y, adjoint = self.linearized(params, x, ctx.input_grad, window)
        return y, functools.partial(adjoint, x)

    def linearized(
        self, params: ConvParams, x: Array, input_grad: bool, window: Window
    ) -> tuple[Array, Callable[[Array, Array], tuple[ConvParams, Any]]]:
        """Return the output and ``adjoint(x, dy)``, as `Convolution.linearized` does."""
        if self.pooling is None:
            return self.conv.linearized(params, x, input_grad, window, self.epilogue)
        pool = self.pooling.tile
        y, raw, columns = self._pooled(params, x, window, keep=True)
        weight, bias, groups = self.conv.weight(params), self.conv.bias, self.conv.groups
        out = None if self.epilogue is None else y

        def adjoint(x: Array, dy: Array) -> tuple[ConvParams, Array | None]:
            dweight, dbias, dx = correlate_pooled_adjoints(
                x,
                weight,
                dy,
                window,
                groups,
                bias is not None,
                pool,
                raw,
                out,
                self.epilogue,
                input_grad,
                columns,
            )
            return self.conv.gradients(dweight, dbias), dx

        return y, adjoint

    def check(self, params: ConvParams, x: Array) -> Window:
        """Refuse an input that does not fit; return where the filter stands."""
        window = self.conv.check(params, x)
        self.check_pool(window)
        return window

    def check_pool(self, window: Window) -> None:
        """Refuse an output of the convolution that the pool does not fit."""
        if self.pooling is None:
            return
        (oh, ow), (ph, pw) = window.out, self.pooling.pool_size
        if oh < ph or ow < pw:  # the pool raises its own error
            of_layer(self.pool_at, self.pooling.window, (*window.out, self.conv.filters))

    def _pooled(self, params: ConvParams, x: Array, window: Window, keep: bool) -> Any:
        pool: Pair = self.pooling.tile  # type: ignore[union-attr]
        weight, bias = self.conv.weight(params), self.conv.bias_of(params)
        return correlate_pooled(
            x, weight, window, self.conv.groups, bias, self.epilogue, pool, keep
        )


@rule(conv1d, relu)
@rule(conv2d, relu)
@rule(conv3d, relu)
@rule(conv2d, max_pool2d)
@rule(conv2d, relu, max_pool2d)
@rule(conv2d, max_pool2d, relu)
def fuse_conv(conv: Layer, *rest: Layer) -> Fused | None:
    """A convolution, a max pool that tiles its output, an activation: in one pass."""
    run, nothing = ConvRun(Convolution.of(conv), rest), ((),) * len(rest)
    if not run.is_possible:
        return None

    def apply(params: Sequence[Any], x: Array, ctx: Context) -> Array:
        return run.apply(params[0], x, run.check(params[0], x))

    def vjp(params: Sequence[Any], x: Array, ctx: Context) -> tuple[Array, RunPullback]:
        y, pullback = run.vjp(params[0], x, ctx, run.check(params[0], x))

        def pullback_of_run(dy: Array) -> tuple[Sequence[Any], Any]:
            grads, dx = pullback(dy)
            return (grads, *nothing), dx

        return y, pullback_of_run

    return Fused(apply, vjp)


@rule(conv1d, batch_norm, eval_only=True)
@rule(conv1d, batch_norm, relu, eval_only=True)
@rule(conv3d, batch_norm, eval_only=True)
@rule(conv3d, batch_norm, relu, eval_only=True)
@rule(conv2d, batch_norm, eval_only=True)
@rule(conv2d, batch_norm, relu, eval_only=True)
@rule(conv2d, batch_norm, max_pool2d, eval_only=True)
@rule(conv2d, batch_norm, relu, max_pool2d, eval_only=True)
@rule(conv2d, batch_norm, max_pool2d, relu, eval_only=True)
def fold_batch_norm(conv: Layer, norm: Layer, *rest: Layer) -> Fused | None:
    """A batch norm in evaluation, folded into the convolution before it."""
    plain, affine = Convolution.of(conv), BatchNorm.of(norm)
    # What is folded always has a bias.
    run = ConvRun(attrs.evolve(plain, bias=plain.bias or "tied"), rest, first=2)
    nothing = ((),) * len(rest)
    if not run.is_possible:
        return None

    def folded(params: Sequence[Any], x: Array) -> tuple[Any, Array, Window]:
        own, its = params[:2]
        window = plain.check(own, x)
        of_layer(1, affine.check, its, (len(x), *window.out, plain.filters), x.dtype, False)
        run.check_pool(window)
        factor, offset = affine.affine(its)
        bias = own.bias * factor + offset if plain.bias else offset
        weight = own.weight * factor
        if weight.dtype != x.dtype or bias.dtype != x.dtype:  # statistics of another precision
            weight, bias = weight.astype(x.dtype), bias.astype(x.dtype)
        return WeightAndBias(weight, bias), factor, window

    def apply(params: Sequence[Any], x: Array, ctx: Context) -> Array:
        both, _, window = folded(params, x)
        return run.apply(both, x, window)

    def vjp(params: Sequence[Any], x: Array, ctx: Context) -> tuple[Array, RunPullback]:
        (own, its), (both, factor, window) = params[:2], folded(params, x)
        y, pullback = run.vjp(both, x, ctx, window)

        def pullback_of_run(dy: Array) -> tuple[Sequence[Any], Any]:
            grads, dx = pullback(dy)
            pixels = tuple(range(grads.bias.ndim - 1))  # of an untied bias; none otherwise
            dfactor = (grads.weight * own.weight).sum(axis=tuple(range(plain.rank + 1)))
            dbias: Any = ()
            if plain.bias:
                dfactor = dfactor + (grads.bias * own.bias).sum(axis=pixels)
                dbias = grads.bias * factor
            dconv = ConvParams(grads.weight * factor, dbias)
            dnorm = affine.affine_adjoint(its, dfactor, grads.bias.sum(axis=pixels))
            return (dconv, dnorm, *nothing), dx

        return y, pullback_of_run

    return Fused(apply, vjp)


@rule(conv2d, conv2d)
@rule(conv2d, conv2d, relu)
@rule(conv2d, conv2d, max_pool2d)
@rule(conv2d, conv2d, relu, max_pool2d)
@rule(conv2d, conv2d, max_pool2d, relu)
def compose_convs(first: Layer, second: Layer, *rest: Layer) -> Fused | None:
    """Two convolutions as one, where that takes less than half the multiplications."""
    both = Composition.of(Convolution.of(first), Convolution.of(second))
    if both is None:
        return None
    run, nothing = ConvRun(both.conv, rest, first=2), ((),) * len(rest)
    if not run.is_possible:
        return None

    def check(params: Sequence[Any], x: Array) -> Window:
        window = both.check(params, x)
        run.check_pool(window)
        return window

    def apply(params: Sequence[Any], x: Array, ctx: Context) -> Array:
        window = check(params, x)
        return run.apply(both.params(params), x, window)

    def vjp(params: Sequence[Any], x: Array, ctx: Context) -> tuple[Array, RunPullback]:
        window = check(params, x)
        y, pullback = run.vjp(both.params(params), x, ctx, window)

        def pullback_of_run(dy: Array) -> tuple[Sequence[Any], Any]:
            grads, dx = pullback(dy)
            return (*both.gradients(params, grads), *nothing), dx

        return y, pullback_of_run

    return Fused(apply, vjp)


@rule(batch_norm, relu)
def fuse_batch_norm(norm: Layer, activation: Layer) -> Fused:
    """A batch norm that applies an activation to its blocks."""
    own, (epilogue,) = BatchNorm.of(norm), epilogues_of([activation])

    def apply(params: Sequence[Any], x: Array, ctx: Context) -> Array:
        return own.apply(params[0], x, ctx, epilogue)

    def vjp(params: Sequence[Any], x: Array, ctx: Context) -> tuple[Array, RunPullback]:
        y, pullback = own.vjp(params[0], x, ctx, epilogue)

        def pullback_of_run(dy: Array) -> tuple[Sequence[Any], Any]:
            grads, dx = pullback(dy)
            return (grads, ()), dx

        return y, pullback_of_run

    return Fused(apply, vjp)


@rule(batch_norm, relu, conv1d, train_only=True)
@rule(batch_norm, relu, conv2d, train_only=True)
@rule(batch_norm, relu, conv3d, train_only=True)
@rule(batch_norm, relu, conv1d, relu, train_only=True)
@rule(batch_norm, relu, conv2d, relu, train_only=True)
@rule(batch_norm, relu, conv3d, relu, train_only=True)
@rule(batch_norm, relu, conv2d, max_pool2d, train_only=True)
@rule(batch_norm, relu, conv2d, relu, max_pool2d, train_only=True)
@rule(batch_norm, relu, conv2d, max_pool2d, relu, train_only=True)
def renew_between(norm: Layer, activation: Layer, conv: Layer, *rest: Layer) -> Fused | None:
    """A batch norm, an activation, a convolution: what is between them is not kept.

    The pullback computes it anew from the input of the batch norm, which is kept anyway: a pass
    over memory, for a quarter of what a block of a residual network would keep.
    """
    own, (epilogue,) = BatchNorm.of(norm), epilogues_of([activation])
    run, nothing = ConvRun(Convolution.of(conv), rest, first=3), ((),) * len(rest)
    if not run.is_possible:
        return None

    def check(params: Sequence[Any], between: Array) -> Window:
        window = of_layer(2, run.conv.check, params[2], between)
        run.check_pool(window)
        return window

    def apply(params: Sequence[Any], x: Array, ctx: Context) -> Array:
        between = own.apply(params[0], x, ctx, epilogue)
        return run.apply(params[2], between, check(params, between))

    def vjp(params: Sequence[Any], x: Array, ctx: Context) -> tuple[Array, RunPullback]:
        between, again, adjoint_of_norm = own.linearized(params[0], x, epilogue)
        window = check(params, between)
        given = run.conv.arranged(between, window)
        y, adjoint_of_conv = run.linearized(params[2], given, True, window)

        def pullback_of_run(dy: Array) -> tuple[Sequence[Any], Any]:
            between = again()
            dconv, dbetween = adjoint_of_conv(run.conv.arranged(between, window), dy)
            dnorm, dx = adjoint_of_norm(between, dbetween)
            return (dnorm, (), dconv, *nothing), dx

        return y, pullback_of_run

    return Fused(apply, vjp)


@rule(add, relu)
@rule(residual, relu)
@rule(concat, relu)
def fuse_join(join: Layer, activation: Layer) -> Fused | None:
    """A sum or concatenation of branches, with the activation applied where it lies."""
    if len(parts_of(join)) < 2:
        return None  # its output may be that of its only branch
    (epilogue,) = epilogues_of([activation])
    core_vjp = core(join.vjp)

    def apply(params: Sequence[Any], x: Any, ctx: Context) -> Array:
        y = join.apply(params[0], x, ctx)
        return epilogue.apply(y, out=y)

    def vjp(params: Sequence[Any], x: Any, ctx: Context) -> tuple[Array, RunPullback]:
        y, pullback = core_vjp(params[0], x, ctx)
        y = epilogue.apply(y, out=y)

        def pullback_of_run(dy: Array) -> tuple[Sequence[Any], Any]:
            grads, dx = pullback(epilogue.adjoint(y, dy))
            return (grads, ()), dx

        return y, pullback_of_run

    return Fused(apply, vjp)


copy_rules(relu, *[each for each in EPILOGUES if each != relu])
