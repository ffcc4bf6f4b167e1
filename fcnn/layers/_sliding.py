"""What convolutions and their transposes have in common: params, hyper-parameters, checks."""

from __future__ import annotations

from typing import Any

import attrs

from fcnn._check import sizes, whole
from fcnn._layer import check_dtype, check_floats
from fcnn._ops.conv_nd import KERNELS, Kernels
from fcnn._ops.window import AXES, Pads, Sizes, check_padding
from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError, ShapeError
from fcnn.tree import node

EXAMPLES = {
    1: ("sequence", "length"),
    2: ("image", "h, w"),
    3: ("volume", "d, h, w"),
}
"""What an example of that many axes is called, and its axes."""


@node
class ConvParams:
    """What a convolution learns. Without a bias, ``bias`` is ``()``."""

    weight: Array  # (kh, kw, c_in / groups, filters), with a k for each axis
    bias: Any  # (filters,), (oh, ow, filters) or ()


@attrs.frozen
class Sliding:
    """The arguments of a layer whose filters slide along one axis or more, checked."""

    rank: int
    filters: int
    kernel_size: Sizes
    stride: Sizes
    padding: str | Pads
    dilation: Sizes
    groups: int
    bias: str | None
    flip: bool
    weight_init: Any
    bias_init: Any

    @property
    def kernels(self) -> Kernels:
        """The array functions for this rank."""
        return KERNELS[self.rank]

    @property
    def reach(self) -> Sizes:
        """How far the dilated filter extends along each axis."""
        return tuple(
            [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        )

    def channels(self, shape: Shape) -> int:
        """Refuse the shape of an example that does not fit; return its channels."""
        if len(shape) != self.rank + 1:
            name, axes = EXAMPLES[self.rank]
            article = "an" if name == "image" else "a"
            raise ShapeError(f"expected {article} {name} ({axes}, c), got {shape}")
        if shape[-1] % self.groups:
            raise ShapeError(
                f"expected channels in a multiple of {self.groups} groups, got {shape[-1]}"
            )
        return shape[-1]

    def check_input(self, x: Array, channels: int, weight: Array) -> None:
        """Refuse an input of other axes, channels or precision than the weight is for."""
        check_floats(x)
        axes = self.rank + 2
        if x.ndim != axes or x.shape[-1] != channels:
            name, inner = EXAMPLES[self.rank]
            hint = ""
            if x.ndim == axes and x.shape[1] == channels:
                last = ", ".join(map(str, range(2, axes)))
                hint = f"; channels come last: x.transpose(0, {last}, 1)"
            elif x.ndim == axes - 1 and x.shape[-1] == channels:
                hint = f"; for one {name} add the batch axis: x[np.newaxis]"
            raise ShapeError(
                f"expected {name}s (n, {inner}, {channels}) for the weight {weight.shape}, "
                f"got {x.shape}{hint}"
            )
        check_dtype(x.dtype, weight.dtype)

    def check_bias(self, params: ConvParams, given: Sizes, out: Sizes) -> None:
        """Refuse an input of another size than an untied bias is for."""
        if self.bias == "untied" and params.bias.shape[:-1] != out:
            name, _ = EXAMPLES[self.rank]
            raise ShapeError(
                f"expected {name}s of the size that the untied bias {params.bias.shape} is for, "
                f"got {given}, whose output is {out}"
            )

    def weight(self, params: ConvParams) -> Array:
        """Return the weight as the kernels take it."""
        return self._turned(params.weight)

    def bias_of(self, params: ConvParams) -> Array | None:
        """Return the bias; None if there is none."""
        return params.bias if self.bias else None

    def gradients(self, dweight: Array, dbias: Array | None) -> ConvParams:
        """Return gradients as params."""
        return ConvParams(self._turned(dweight), () if dbias is None else dbias)

    def _turned(self, weight: Array) -> Array:
        """Rotate the filters by 180 degrees, if that is asked for."""
        return weight[(slice(None, None, -1),) * self.rank] if self.flip else weight


def arguments(
    rank: int,
    filters: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    bias: str | bool | None,
    flip: bool,
    weight_init: Any,
    bias_init: Any,
    *,
    causal: bool = False,
) -> dict[str, Any]:
    """Return the arguments of a `Sliding` in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    filters, groups = whole(filters, "filters"), whole(groups, "groups")
    if isinstance(bias, bool):
        bias = "tied" if bias else None
    if bias not in ("tied", "untied", None):
        raise ArgumentError(f'expected bias "tied", "untied" or None, got {bias!r}')
    if filters % groups:
        raise ArgumentError(
            f"expected filters in a multiple of groups, got {filters} filters and {groups} groups"
        )
    axes = AXES[rank]
    kernel, apart = sizes(kernel_size, "kernel_size", axes), sizes(dilation, "dilation", axes)
    # A single element has no neighbour: the kernels' strides of that axis are then as without
    # dilation.
    apart = tuple([d if k > 1 else 1 for k, d in zip(kernel, apart, strict=True)])
    return {
        "rank": rank,
        "filters": filters,
        "kernel_size": kernel,
        "stride": sizes(stride, "stride", axes),
        "padding": check_padding(padding, rank, causal=causal),
        "dilation": apart,
        "groups": groups,
        "bias": bias,
        "flip": flip,
        "weight_init": weight_init,
        "bias_init": bias_init,
    }
