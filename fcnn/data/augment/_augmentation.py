"""What an augmentation is, the draws of its examples, and several after each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias, overload

import attrs
import numpy as np

from fcnn import prng
from fcnn._check import number
from fcnn._typing import Array
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError, DTypeError, ShapeError
from fcnn.prng import Key

P = ParamSpec("P")
Move: TypeAlias = Callable[[Key, Array], Array]
_LARGEST = float(np.finfo(np.float32).max)


@attrs.frozen
class Draws:
    """Random numbers for n examples: row i is of the example ``start + i``, whatever n is.

    Philox is a counter with a hash, so that the numbers of any example are there without those
    before it.
    """

    key: Key
    n: int
    start: int

    def uniform(self, size: int) -> Array:
        """Return ``(n, size)`` numbers of [0, 1), in float64."""
        blocks = -(-size // 4)  # Philox makes four words at a time
        bits = self.key.generator().bit_generator
        bits.advance(self.start * blocks)  # type: ignore[attr-defined]
        words = bits.random_raw(self.n * blocks * 4).reshape(self.n, blocks * 4)[:, :size]
        return (words >> np.uint64(11)) * 2.0**-53

    def between(self, size: int, low: float, high: float) -> Array:
        """Return ``(n, size)`` numbers of [low, high), in float64."""
        return low + (high - low) * self.uniform(size)

    def normal(self, size: int) -> Array:
        """Return ``(n, size)`` normals, in float64.

        By the formula of G. E. P. Box and M. E. Muller, 1958, which takes as many uniform
        numbers as it gives, whatever these are: NumPy's own rejects some.
        """
        half = -(-size // 2)
        u = self.uniform(2 * half)
        length, angle = np.sqrt(-2 * np.log(1 - u[:, :half])), 2 * math.pi * u[:, half:]
        return np.concatenate([length * np.cos(angle), length * np.sin(angle)], axis=1)[:, :size]


@attrs.frozen(eq=False, repr=False, slots=False)
class Augmentation(Value):
    """A function ``(key, images) -> images`` that prints as the call that made it.

    What an image becomes depends on the key, the image and its number, which is ``start`` for the
    first: so ``f(key, images)[a:b]`` is ``f(key, images[a:b], start=a)``. In a run, an image's
    number is its place in the epoch's order, whatever the batch, and it is changed by whatever
    worker has its shard.

    Attributes:
        move: what is called, with the key, the images and ``start``, and the targets before it
            if it mixes them.
        by_example: whether each image is changed by itself. A function made by `augmentation` has
            all images of a batch together, and in place of ``start`` a key that is folded with it.
        mixes: whether targets are changed with the images, ``f(key, images, targets)``.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> turn = augment.affine(rotate=15.0)
    >>> turn, turn(fcnn.key(0), np.ones((4, 28, 28, 1), np.float32)).shape
    (affine(rotate=15.0), (4, 28, 28, 1))
    """

    move: Callable[..., Any]
    spec: Spec
    by_example: bool = True
    mixes: bool = False

    @overload
    def __call__(self, key: Key, images: Array, *, start: int | None = None) -> Array: ...
    @overload
    def __call__(
        self, key: Key, images: Array, targets: Array, *, start: int | None = None
    ) -> tuple[Array, Array]: ...
    def __call__(
        self, key: Key, images: Array, targets: Any = None, *, start: int | None = None
    ) -> Any:
        """Change the images, and the targets where it mixes."""
        images = np.asarray(images)
        if images.ndim != 4:
            hint = "; add the channel axis with images[..., None]" if images.ndim == 3 else ""
            raise ShapeError(f"expected images (n, h, w, c), got shape {images.shape}{hint}")
        if images.dtype not in (np.float32, np.float64):
            hint = " / 255" if images.dtype == np.uint8 else ""
            raise DTypeError(
                f"expected float32 or float64 images, got {images.dtype}; "
                f"pass images.astype(np.float32){hint}"
            )
        prng.checked(key)
        if not self.mixes:
            moved = self.move(key, images, start)
            return moved if targets is None else (moved, targets)
        if targets is None:
            raise ArgumentError(
                f"expected targets for {self!r}; call it with (key, images, targets)"
            )
        return self.move(key, images, targets, start)


def augmentation(constructor: Callable[P, Move]) -> Callable[P, Augmentation]:
    """Make a function that returns ``(key, images) -> images`` return an `Augmentation`.

    >>> from fcnn import prng
    >>> from fcnn.data import augment
    >>> @augment.augmentation
    ... def lighter(most):
    ...     def move(key, images):
    ...         return images + prng.uniform(key, (len(images), 1, 1, 1), 0, most)
    ...     return move
    >>> lighter(0.1)
    lighter(0.1)
    """

    def make(move: Move, spec: Spec) -> Augmentation:
        def of_batch(key: Key, images: Array, start: int | None) -> Array:
            return move(_key_at(key, start), images)

        return Augmentation(of_batch, spec, by_example=False)

    return remember(constructor, make, "Augmentation")


def _key_at(key: Key, start: int | None) -> Key:
    return key if start is None else prng.fold_in(key, start)


def by_example(
    constructor: Callable[P, Callable[[Draws, Array], Array]],
) -> Callable[P, Augmentation]:
    """Make a function that returns ``(draws, images) -> images`` return an `Augmentation`."""

    def make(move: Callable[[Draws, Array], Array], spec: Spec) -> Augmentation:
        def of_images(key: Key, images: Array, start: int | None) -> Array:
            return move(Draws(key, len(images), start or 0), images)

        return Augmentation(of_images, spec)

    return remember(constructor, make, "Augmentation")


def _joined(constructor: Callable[P, Any]) -> Callable[P, Augmentation]:
    def make(made: tuple[Any, bool, bool], spec: Spec) -> Augmentation:
        move, alone, mixes = made
        return Augmentation(move, spec, alone, mixes)

    return remember(constructor, make, "Augmentation")


@_joined
def chain(*augmentations: Augmentation | Move) -> tuple[Any, bool, bool]:
    """Apply augmentations, or functions like them, in turn, each with its own key.

    >>> from fcnn.data import augment
    >>> augment.chain(augment.flip(), augment.shift(2))
    chain(flip(), shift(2))
    """
    for each in augmentations:
        if not callable(each):
            raise ArgumentError(f"expected functions (key, images) -> images, got {each!r}")
    known = [each for each in augmentations if isinstance(each, Augmentation)]
    mixes = any(each.mixes for each in known)
    alone = len(known) == len(augmentations) and all(each.by_example for each in known)

    def mix(key: Key, images: Array, targets: Any, start: int | None) -> tuple[Array, Any]:
        for part_key, part in zip(prng.split(key, len(augmentations)), augmentations, strict=True):
            if not isinstance(part, Augmentation):
                images = part(_key_at(part_key, start), images)
            elif part.mixes:
                images, targets = part(part_key, images, targets, start=start)
            else:
                images = part(part_key, images, start=start)
        return images, targets

    def move(key: Key, images: Array, start: int | None) -> Array:
        return mix(key, images, None, start)[0]

    return (mix if mixes else move), alone, mixes


def fill_value(fill: float) -> float:
    """Return a number that float32 holds.

    Raises:
        ArgumentError: if it is something else.
    """
    return number(fill, "fill", -_LARGEST, _LARGEST)
