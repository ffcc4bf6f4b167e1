"""Where the gradient of a max pool goes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.pool import max_pool, max_pool_adjoint
from fcnn._ops.pool.max import _adjoint_by_index, pool_tiles, pool_tiles_adjoint
from fcnn._ops.window import slide

SIZE = st.integers(1, 9)
KERNEL = st.integers(1, 4)


@given(image=st.tuples(SIZE, SIZE), kernel=st.tuples(KERNEL, KERNEL), data=st.data())
def test_by_steps_and_by_index(image, kernel, data):
    stride = data.draw(st.one_of(st.just(kernel), st.tuples(KERNEL, KERNEL)))
    pads = tuple(
        (data.draw(st.integers(0, k - 1)), data.draw(st.integers(0, k - 1))) for k in kernel
    )
    assume(all(k <= i + sum(p) for k, i, p in zip(kernel, image, pads, strict=True)))
    window = slide(image, kernel, stride, (1, 1), pads)
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, (3, *image, 2)).astype(np.float32)  # with many ties
    y = max_pool(x, window)
    dy = rng.integers(-9, 9, y.shape).astype(np.float32)
    expected = nhwc(_adjoint_by_index(hcwn(x), hcwn(dy), window))
    np.testing.assert_array_equal(max_pool_adjoint(x, y, dy, window), expected)


@pytest.mark.parametrize("pool", [(2, 2), (3, 1), (2, 4)])
def test_tiles_are_windows_side_by_side(pool):
    rng = np.random.default_rng(0)
    image = rng.integers(-2, 3, (6, 3, 8, 5)).astype(np.float32)
    window = slide((6, 8), pool, pool, (1, 1), "valid")
    most = pool_tiles(image, pool, np.empty((6 // pool[0], 3, 8 // pool[1], 5), np.float32))
    np.testing.assert_array_equal(nhwc(most), max_pool(nhwc(image), window))
    dmost = rng.standard_normal(most.shape).astype(np.float32)
    dimage = np.empty_like(image)
    expected = max_pool_adjoint(nhwc(image), nhwc(most), nhwc(dmost), window)
    for finite in (True, False):
        pool_tiles_adjoint(image, dmost, pool, dimage, finite)
        np.testing.assert_array_equal(nhwc(dimage), expected)
