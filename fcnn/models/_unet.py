"""Networks from image to image: the U-Net and a convolutional autoencoder."""

from __future__ import annotations

from typing import Literal

from fcnn._layer import Layer
from fcnn.errors import ArgumentError
from fcnn.layers.activations import relu, sigmoid
from fcnn.layers.branches import concat
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv2d
from fcnn.layers.conv_transpose import conv_transpose2d
from fcnn.layers.dense import dense
from fcnn.layers.norm import batch_norm
from fcnn.layers.pool import max_pool2d
from fcnn.layers.resample import upsample2d
from fcnn.layers.reshape import flatten, reshape


def unet(
    channels: int = 1,
    *,
    levels: int = 4,
    width: int = 64,
    up: Literal["transposed", "nearest", "bilinear"] = "transposed",
) -> Layer:
    """Return a U-Net: it halves and doubles the image, and joins equal sizes by concatenation.

    The output has the image's height and width, which must be multiples of 2 to the power of
    ``levels``. Unlike the paper's, the convolutions pad, and a batch norm follows each.

    Args:
        channels: of the output.
        levels: the number of times that the image is halved.
        width: the number of channels at full size; doubled at each level.
        up: how the image is doubled: by a transposed convolution, or by interpolation and a
            1×1 convolution.

    Raises:
        ArgumentError: if ``up`` is none of these.

    >>> import fcnn
    >>> fcnn.models.unet(levels=3, width=16).init(fcnn.key(0), (64, 64, 1))[1]
    (64, 64, 1)

    Source: O. Ronneberger et al., "U-Net: convolutional networks for biomedical image
    segmentation", 2015, https://arxiv.org/abs/1505.04597.
    """
    if up not in ("transposed", "nearest", "bilinear"):
        raise ArgumentError(f'expected up "transposed", "nearest" or "bilinear", got {up!r}')

    def double(filters: int) -> tuple[Layer, ...]:
        conv = conv2d(filters, 3, padding="same", bias=None), batch_norm(), relu
        return *conv, *conv

    def level(depth: int) -> tuple[Layer, ...]:
        filters = width * 2**depth
        if depth == levels:
            return double(filters)
        if up == "transposed":
            grow: tuple[Layer, ...] = (conv_transpose2d(filters, 2, stride=2),)
        else:
            grow = upsample2d(2, mode=up), conv2d(filters, 1)
        below = serial(max_pool2d(2), *level(depth + 1), *grow)
        return *double(filters), concat(serial(), below), *double(filters)

    return serial(*level(0), conv2d(channels, 1))


def autoencoder(channels: int = 1, *, code: int = 32, size: int = 28, width: int = 16) -> Layer:
    """Return a convolutional autoencoder: ``model[0]`` encodes and ``model[1]`` decodes.

    The output has the image's shape and lies between 0 and 1.

    Args:
        channels: of the images.
        code: the number of numbers that an image is encoded in.
        size: the images' height and width, a multiple of 4.
        width: the number of channels at half the size; twice as many at a quarter.

    Raises:
        ArgumentError: if the size is no multiple of 4.

    >>> import fcnn
    >>> model = fcnn.models.autoencoder()
    >>> model.init(fcnn.key(0), (28, 28, 1))[1], model[0].init(fcnn.key(0), (28, 28, 1))[1]
    ((28, 28, 1), (32,))

    Source: J. Masci et al., "Stacked convolutional auto-encoders for hierarchical feature
    extraction", 2011, https://doi.org/10.1007/978-3-642-21735-7_7.
    """
    if size % 4:
        raise ArgumentError(f"expected a size in a multiple of 4, got {size}")
    inner = size // 4, size // 4, 2 * width
    encoder = serial(
        *(conv2d(width, 3, stride=2, padding=1), relu),
        *(conv2d(2 * width, 3, stride=2, padding=1), relu, flatten, dense(code)),
    )
    decoder = serial(
        *(dense(inner[0] * inner[1] * inner[2]), relu, reshape(*inner)),
        *(conv_transpose2d(width, 2, stride=2), relu),
        *(conv_transpose2d(channels, 2, stride=2), sigmoid),
    )
    return serial(encoder, decoder)
