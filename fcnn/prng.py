"""Keys: random numbers as a function of a key, without hidden state.

A `Key` is a seed and a path. `split` and `fold_in` make new keys by appending
entries to the path, and a generator is made on use, so a draw depends on its key
alone: not on earlier draws, the thread, or the process.

The path is the ``spawn_key`` of NumPy's ``SeedSequence``, which keeps the streams
of different keys independent. (``SeedSequence.spawn`` counts its children and is
not used.) `split` and `fold_in` tag their entries differently, so ``fold_in(k, 0)``
differs from ``split(k, 1)[0]``.

`normal` draws in float64 and casts: NumPy's float32 normals call the C library's
``log1pf``, which differs between glibc 2.36 and 2.41 in the last bit. `uniform` and
`bernoulli` use exact arithmetic on the generator's integers.

Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011, https://doi.org/10.1145/2063384.2063405 (Philox); M. E. O'Neill's
``seed_seq`` as in NumPy, https://numpy.org/doc/stable/reference/random/parallel.html.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, ParamSpec, SupportsIndex, TypeVar

import attrs
import numpy as np

from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError, DTypeError, MissingKeyError, ShapeError

__all__ = ["Key", "bernoulli", "fold_in", "key", "normal", "permutation", "split", "uniform"]

D = ParamSpec("D")
K = TypeVar("K", bound="Key")

_SPLIT, _FOLD_IN = 0, 1
_WORD = 2**32
_REAL = (int, float, np.integer, np.floating)
_BLOCK = 2**14  # float64 draws at a time: 128 KiB, so a large float32 array needs no float64 copy


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
        """Make a NumPy generator; every call returns one in the same initial state."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=self.path)
        return np.random.Generator(np.random.Philox(sequence))


@attrs.frozen
class _AbstractKey(Key):
    """A key for shape inference: draws from it are zeros that own no memory."""


def abstract_key() -> Key:
    """Return a key whose draws have the right shape and dtype, but are not drawn.

    `normal`, `uniform`, `bernoulli`, `permutation` and every `Initializer` return
    read-only zeros of one element's memory for it, and `split` and `fold_in` return
    keys of the same kind, so ``model.init(abstract_key(), shape)`` costs no draws.

    >>> from fcnn import prng
    >>> zeros = prng.normal(prng.abstract_key(), (1000, 1000))
    >>> zeros.shape, zeros.strides
    ((1000, 1000), (0, 0))
    """
    return _AbstractKey(0)


def is_abstract(key: Key) -> bool:
    """Tell whether ``key`` is an `abstract_key` or derived from one."""
    return isinstance(key, _AbstractKey)


