"""Hypothesis strategies: shapes, arrays, keys, layers, and small random pipelines.

>>> from hypothesis import given
>>> from fcnn.testing import check_layer, strategies
>>> @given(strategies.pipelines())
... def test_every_law(drawn):
...     model, shape = drawn
...     check_layer(model, shape)

Hypothesis is imported when a strategy is made: ``pip install fcnn[test]`` installs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn import layers as _layers
from fcnn._layer import Layer
from fcnn._typing import Array, Shape
from fcnn._walk import out_shape
from fcnn.errors import ArgumentError
from fcnn.prng import Key, fold_in, key, split

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["arrays", "keys", "layers", "pipelines", "shapes"]


def _hypothesis() -> Any:
    try:
        from hypothesis import strategies
    except ImportError:
        raise ImportError(
            "expected Hypothesis for fcnn.testing.strategies; install it with fcnn[test]"
        ) from None
    return strategies


def shapes(*, axes: int | None = None, max_side: int = 6) -> SearchStrategy[Shape]:
    """Return a strategy for shapes of one example: ``(n,)`` or ``(h, w, c)``.

    Args:
        axes: 1 or 3 for vectors or images alone.
        max_side: the longest side, and the most features.

    >>> from fcnn.testing import strategies
    >>> strategies.shapes(axes=3, max_side=4)
    tuples(integers(min_value=1, max_value=4), ...)
    """
    st = _hypothesis()
    side, channels = st.integers(1, max_side), st.integers(1, 3)
    by_axes = {1: st.tuples(side), 3: st.tuples(side, side, channels)}
    if axes not in (None, *by_axes):
        raise ArgumentError(f"expected axes=1 or axes=3, got {axes!r}")
    chosen = by_axes.values() if axes is None else [by_axes[axes]]
    return st.one_of(*chosen)  # type: ignore[no-any-return]


def arrays(
    shape: Shape | SearchStrategy[Shape], *, dtype: Any = np.float32, largest: float = 10.0
) -> SearchStrategy[Array]:
    """Return a strategy for finite arrays.

    Args:
        shape: the shape, batch axis included, or a strategy for it.
        dtype: float32 or float64.
        largest: the largest absolute value.

    >>> from fcnn.testing import strategies
    >>> strategies.arrays((2, 3)).example().shape  # doctest: +SKIP
    (2, 3)
    """
    st = _hypothesis()
    from hypothesis.extra import numpy

    width = np.dtype(dtype).itemsize * 8
    most = float(np.dtype(dtype).type(largest))
    elements = st.floats(-most, most, width=width, allow_subnormal=False)
    return numpy.arrays(dtype, shape, elements=elements)


def keys() -> SearchStrategy[Key]:
    """Return a strategy for keys: of any seed, split and folded in up to three times.

    >>> from fcnn.testing import strategies
    >>> strategies.keys().example()  # doctest: +SKIP
    Key(seed=3, path=(0, 1))
    """
    st = _hypothesis()

    def walk(seed: int, ways: list[tuple[bool, int]]) -> Key:
        found = key(seed)
        for splits, i in ways:
            found = split(found, i + 1)[i] if splits else fold_in(found, i)
        return found

    ways = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=3)
    return st.builds(walk, st.integers(0, 2**64 - 1), ways)  # type: ignore[no-any-return]


def layers(shape: Shape, *, combinators: bool = True) -> SearchStrategy[Layer]:
    """Return a strategy for layers that take examples of a shape.

    Args:
        shape: ``(h, w, c)``, or any shape of at least one axis.
        combinators: also `fcnn.residual`, `fcnn.concat`, `fcnn.add`, `fcnn.multiply` and a
            nested `fcnn.serial` of such layers.

    >>> from fcnn.testing import strategies
    >>> strategies.layers((4, 4, 1)).example()  # doctest: +SKIP
    conv2d(2, 3, padding='same')
    """
    st = _hypothesis()
    if not shape:
        raise ArgumentError("expected the shape of an example of at least one axis, got ()")
    made = [*_vector_layers(st), *(_image_layers(st, shape) if len(shape) == 3 else [])]
    if combinators:
        made += _combined(st, shape)
    return st.one_of(*made)  # type: ignore[no-any-return]


def _vector_layers(st: Any) -> list[Any]:
    return [
        st.builds(_layers.dense, st.integers(1, 4)),
        st.sampled_from([_layers.relu, _layers.sigmoid, _layers.tanh]),
        st.sampled_from([_layers.softmax, _layers.log_softmax, _layers.flatten]),
        st.builds(_layers.dropout, st.sampled_from([0.0, 0.25, 0.5])),
        st.builds(_layers.batch_norm, momentum=st.sampled_from([0.0, 0.5, 0.9])),
    ]


def _image_layers(st: Any, shape: Shape) -> list[Any]:
    rows, columns, channels = shape
    kernel = st.tuples(st.integers(1, min(3, rows)), st.integers(1, min(3, columns)))
    stride = st.integers(1, 2)
    padding = st.sampled_from(["valid", "same"])
    conv = st.builds(
        _layers.conv2d,
        st.integers(1, 2).map(lambda n: n * channels),
        kernel,
        stride=stride,
        padding=padding,
        groups=st.sampled_from([1, channels]),
        bias=st.sampled_from(["tied", "untied", None]),
        flip=st.booleans(),
    )
    pools = [
        st.builds(pool, kernel, stride=stride, padding=padding)
        for pool in (_layers.max_pool2d, _layers.avg_pool2d)
    ]
    return [conv, *pools]


def _combined(st: Any, shape: Shape) -> list[Any]:
    plain = layers(shape, combinators=False)
    same = plain.filter(lambda layer: out_shape(layer, shape) == shape)
    several = st.lists(same, min_size=1, max_size=2)

    def of(make: Callable[..., Layer]) -> Any:
        return several.map(lambda made: make(*made))

    joins = (_layers.add, _layers.concat, _layers.multiply)
    return [of(_layers.residual), of(_layers.serial), *(of(join) for join in joins)]


def pipelines(
    shape: Shape | None = None, *, max_layers: int = 4
) -> SearchStrategy[tuple[Layer, Shape]]:
    """Return a strategy for ``(model, shape)``: a `fcnn.serial` and the examples that it takes.

    Args:
        shape: the shape of the examples; any of `shapes` if None.
        max_layers: the most layers.

    >>> from fcnn.testing import strategies
    >>> strategies.pipelines().example()  # doctest: +SKIP
    (serial(conv2d(2, 3), relu), (5, 4, 2))
    """
    st = _hypothesis()

    @st.composite  # type: ignore[untyped-decorator]
    def draw_pipeline(draw: Any) -> tuple[Layer, Shape]:
        first: Shape = draw(shapes()) if shape is None else tuple(shape)
        chain: list[Layer] = []
        now = first
        for _ in range(draw(st.integers(1, max_layers))):
            chain.append(draw(layers(now)))
            now = out_shape(chain[-1], now)
        return _layers.serial(*chain), first

    return draw_pipeline()  # type: ignore[no-any-return]
