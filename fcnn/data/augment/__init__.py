"""Augmentation: ``(key, images) -> images``, a random change of each image.

Images are ``(n, h, w, c)`` in float32 or float64; the result has the same dtype, and but for
`random_crop` the same shape. Pixels that come from outside the image take the value ``fill``,
which is 0 by default: set it to the background's value where the data are normalised.

In ``fcnn.fit(..., augment=chain(flip(), shift(2)))`` each example is changed with its shard, by
the worker that computes it; its draws follow from the run's key, the epoch and the example's
place in the epoch's order, so that neither batch size nor shards nor workers change them.
`mixup` and `cutmix` change targets too, ``(key, images, targets) -> (images, targets)``.
"""

# The files:
#
#   _augmentation  the contract, the draws of each example, chains
#   _geometry      flips, shifts, rotations, affine and elastic maps
#   _crop          crops, cutout
#   _colour        brightness, contrast, noise
#   _mix           mixup, CutMix

from fcnn.data.augment._augmentation import Augmentation, augmentation, chain
from fcnn.data.augment._colour import brightness, contrast, noise
from fcnn.data.augment._crop import cutout, random_crop, resized_crop
from fcnn.data.augment._geometry import affine, elastic, flip, rotate, shift
from fcnn.data.augment._mix import cutmix, mixup

__all__ = [
    "Augmentation",
    "affine",
    "augmentation",
    "brightness",
    "chain",
    "contrast",
    "cutmix",
    "cutout",
    "elastic",
    "flip",
    "mixup",
    "noise",
    "random_crop",
    "resized_crop",
    "rotate",
    "shift",
]
