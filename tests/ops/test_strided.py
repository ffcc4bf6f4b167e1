"""Views with strides of their own stay within their array."""

import numpy as np
import pytest

from fcnn._ops.strided import strided


def test_elements_may_overlap():
    base = np.arange(10, dtype=np.float32)
    view = strided(base, (3, 4), (8, 4), 4)
    np.testing.assert_array_equal(view, [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8]])
    assert np.shares_memory(view, base)
    view[0, 2] = 30
    assert base[3] == view[1, 0] == 30


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((11,), (4,), 0),
        ((10,), (4,), 4),
        ((3, 4), (12, 4), 4),
        ((2,), (-4,), 0),
        ((2,), (4,), -4),
        ((1,), (4,), 40),
        ((2, 2), (4, 1 << 62), 0),
    ],
)
def test_an_element_outside_is_refused(shape, strides, offset):
    with pytest.raises(ValueError, match=r"strides|offset|buffer"):
        strided(np.arange(10, dtype=np.float32), shape, strides, offset)


def test_a_base_with_gaps_is_refused():
    with pytest.raises(ValueError, match="contiguous"):
        strided(np.zeros((4, 4))[:, :2], (2, 2), (32, 8))


def test_a_view_of_a_read_only_array_is_read_only():
    base = np.zeros(4)
    base.flags.writeable = False
    assert not strided(base, (2, 2), (8, 8)).flags.writeable
