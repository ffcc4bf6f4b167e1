"""The convolution layer."""

from __future__ import annotations

from typing import Any

from fcnn._check import pair, whole
from fcnn._layer import EVAL, Apply, Context, Fusible, Layer, Vjp, check_dtype, layer
from fcnn._ops.conv import correlate, correlate_adjoints
from fcnn._ops.conv_pooled import correlate_pooled, correlate_pooled_adjoints
from fcnn._ops.epilogue import RELU
from fcnn._ops.layout import images_innermost
from fcnn._ops.window import Pair, Window, check_padding, slide
from fcnn._typing import Array, ModelPullback, Padding, Shape, Size
from fcnn.errors import ArgumentError, ShapeError
from fcnn.initializers import he_normal, zeros
from fcnn.layers.activations import relu
from fcnn.layers.norm import as_affine
from fcnn.layers.pool import tile
from fcnn.prng import Key, split
from fcnn.tree import node


@node
class ConvParams:
    """What `conv2d` learns. Without a bias, ``bias`` is ``()``."""

    weight: Array  # (kh, kw, c_in / groups, filters)
    bias: Any  # (filters,), (oh, ow, filters) or ()


@layer
def conv2d(
    filters: int,
    kernel: Size,
    *,
    stride: Size = 1,
    padding: Padding = "valid",
    dilation: Size = 1,
    groups: int = 1,
    bias: str | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Fusible:
    """Two-dimensional cross-correlation over all input channels, or convolution.

    With stride S, dilation D and the image padded by zeros::

        y[n, o, f] = bias[f] + sum over k, c of  x[n, S·o + D·k, c] · weight[k, c, f]

    where o and k run over rows and columns. The output has
    ``(image + padding - (D·(kernel - 1) + 1)) // S + 1`` rows, and columns likewise.

    Shapes: x ``(n, h, w, c_in)``, weight ``(kh, kw, c_in / groups, filters)``,
    y ``(n, oh, ow, filters)``.

    Args:
        filters: how many output channels.
        kernel: height and width, or one number for both.
        stride: how far the kernel moves.
        padding: ``"valid"``; ``"same"``, out = ceil(image / stride), an odd one below
            and to the right; a number; ``(rows, columns)``; or
            ``((top, bottom), (left, right))``.
        dilation: how far the kernel's elements stand apart.
        groups: input and output channels are cut into that many groups, each of
            which sees itself only; ``groups=c_in`` is the depthwise convolution.
        bias: ``"tied"``, one a filter; ``"untied"``, one a filter and pixel; or None.
        flip: rotate the kernel by 180°, which makes it convolution proper.
        weight_init: initializer of the weight.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if the kernel is larger than the padded image, or the channels
            do not fit.

    The 4×4 image and the kernel [[1, 0], [0, -1]], worked by hand:

    >>> import numpy as np, fcnn
    >>> image = np.array([[1., 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
    >>> layer = fcnn.conv2d(1, 2, bias=None)
    >>> params, out_shape = layer.init(fcnn.key(0), (4, 4, 1))
    >>> kernel = np.array([[1., 0], [0, -1]]).reshape(2, 2, 1, 1)
    >>> layer.apply(type(params)(kernel, ()), image[None, :, :, None])[0, :, :, 0]
    array([[-5., -5., -5.],
           [-5., -5., -5.],
           [-5., -5., -5.]])

    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
    learning", 2016, https://arxiv.org/abs/1603.07285.
    """
    filters, groups = whole(filters, "filters"), whole(groups, "groups")
    size, step = pair(kernel, "kernel"), pair(stride, "stride")
    spread, margin = pair(dilation, "dilation"), check_padding(padding)
    if bias not in ("tied", "untied", None):
        raise ArgumentError(f'bias must be "tied", "untied" or None, and {bias!r} came')
    if filters % groups:
        raise ArgumentError(f"filters must be a multiple of groups, and {filters} % {groups} != 0")

    def window(image: Shape) -> Window:
        return slide((image[0], image[1]), size, step, spread, margin)

    def init(key: Key, shape: Shape) -> tuple[ConvParams, Shape]:
        if len(shape) != 3:
            raise ShapeError(f"wanted an image (h, w, c), and {shape} came")
        channels = shape[2]
        if channels % groups:
            raise ShapeError(f"{channels} channels do not divide into {groups} groups")
        out = (*window(shape).out, filters)
        k_weight, k_bias = split(key, 2)
        weight = weight_init(k_weight, (*size, channels // groups, filters))
        bias_shape = out if bias == "untied" else (filters,)
        return ConvParams(weight, bias_init(k_bias, bias_shape) if bias else ()), out

    def maps(rectify: bool) -> tuple[Apply, Vjp]:
        """The layer's apply and vjp, or those of the layer and a relu behind it."""
        epilogue = RELU if rectify else None

        def forward(params: ConvParams, x: Array, view: Window) -> tuple[Array, Array | None]:
            weight = oriented(params.weight)
            return correlate(x, weight, view, groups, params.bias if bias else None, epilogue)

        def apply(params: ConvParams, x: Array, ctx: Context = EVAL) -> Array:
            return forward(params, x, check(params, x))[0]

        def vjp(params: ConvParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
            view = check(params, x)
            x = images_innermost(x)
            y, columns = forward(params, x, view)

            def pullback(dy: Array) -> tuple[ConvParams, Array | None]:
                dweight, dbias, dx = correlate_adjoints(
                    x,
                    oriented(params.weight),
                    dy,
                    view,
                    groups,
                    y=y if rectify else None,
                    epilogue=epilogue,
                    bias=bias,
                    input_grad=ctx.input_grad,
                    columns=columns,
                )
                return gradients(dweight, dbias), dx

            return y, pullback

        return apply, vjp

    def pooled_maps(rectify: bool, pool: Pair) -> tuple[Apply, Vjp]:
        """Those of the layer, a max pool behind it, and maybe a relu behind either."""
        epilogue = RELU if rectify else None

        def forward(params: ConvParams, x: Array, keep: bool) -> tuple[Window, Array, Any, Any]:
            view, weight = check(params, x), oriented(params.weight)
            if view.out[0] < pool[0] or view.out[1] < pool[1]:
                raise ShapeError(f"the pool {pool} is larger than its image {view.out}")
            shift = params.bias if bias else None
            return view, *correlate_pooled(x, weight, view, groups, shift, epilogue, pool, keep)

        def apply(params: ConvParams, x: Array, ctx: Context = EVAL) -> Array:
            return forward(params, x, False)[1]

        def vjp(params: ConvParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
            x = images_innermost(x)
            view, y, raw, columns = forward(params, x, True)

            def pullback(dy: Array) -> tuple[ConvParams, Array | None]:
                dweight, dbias, dx = correlate_pooled_adjoints(
                    x,
                    oriented(params.weight),
                    dy,
                    view,
                    groups,
                    bias is not None,
                    pool,
                    raw,
                    y if rectify else None,
                    epilogue,
                    ctx.input_grad,
                    columns,
                )
                return gradients(dweight, dbias), dx

            return y, pullback

        return apply, vjp

    def fuse(followers: tuple[Layer, ...]) -> tuple[Apply, Vjp] | None:
        if followers == (relu,):
            return maps(True)
        rest = [each for each in followers if each is not relu]
        pool = tile(rest[0]) if len(rest) == 1 and len(followers) <= 2 else None
        if pool is None or bias == "untied":
            return None
        return pooled_maps(relu in followers, pool)

    def fold(followers: tuple[Layer, ...]) -> Apply | None:
        """A batch norm behind it, which in evaluation is affine, as another weight and bias."""
        affine = as_affine(followers[0]) if followers[1:] in ((), (relu,)) else None
        if affine is None:
            return None

        def apply(params: Any, x: Array, ctx: Context = EVAL) -> Array:
            own, norm = params[:2]
            its = norm.scale, norm.shift, norm.mean, norm.variance
            if any(a.shape != (filters,) or a.dtype != x.dtype for a in its):
                y = maps(False)[0](own, x, ctx)  # it has its own say on that
                for each, theirs in zip(followers, params[1:], strict=True):
                    y = each.apply(theirs, y, ctx)
                return y
            view = check(own, x)
            factor, offset = affine(norm)
            shift = own.bias * factor + offset if bias else offset
            weight = oriented(own.weight * factor)
            epilogue = RELU if len(followers) > 1 else None
            return correlate(x, weight, view, groups, shift, epilogue)[0]

        return apply

    def gradients(dweight: Array, dbias: Array | None) -> ConvParams:
        return ConvParams(oriented(dweight), () if dbias is None else dbias)

    def oriented(weight: Array) -> Array:
        return weight[::-1, ::-1] if flip else weight

    def check(params: ConvParams, x: Array) -> Window:
        channels = params.weight.shape[2] * groups
        if x.ndim != 4 or x.shape[3] != channels:
            raise ShapeError(
                f"the weight {params.weight.shape} wants images (n, h, w, {channels}), "
                f"and {x.shape} came"
            )
        check_dtype(x, params.weight)
        view = window(x.shape[1:])
        if bias == "untied" and params.bias.shape[:2] != view.out:
            raise ShapeError(
                f"the untied bias {params.bias.shape} belongs to another image size: an image "
                f"{view.image} gives an output {view.out}"
            )
        return view

    return Fusible(init, *maps(False), fuse, fold)
