"""Keys: random numbers without a hidden state.

A `Key` is a seed and a path. `split` and `fold_in` make new keys by adding
entries to the path, and a generator is made on use, so that a draw depends on
its key and on nothing else: not on what was drawn before, nor where, nor when.

The path goes into NumPy's ``SeedSequence`` as its ``spawn_key``, which keeps
streams of different keys independent; ``SeedSequence.spawn`` itself counts its
children and is never used. `split` and `fold_in` tag their entries differently,
so ``fold_in(k, 0)`` is not ``split(k, 1)[0]``.

Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011, https://doi.org/10.1145/2063384.2063405 (Philox); M. E. O'Neill's
``seed_seq`` as in NumPy, https://numpy.org/doc/stable/reference/random/parallel.html.
"""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import attrs
import numpy as np

from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError

__all__ = ["Key", "bernoulli", "fold_in", "key", "normal", "permutation", "split", "uniform"]

_SPLIT, _FOLD_IN = 0, 1
_WORD = 2**32


@attrs.frozen
class Key:
    """A seed and the path taken from it.

    >>> from fcnn import fold_in, key
    >>> fold_in(key(0), 7)
    Key(seed=0, path=(1, 7))
    """

    seed: int
    path: tuple[int, ...] = ()

    def generator(self) -> np.random.Generator:
        """A new NumPy generator; every call returns one in the same first state."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=self.path)
        return np.random.Generator(np.random.Philox(sequence))


def _index(value: SupportsIndex, what: str, limit: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < limit:
        raise ArgumentError(
            f"{what} must be a whole number from 0 to {limit - 1}, and {value!r} came"
        )
    return number


def key(seed: int) -> Key:
    """The key that a run starts from.

    Raises:
        ArgumentError: if ``seed`` is not a whole number from 0 to 2**64 - 1.

    >>> from fcnn import key
    >>> key(0)
    Key(seed=0, path=())
    """
    return Key(_index(seed, "seed", 2**64))


def split(key: Key, n: int = 2) -> tuple[Key, ...]:
    """``n`` new keys that have nothing to do with each other, nor with ``key``.

    >>> from fcnn import key, split
    >>> k_weight, k_bias = split(key(0), 2)
    >>> k_weight == k_bias
    False
    """
    return tuple([Key(key.seed, (*key.path, _SPLIT, i)) for i in range(_index(n, "n", _WORD))])


def fold_in(key: Key, i: int) -> Key:
    """The ``i``-th key below ``key``: a step number, a layer's place, a shard.

    Raises:
        ArgumentError: if ``i`` is not a whole number from 0 to 2**32 - 1.

    >>> from fcnn import fold_in, key, split
    >>> fold_in(key(0), 0) == split(key(0), 1)[0]
    False
    """
    if type(i) is not int or not 0 <= i < _WORD:
        i = _index(i, "i", _WORD)
    return Key(key.seed, (*key.path, _FOLD_IN, i))


def normal(key: Key, shape: Shape, *, dtype: Any = np.float32) -> Array:
    """Draws from the normal distribution of mean 0 and variance 1.

    >>> from fcnn import key
    >>> from fcnn.prng import normal
    >>> normal(key(0), (2, 3)).dtype
    dtype('float32')
    """
    return key.generator().standard_normal(shape, dtype=dtype)


def uniform(
    key: Key, shape: Shape, low: float = 0.0, high: float = 1.0, *, dtype: Any = np.float32
) -> Array:
    """Draws from the uniform distribution on ``[low, high)``.

    >>> from fcnn import key
    >>> from fcnn.prng import uniform
    >>> bool(abs(uniform(key(0), (100,), -0.5, 0.5)).max() <= 0.5)
    True
    """
    draws = key.generator().random(shape, dtype=dtype)
    draws *= high - low
    draws += low
    return draws


def bernoulli(key: Key, probability: float, shape: Shape) -> Array:
    """True with the given probability, each entry by itself.

    The draws are float32 whatever the probability's precision, so a float64 run
    sees the same pattern as a float32 one.

    >>> from fcnn import key
    >>> from fcnn.prng import bernoulli
    >>> bool(bernoulli(key(0), 1.0, (5,)).all())
    True
    """
    return key.generator().random(shape, dtype=np.float32) < probability


def permutation(key: Key, n: int) -> Array:
    """The numbers 0 to n - 1 in a random order.

    >>> from fcnn import key
    >>> from fcnn.prng import permutation
    >>> sorted(permutation(key(0), 3).tolist())
    [0, 1, 2]
    """
    return key.generator().permutation(n)
