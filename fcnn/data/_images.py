"""One image file as an array of floats, by Pillow.

The mode decides how pixels become numbers from 0 to 1, and it is looked at before anything is
converted: Pillow clips 16-bit grey to 255 when it converts it, gives the indices of a palette for
its colours, and resizes such indices by the nearest. Source: Pillow's handbook, "Concepts",
section "Modes"; the behaviour was checked with Pillow 13.0.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import attrs
import numpy as np

from fcnn._check import number, pair
from fcnn._typing import Array
from fcnn.errors import ArgumentError, DataError

Fit: TypeAlias = Literal["stretch", "crop"]
Background: TypeAlias = float | Sequence[float]

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_GREY = ("1", "L", "LA", "La", "F", *_SIXTEEN_BITS)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The weights of red, green and blue in grey: ITU-R Recommendation BT.601."""


def read_image(
    path: str | os.PathLike[str] | IO[bytes],
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    background: Background | None = None,
    fit: Fit = "stretch",
) -> Array:
    r"""Read an image file as an array (h, w, c) of float32 in [0, 1].

    Every format that Pillow reads is taken, 16-bit grey by its whole range; palettes and CMYK
    become red, green and blue. The image is turned as its EXIF orientation says. Of an animation
    the first frame is read. A file of floats (mode F) keeps its numbers. Resizing averages over
    the area that a pixel covers, linearly, in float32.

    Needs Pillow: ``pip install 'fcnn[images]'``.

    Args:
        path: the file, or one that is open in binary mode.
        size: ``(h, w)``, or one number for both; the image's own by default.
        channels: 1 for grey, 3 for red, green and blue; the image's own by default.
        background: what shows where the image is transparent: grey, or (red, green, blue), each
            from 0 to 1. Without it an image with alpha is refused unless all of it is opaque.
        fit: ``"stretch"`` changes the proportions to those of ``size``; ``"crop"`` keeps them
            and cuts off what is too much at both ends of one axis.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: naming the file, if it is no image, damaged or not opaque.
        OSError: by Python itself, if the file cannot be opened.
        ImportError: without Pillow.

    >>> import io, numpy as np
    >>> from fcnn.data import read_image
    >>> read_image(io.BytesIO(b"P5 2 1 255 \x00\xff")).tolist()
    [[[0.0], [1.0]]]
    """
    return Reader.of(size, channels, background, fit).read(path)


@attrs.frozen
class Reader:
    """How image files are read: the arguments of `read_image`, checked."""

    size: tuple[int, int] | None
    channels: int | None
    background: tuple[float, ...] | None
    fit: Fit

    @classmethod
    def of(cls, size: Any, channels: Any, background: Any, fit: Any) -> Reader:
        """Check the arguments.

        Raises:
            ArgumentError: if one is out of its range.
            ImportError: without Pillow.
        """
        pillow()
        if channels not in (None, 1, 3):
            raise ArgumentError(f"expected channels to be 1, 3 or None, got {channels!r}")
        if fit not in ("stretch", "crop"):
            raise ArgumentError(f"expected fit to be 'stretch' or 'crop', got {fit!r}")
        hw = None if size is None else pair(size, "size")
        return cls(hw, channels, None if background is None else _colour(background), fit)

    def read(self, path: str | os.PathLike[str] | IO[bytes]) -> Array:
        """Read one file, as `read_image` does."""
        with _opened(path) as image:
            return self.convert(image)

    def convert(self, image: Any) -> Array:
        """Turn a Pillow image into an array."""
        from PIL import ImageOps

        pixels = _pixels(ImageOps.exif_transpose(image), self.background)
        if self.channels == 3 and pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        elif self.channels == 1 and pixels.shape[2] == 3:
            pixels = (pixels @ _LUMA)[..., None]
        if self.size is not None and pixels.shape[:2] != self.size:
            pixels = _resized(pixels, self.size, self.fit)
        return pixels


def channels_of(path: str | os.PathLike[str]) -> int:
    """Return how many channels an image has, 1 or 3, by its header alone.

    Raises:
        DataError: naming the file, if it is no image.
    """
    with _opened(path) as image:
        return 1 if image.mode in _GREY else 3


class NotAnImageError(DataError):
    """A file is of no format that Pillow knows."""


