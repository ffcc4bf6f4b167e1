"""Arrays as pictures in the page: PNG files in data URIs.

Source: ISO/IEC 15948:2004, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import Any

import numpy as np

from fcnn._typing import Array

_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_MAGMA = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))
_BLUE_RED = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
MAPS = {"viridis": _VIRIDIS, "magma": _MAGMA, "blue-red": _BLUE_RED}
"""Colours at equal distances, linear between them: S. van der Walt and N. Smith's viridis and
magma, https://bids.github.io/colormap/, and C. Brewer's RdBu, https://colorbrewer2.org/."""


def png(pixels: Array) -> bytes:
    """Return a PNG file of bytes ``(h, w)``, grey, or ``(h, w, 3)``, colours.

    >>> import numpy as np
    >>> from fcnn._report._png import png
    >>> png(np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter 0 in each row
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(raw.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def img(pixels: Array, alt: str, width: int = 84) -> str:
    """Return an HTML element with a picture of bytes."""
    height = round(width * pixels.shape[0] / pixels.shape[1])
    data = base64.b64encode(png(pixels)).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{html.escape(alt)}">'
    )


def coloured(values: Array, colours: str, low: float, high: float) -> Array:
    """Return numbers ``(h, w)`` as colours ``(h, w, 3)``, ``low`` the first, ``high`` the last."""
    anchors = np.array(MAPS[colours], np.float64)
    at = np.clip((values.astype(np.float64) - low) / ((high - low) or 1), 0, 1)
    at = np.nan_to_num(at) * (len(anchors) - 1)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    found: Array = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return found


def picture(image: Any) -> Array:
    """Return an example ``(h, w, c)`` as bytes: three channels in colour, others' mean in grey.

    Numbers outside [0, 1] are stretched to it.
    """
    image = np.asarray(image, np.float64)
    drawn = image if image.shape[-1] == 3 else image.mean(axis=-1)
    low, high = float(drawn.min()), float(drawn.max())
    if low < 0 or high > 1:
        drawn = (drawn - low) / ((high - low) or 1)
    found: Array = np.rint(255 * np.nan_to_num(drawn)).astype(np.uint8)
    return found
