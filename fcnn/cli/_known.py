"""The data sets that the command line knows by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from fcnn import data as sets
from fcnn.data import _remotes
from fcnn.data._npz import MEDICAL
from fcnn.data._shelf import folders


@attrs.frozen
class Known:
    """A data set with a name.

    Attributes:
        read: ``(split, limit) -> examples``.
        held: the split to judge a model by; empty where the set has one split alone.
        augment: the augmentation by default.
    """

    read: Callable[..., Any]
    held: str = "test"
    augment: str = "none"


KNOWN = {
    "mnist": Known(sets.mnist, augment="affine"),
    "fashion-mnist": Known(sets.fashion_mnist, augment="flip"),
    "kmnist": Known(sets.kmnist, augment="affine"),
    "qmnist": Known(sets.qmnist, augment="affine"),
    "emnist": Known(sets.emnist, augment="affine"),
    "cifar-10": Known(sets.cifar10, augment="flip+shift"),
    "cifar-100": Known(sets.cifar100, augment="flip+shift"),
    "svhn": Known(sets.svhn, augment="shift"),
    "stl-10": Known(sets.stl10, augment="flip+shift"),
    "usps": Known(sets.usps, augment="affine"),
    "norb": Known(sets.norb),
    "sklearn-digits": Known(lambda split, limit=None: sets.sklearn_digits(limit), ""),
    # The fourteen labels of an image of chestmnist are no class.
    **{name: Known(functools.partial(sets.medmnist, name)) for name, classes in MEDICAL.items()
       if classes},
}  # fmt: skip

PUBLISHED = tuple(_remotes.REMOTES)
"""Those of which nothing is in the package."""


def files_of(name: str, folder: Path | None = None) -> list[tuple[_remotes.Remote, Path | None]]:
    """Return the files of a published set that its reader needs, and where each is, or None.

    They are looked for in a folder of data sets; where none is given, where its reader does.
    """
    places = folders(name) if folder is None else [folder / name]
    return [
        (each, next((at / each.name for at in places if (at / each.name).is_file()), None))
        for each in _remotes.REMOTES[name]
        if not each.optional
    ]