class OpacityError(DataError):
    """An image is not opaque, and there is no background."""


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str] | IO[bytes]) -> Iterator[Any]:
    """Open an image; whatever Pillow raises for its content becomes a `DataError`."""
    with contextlib.ExitStack() as stack:
        file, name = path, "the image"
        if isinstance(path, str | os.PathLike):
            file, name = stack.enter_context(Path(path).open("rb")), str(path)
        try:
            yield pillow().open(file)
        except DataError as error:
            raise type(error)(f"{name}: {error}") from error.__cause__
        except (ImportError, MemoryError):
            raise
        # Damage shows as an OSError, SyntaxError, ValueError, struct.error, EOFError and more.
        except Exception as error:
            if type(error).__name__ == "UnidentifiedImageError":
                what = "expected an image of a format that Pillow knows"
                raise NotAnImageError(f"{name}: {what}") from error
            what = "expected a whole image, got a damaged one"
            raise DataError(f"{name}: {what}: {error}") from error


def pillow() -> Any:
    """Return the module PIL.Image.

    Raises:
        ImportError: with the name of the extra.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("reading images needs Pillow: pip install 'fcnn[images]'") from error
    return Image


def _colour(background: Any) -> tuple[float, ...]:
    """Return one number, or three."""
    given = background if isinstance(background, Sequence | np.ndarray) else (background,)
    if isinstance(given, str) or len(given) not in (1, 3):
        raise ArgumentError(
            f"expected a background of one number or (red, green, blue), got {background!r}"
        )
    return tuple([number(each, "background", 0.0, 1.0) for each in given])


def _pixels(image: Any, background: tuple[float, ...] | None) -> Array:
    """Return the pixels (h, w, c) as float32 from 0 to 1, c being 1 or 3."""
    mode = image.mode
    if mode in _WITH_ALPHA or "transparency" in image.info:
        return _opaque(image, background)
    if mode == "1":
        return np.asarray(image).astype(np.float32)[..., None]
    if mode in _SIXTEEN_BITS:
        return _of_sixteen_bits(np.asarray(image))
    if mode == "F":
        return _finite(np.array(image, np.float32)[..., None])
    if mode != "L":
        image = image.convert("RGB")
    pixels: Array = np.divide(np.asarray(image), 255, dtype=np.float32)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _of_sixteen_bits(pixels: Array) -> Array:
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise DataError(
            f"expected grey values from 0 to 65535, got {low} to {high}; "
            f"scale the image and save it as 16-bit or as floats"
        )
    return np.divide(pixels, 65535, dtype=np.float32)[..., None]


def _finite(pixels: Array) -> Array:
    if not np.isfinite(pixels).all():
        raise DataError("expected finite numbers, got NaN or infinity")
    return pixels


def _opaque(image: Any, background: tuple[float, ...] | None) -> Array:
    """Lay an image with alpha over the background: ``alpha · image + (1 - alpha) · background``."""
    grey = image.mode in ("L", "LA", "La")
    if image.mode in _SIXTEEN_BITS:  # one value of 16-bit grey is transparent
        values = np.asarray(image)
        colour = _of_sixteen_bits(values)
        alpha = (values != image.info["transparency"]).astype(np.float32)[..., None]
    else:
        pixels = np.asarray(image.convert("LA" if grey else "RGBA"))
        colour = np.divide(pixels[..., :-1], 255, dtype=np.float32)
        alpha = np.divide(pixels[..., -1:], 255, dtype=np.float32)
    if alpha.min() == 1:
        return colour
    if background is None:
        share = float((alpha < 1).mean())
        raise OpacityError(
            f"expected an opaque image, got one of mode {image.mode} with {share:.1%} of its "
            f"pixels transparent; pass background=1.0 for white, 0.0 for black, or a colour "
            f"(red, green, blue)"
        )
    behind = np.array(background, np.float32)
    laid: Array = alpha * colour + (1 - alpha) * behind
    return laid


def _resized(pixels: Array, size: tuple[int, int], fit: Fit) -> Array:
    """Resize each channel as an image of floats, which Pillow filters without rounding."""
    image = pillow()
    (h, w), box = pixels.shape[:2], None
    if fit == "crop":
        scale = min(h / size[0], w / size[1])
        tall, wide = size[0] * scale, size[1] * scale
        box = ((w - wide) / 2, (h - tall) / 2, (w + wide) / 2, (h + tall) / 2)
    made = [
        np.asarray(
            image.fromarray(np.ascontiguousarray(pixels[..., i])).resize(
                size[::-1], image.Resampling.BILINEAR, box
            )
        )
        for i in range(pixels.shape[2])
    ]
    return np.stack(made, axis=-1)
