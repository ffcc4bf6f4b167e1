"""Images in any order of memory give the same bits, and leave in one order."""

import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn._ops import layout

LAYERS = [
    fcnn.conv2d(5, 3),
    fcnn.conv2d(5, 3, stride=2, padding="same"),
    fcnn.conv2d(6, 3, groups=3, dilation=2),
    fcnn.max_pool2d(2),
    fcnn.max_pool2d(3, stride=2, padding=1),
    fcnn.avg_pool2d(2),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.flatten,
    fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, fcnn.dense(3)),
]
ORDERS = [(0, 1, 2, 3), (1, 3, 2, 0), (1, 2, 3, 0), (3, 2, 1, 0), (0, 3, 1, 2)]


def in_order(x, axes):
    """The same array, its axes in another order in memory."""
    return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("axes", ORDERS)
def test_every_order_gives_the_same_bits(layer, n, axes):
    rng = np.random.default_rng(0)
    params, _ = layer.init(fcnn.key(0), (12, 9, 3))
    x = rng.standard_normal((n, 12, 9, 3)).astype(np.float32)
    ctx = fcnn.training()
    y, pullback = layer.vjp(params, in_order(x, ORDERS[1]), ctx)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    again, pullback_again = layer.vjp(params, in_order(x, axes), ctx)
    dy_again = in_order(dy, axes) if dy.ndim == 4 else dy
    assert tree.equal((again, pullback_again(dy_again)), (y, pullback(dy)))


@pytest.mark.parametrize("layer", LAYERS[:7], ids=repr)
def test_a_layer_leaves_the_images_innermost(layer):
    params, _ = layer.init(fcnn.key(0), (12, 9, 3))
    y = layer.apply(params, np.ones((6, 12, 9, 3), np.float32), fcnn.training())
    assert layout.hcwn(y).flags.c_contiguous


def test_round_trip():
    x = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(layout.nhwc(layout.hcwn(x)), x)
    moved = layout.images_innermost(x)
    np.testing.assert_array_equal(moved, x)
    assert layout.images_innermost(moved) is moved
    flat = layout.reshaped(moved, (60,))
    np.testing.assert_array_equal(flat, x.reshape(2, 60))
    assert flat.T.flags.c_contiguous
    np.testing.assert_array_equal(layout.reshaped(flat, (3, 4, 5)), x)
