"""Augmentations of pixels' values: brightness, contrast and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fcnn._check import number
from fcnn._typing import Array
from fcnn.data.augment._augmentation import Draws, by_example, fill_value
from fcnn.errors import ArgumentError

ByExample: TypeAlias = Callable[[Draws, Array], Array]


def _limits(clip: Any) -> tuple[float, float] | None:
    if clip is None:
        return None
    if isinstance(clip, tuple | list) and len(clip) == 2:
        low, high = (fill_value(end) for end in clip)
        if low < high:
            return low, high
    raise ArgumentError(f"expected None or two numbers low < high for clip, got {clip!r}")


def _within(images: Array, limits: tuple[float, float] | None) -> Array:
    """Keep new images within limits, in place."""
    if limits is not None:
        np.clip(images, *limits, out=images)
    return images


def _rows(draws: Array, images: Array) -> Array:
    """Return a number an image, in its dtype and along its axes."""
    return draws.astype(images.dtype).reshape(-1, 1, 1, 1)


@by_example
def brightness(amount: float, *, clip: tuple[float, float] | None = None) -> ByExample:
    """Add a number from ``-amount`` to ``amount``, the same for all pixels of an image.

    Args:
        amount: in units of the pixels' values.
        clip: keep values within these two, such as ``(0.0, 1.0)``; None leaves them.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> lighter = augment.brightness(0.2)(fcnn.key(0), np.zeros((1, 2, 2, 1), np.float32))
    >>> len(set(lighter.ravel().tolist())), bool(abs(lighter).max() <= 0.2)
    (1, True)
    """
    most, limits = number(amount, "amount", 0.0, open_high=True), _limits(clip)

    def move(draws: Draws, images: Array) -> Array:
        return _within(images + _rows(draws.between(1, -most, most), images), limits)

    return move


@by_example
def contrast(amount: float, *, clip: tuple[float, float] | None = None) -> ByExample:
    """Multiply the deviations from the mean by a factor from ``1 - amount`` to ``1 + amount``.

    The mean is that of an image's channel, so that it stays.

    Args:
        amount: from 0 to 1.
        clip: keep values within these two, such as ``(0.0, 1.0)``; None leaves them.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = np.array([1.0, 3.0], np.float32).reshape(1, 2, 1, 1)
    >>> float(augment.contrast(0.5)(fcnn.key(0), image).mean())
    2.0
    """
    most, limits = number(amount, "amount", 0.0, 1.0), _limits(clip)

    def move(draws: Draws, images: Array) -> Array:
        factor = _rows(draws.between(1, 1 - most, 1 + most), images)
        mean = images.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(images.dtype)
        changed = images - mean
        changed *= factor
        changed += mean
        return _within(changed, limits)

    return move


@by_example
def noise(stddev: float, *, clip: tuple[float, float] | None = None) -> ByExample:
    """Add normal numbers, one to each value of each pixel.

    Args:
        stddev: their standard deviation.
        clip: keep values within these two, such as ``(0.0, 1.0)``; None leaves them.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> noisy = augment.noise(0.1)(fcnn.key(0), np.zeros((1, 50, 50, 1), np.float32))
    >>> round(float(noisy.std()), 2)
    0.1
    """
    spread, limits = number(stddev, "stddev", 0.0, open_high=True), _limits(clip)

    def move(draws: Draws, images: Array) -> Array:
        size = images[0].size if len(images) else 0
        added = (spread * draws.normal(size)).astype(images.dtype)
        return _within(images + added.reshape(images.shape), limits)

    return move
