"""Augmentations of two examples into one, with soft labels: mixup and CutMix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import numpy as np

from fcnn._check import whole
from fcnn._typing import Array
from fcnn._value import Spec, remember
from fcnn.data._batches import one_hot
from fcnn.data.augment._augmentation import Augmentation, Draws
from fcnn.data.augment._crop import boxes
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.prng import Key

P = ParamSpec("P")
Mix: TypeAlias = Callable[[Draws, Array], tuple[Array, Array]]
"""``(draws, images) -> (images, share)``, share (n, 1) being what is left of each image."""


def _mixing(constructor: Callable[P, tuple[Mix, int | None]]) -> Callable[P, Augmentation]:
    """Make a function that returns a `Mix` and a number of classes return an `Augmentation`."""

    def make(made: tuple[Mix, int | None], spec: Spec) -> Augmentation:
        mix, classes = made

        def move(key: Key, images: Array, targets: Any, start: int | None) -> tuple[Array, Array]:
            soft = _soft(targets, len(images), classes, images.dtype)
            if len(images) == 0:
                return images.copy(), soft
            mixed, share = mix(Draws(key, len(images), start or 0), images)
            share = share.astype(images.dtype)
            return mixed, share * soft + (1 - share) * np.roll(soft, 1, axis=0)

        return Augmentation(move, spec, by_example=False, mixes=True)

    return remember(constructor, make, "Augmentation")


def _soft(targets: Any, n: int, classes: int | None, dtype: Any) -> Array:
    """Return labels as rows of probabilities; such rows as they are."""
    if isinstance(targets, tuple | dict):
        raise LabelError(f"expected an array of targets to mix, got {type(targets).__name__}")
    given = np.asarray(targets)
    if given.shape[:1] != (n,):
        raise ShapeError(f"expected {n} targets for {n} images, got {given.shape}")
    if given.dtype.kind == "f" and given.ndim == 2:
        return given.astype(dtype, copy=False)
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise LabelError(
            f"expected labels (n,) of whole numbers or (n, classes) of floats, got "
            f"{given.dtype} of shape {given.shape}"
        )
    if classes is None:
        raise ArgumentError("expected the number of classes to mix labels, got None; give classes=")
    return one_hot(given, classes, dtype=dtype)


def _concentration(alpha: Any) -> float:
    if isinstance(alpha, int | float) and not isinstance(alpha, bool) and 0 < alpha < np.inf:
        return float(alpha)
    raise ArgumentError(f"expected a number greater than 0 for alpha, got {alpha!r}")


def _shares(u: Array, alpha: float) -> Array:
    """Return the larger of λ and 1 - λ, of numbers λ drawn from Beta(alpha, alpha)."""
    from scipy.special import betaincinv  # type: ignore[import-untyped, unused-ignore]

    drawn = betaincinv(alpha, alpha, u)
    larger: Array = np.maximum(drawn, 1 - drawn)
    return larger


@_mixing
def mixup(alpha: float = 0.2, *, classes: int | None = None) -> tuple[Mix, int | None]:
    """Mix each example with the one before it in the batch: ``λ x + (1 - λ) x'``, targets as well.

    λ is drawn for each example from Beta(alpha, alpha), and the larger of λ and 1 - λ is the
    example's own, so that its label stays the first and accuracy keeps its meaning; over all
    pairs the mixtures are the same. What it is mixed with depends on the batch, and not on its
    shards: in a run the calling thread mixes, after what comes before it in a chain.

    Called as ``f(key, images, targets)``; the loss must take soft labels, as
    `fcnn.losses.softmax_cross_entropy` does.

    Args:
        alpha: greater than 0; small numbers mix little.
        classes: their number, if the targets are labels.

    Raises:
        ArgumentError: if an argument is out of its range, or labels have no ``classes``.
        LabelError: on a call, if the targets are neither labels nor rows of probabilities.

    Source: H. Zhang et al., "mixup: Beyond empirical risk minimization", 2018,
    https://arxiv.org/abs/1710.09412.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> images = np.array([0.0, 1.0], np.float32).reshape(2, 1, 1, 1)
    >>> mixed, soft = augment.mixup(1.0, classes=2)(fcnn.key(0), images, np.array([0, 1]))
    >>> bool(np.allclose(mixed.ravel(), soft[:, 1])), soft.sum(axis=1).tolist()
    (True, [1.0, 1.0])
    """
    concentration = _concentration(alpha)

    def mix(draws: Draws, images: Array) -> tuple[Array, Array]:
        share = _shares(draws.uniform(1), concentration)
        own = share.astype(images.dtype)[:, :, None, None]
        return own * images + (1 - own) * np.roll(images, 1, axis=0), share

    return mix, None if classes is None else whole(classes, "classes", 2)


@_mixing
def cutmix(alpha: float = 1.0, *, classes: int | None = None) -> tuple[Mix, int | None]:
    """Paste a rectangle of the example before it in the batch into each image.

    The rectangle has the image's shape and the share ``1 - λ`` of its area, with λ as in `mixup`,
    about a random pixel; the targets are mixed by the pixels that it covers. Calls, arguments and
    errors are those of `mixup`.

    Source: S. Yun et al., "CutMix: Regularization strategy to train strong classifiers with
    localizable features", 2019, https://arxiv.org/abs/1905.04899.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> images = np.array([0.0, 1.0], np.float32).reshape(2, 1, 1, 1) * np.ones((1, 8, 8, 1))
    >>> mixed, soft = augment.cutmix(classes=2)(fcnn.key(1), images, np.array([0, 1]))
    >>> bool(np.allclose(mixed.mean(axis=(1, 2, 3)), soft[:, 1]))
    True
    """
    concentration = _concentration(alpha)

    def mix(draws: Draws, images: Array) -> tuple[Array, Array]:
        u = draws.uniform(3)
        side = np.sqrt(1 - _shares(u[:, :1], concentration))
        sizes = np.rint(side * images.shape[1:3]).astype(np.intp)
        inside = boxes(u[:, 1:], images.shape, sizes)
        mixed = np.where(inside, np.roll(images, 1, axis=0), images)
        return mixed, 1 - inside.mean(axis=(1, 2))

    return mix, None if classes is None else whole(classes, "classes", 2)