def abstract_array(shape: Shape, dtype: Any = np.float32) -> Array:
    """Return read-only zeros of this shape that take the memory of one element."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _drawing(draw: Callable[D, Array]) -> Callable[D, Array]:
    """Make a draw ask its key for a recorder (`fcnn.jit`), for which it is one call."""

    @functools.wraps(draw)
    def of_key(*args: D.args, **kwargs: D.kwargs) -> Array:
        recorder = getattr(args[0] if args else kwargs.get("key"), "recorder", None)
        if recorder is None:
            return draw(*args, **kwargs)
        drawn: Array = recorder.drawn(draw, args, kwargs)
        return drawn

    return of_key


def checked(key: K) -> K:
    """Return ``key``.

    Raises:
        MissingKeyError: if it is None.
        ArgumentError: if it is no key.
    """
    if isinstance(key, Key):
        return key
    if key is None:
        raise MissingKeyError("expected a Key, got None; make one with fcnn.key(seed)")
    raise ArgumentError(f"expected a Key, got {type(key).__name__}; make one with fcnn.key(seed)")


def _index(value: SupportsIndex, what: str, limit: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < limit:
        raise ArgumentError(
            f"expected {what} to be a whole number from 0 to {limit - 1}, got {value!r}"
        )
    return number


def key(seed: int) -> Key:
    """Make the key that a run starts from.

    Raises:
        ArgumentError: if ``seed`` is not a whole number from 0 to 2**64 - 1.

    >>> from fcnn import key
    >>> key(0)
    Key(seed=0, path=())
    """
    return Key(_index(seed, "seed", 2**64))


def split(key: K, n: int = 2) -> tuple[K, ...]:
    """Make ``n`` keys whose streams are independent of each other and of ``key``.

    Raises:
        ArgumentError: if ``key`` is no key, or ``n`` no whole number from 0 to 2**32 - 1.

    >>> from fcnn import key, split
    >>> k_weight, k_bias = split(key(0), 2)
    >>> k_weight == k_bias
    False
    """
    kind, path = type(checked(key)), key.path
    return tuple([kind(key.seed, (*path, _SPLIT, i)) for i in range(_index(n, "n", _WORD))])


def fold_in(key: K, i: int) -> K:
    """Make the ``i``-th key below ``key``: for a step number, a layer or a shard.

    ``i`` may be an array of one whole number, which `fcnn.jit` takes as an argument.

    Raises:
        ArgumentError: if ``key`` is no key, or ``i`` no whole number from 0 to 2**32 - 1.

    >>> from fcnn import fold_in, key, split
    >>> fold_in(key(0), 0) == split(key(0), 1)[0]
    False
    """
    if type(i) is not int or not 0 <= i < _WORD:
        recorder = getattr(i, "recorder", None)
        if recorder is not None:
            found: K = recorder.entered(checked(key), _FOLD_IN, i, _below)
            return found
        i = _below(i)
    return type(checked(key))(key.seed, (*key.path, _FOLD_IN, i))


def _below(i: SupportsIndex) -> int:
    return _index(i, "i", _WORD)


@_drawing
def normal(key: Key, shape: Shape, *, dtype: Any = np.float32) -> Array:
    """Draw from the normal distribution of mean 0 and variance 1.

    Args:
        key: a key.
        shape: the result's shape.
        dtype: float32 or float64; both are the same float64 draws.

    Raises:
        ArgumentError: if ``key`` is no key.
        DTypeError: if ``dtype`` is neither float32 nor float64.
        ShapeError: if ``shape`` is no shape.

    >>> from fcnn import key
    >>> from fcnn.prng import normal
    >>> normal(key(0), (2, 3)).dtype
    dtype('float32')
    """

    def draw(generator: np.random.Generator, out: Array) -> None:
        generator.standard_normal(out=out)

    return _draw(key, shape, _floating(dtype), draw)


@_drawing
def uniform(
    key: Key, shape: Shape, low: float = 0.0, high: float = 1.0, *, dtype: Any = np.float32
) -> Array:
    """Draw from the uniform distribution on ``[low, high)``.

    Both ends are taken as numbers of ``dtype``, and ``high`` itself is never drawn:
    a draw that rounding puts there becomes the next number below it.

    Args:
        key: a key.
        shape: the result's shape.
        low: the lower end.
        high: the upper end.
        dtype: float32 or float64.

    Raises:
        ArgumentError: if ``key`` is no key, or ``low < high`` does not hold in ``dtype``.
        DTypeError: if ``dtype`` is neither float32 nor float64.
        ShapeError: if ``shape`` is no shape.

    >>> from fcnn import key
    >>> from fcnn.prng import uniform
    >>> bool(abs(uniform(key(0), (100,), -0.5, 0.5)).max() <= 0.5)
    True
    """
    kind = _floating(dtype)
    first, last = _ends(low, high, kind)

    def draw(generator: np.random.Generator, out: Array) -> None:
        generator.random(out=out)
        out *= last - first
        out += first

    draws = _draw(key, shape, kind, draw)
    if is_abstract(key):
        return draws
    below = np.nextafter(kind.type(last), kind.type(first))
    np.minimum(draws, below, out=draws)
    return draws


@_drawing
def bernoulli(key: Key, probability: float, shape: Shape) -> Array:
    """Draw True with the given probability, each entry independently.

    Each entry takes 32 random bits, so the probability is rounded to a multiple of
    2**-32 and the pattern does not depend on any dtype.

    Raises:
        ArgumentError: if ``key`` is no key or ``probability`` not in [0, 1].
        ShapeError: if ``shape`` is no shape.

    >>> from fcnn import key
    >>> from fcnn.prng import bernoulli
    >>> bool(bernoulli(key(0), 1.0, (5,)).all())
    True
    """
    if not (isinstance(probability, _REAL) and 0 <= probability <= 1):
        raise ArgumentError(f"expected a probability in [0, 1], got {probability!r}")
    drawn = _empty(key, shape, np.dtype(bool))
    if is_abstract(key):
        return drawn
    # A raw draw of 64 bits serves two entries, low word first on every byte order.
    raw = key.generator().bit_generator.random_raw((drawn.size + 1) // 2)
    words = raw.astype("<u8", copy=False).view("<u4")[: drawn.size]
    np.less(words.reshape(drawn.shape), round(probability * _WORD), out=drawn)
    return drawn


@_drawing
def permutation(key: Key, n: int) -> Array:
    """Draw a random order of the numbers 0 to n - 1.

    Raises:
        ArgumentError: if ``key`` is no key, or ``n`` no whole number of at least 0.

    >>> from fcnn import key
    >>> from fcnn.prng import permutation
    >>> sorted(permutation(key(0), 3).tolist())
    [0, 1, 2]
    """
    n = _index(n, "n", 2**63)
    if is_abstract(checked(key)):
        return abstract_array((n,), np.int64)
    return key.generator().permutation(n)


def _floating(dtype: Any) -> np.dtype[Any]:
    try:
        kind: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if dtype is None or kind not in (np.float32, np.float64):
        raise DTypeError(f"expected dtype float32 or float64, got {dtype!r}")
    return kind


def _ends(low: float, high: float, kind: np.dtype[Any]) -> tuple[float, float]:
    """Check ``low < high`` as numbers of ``kind``; return both as they were given."""
    real = isinstance(low, _REAL) and isinstance(high, _REAL)
    first, last = (float(low), float(high)) if real else (math.nan, math.nan)
    with np.errstate(over="ignore"):
        ends = kind.type(first), kind.type(last)
    if not (ends[0] < ends[1] and all(map(math.isfinite, (*ends, last - first)))):
        raise ArgumentError(
            f"expected finite numbers low < high in {kind}, got {low!r} and {high!r}"
        )
    return first, last


def _empty(key: Key, shape: Shape, kind: np.dtype[Any]) -> Array:
    make = abstract_array if is_abstract(checked(key)) else np.empty
    try:
        return make(shape, kind)
    except (TypeError, ValueError):
        raise ShapeError(f"expected a shape such as (3, 4), got {shape!r}") from None


def _draw(
    key: Key,
    shape: Shape,
    kind: np.dtype[Any],
    draw: Callable[[np.random.Generator, Array], object],
) -> Array:
    """Fill an array with float64 draws, cast to ``kind`` block by block."""
    drawn = _empty(key, shape, kind)
    if is_abstract(key):
        return drawn
    flat, generator = drawn.reshape(-1), key.generator()
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        if kind == np.float64:
            draw(generator, part)
        else:
            block = np.empty(part.size)
            draw(generator, block)
            part[:] = block
    return drawn
