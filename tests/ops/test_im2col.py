"""Columns of a convolution against windows taken one by one."""

import numpy as np
import pytest

from fcnn._ops.blocks import Block
from fcnn._ops.im2col import im2col
from fcnn._ops.window import slide


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((1, 2), (3, 0))])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (4, 3)])
def test_each_matrix_holds_the_windows_of_a_row(stride, dilation, pads, groups):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 17, 16, 4)).astype(np.float32)
    window = slide((17, 16), (3, 2), stride, dilation, pads)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    block = Block(slice(1, 3), slice(1, window.out[1]))
    columns = im2col(x, window, groups, block)
    wide, c = block.size[1], 4 // groups
    assert columns.shape == (groups, 2, 3 * 2 * c, wide * 3)
    found = columns.reshape(groups, 2, 3, 2, c, wide, 3)
    for r in range(2):
        for j in range(wide):
            top, left = (1 + r) * stride[0], (1 + j) * stride[1]
            pixels = padded[:, top:, left:][:, :: dilation[0], :: dilation[1]][:, :3, :2]
            expected = pixels.reshape(3, 3, 2, groups, c).transpose(3, 1, 2, 4, 0)
            np.testing.assert_array_equal(found[:, r, :, :, :, j], expected)
