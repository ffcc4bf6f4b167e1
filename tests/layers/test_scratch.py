"""What a convolution, a pool and a batch norm need beside their results stays within a budget."""

import tracemalloc

import numpy as np
import pytest

import fcnn
from fcnn import parallel

MIB = 1 << 20
BUDGET = 8 * MIB
CASES = [
    (fcnn.conv2d(16, 3, padding="same"), (32, 32, 16)),
    (fcnn.conv2d(32, 3, padding="same"), (32, 32, 32)),
    (fcnn.conv2d(52, 3), (14, 14, 52)),
    (fcnn.conv2d(64, 3), (14, 14, 64)),
    (fcnn.conv2d(16, 3, stride=2), (32, 32, 16)),
    (fcnn.conv2d(16, 3, groups=4), (32, 32, 16)),
    (fcnn.conv2d(6, 5), (28, 28, 1)),
    (fcnn.conv2d(1, 6), (28, 28, 1)),
    (fcnn.conv1d(16, 5), (100, 16)),
    (fcnn.conv1d(16, 5, stride=2, groups=2), (100, 16)),
    (fcnn.max_pool2d(2), (24, 24, 32)),
    (fcnn.max_pool2d(3, stride=2), (24, 24, 32)),
    (fcnn.avg_pool2d(2), (24, 24, 32)),
    (fcnn.batch_norm(), (24, 24, 32)),
]

# The kernel of one filter a channel works on the whole batch with the images innermost.
COPIES = [(fcnn.conv2d(16, 3, groups=16), (32, 32, 16)), (fcnn.depthwise_conv2d(3), (32, 32, 16))]


def peak(call):
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def check(layer, shape, copies):
    """With one BLAS thread, as a shard is computed: several take whole products."""
    with parallel.one_blas_thread():
        check_scratch(layer, shape, copies)


def check_scratch(layer, shape, copies):
    params, _ = layer.init(fcnn.key(0), shape)
    x = np.random.default_rng(0).random((256, *shape), np.float32)
    more = copies * x.nbytes + BUDGET
    y, pullback = layer.vjp(params, x[:32], fcnn.training())  # imports, and what is kept for good
    pullback(y)
    used, (y, pullback) = peak(lambda: layer.vjp(params, x, fcnn.training()))
    assert used <= y.nbytes + more
    dy = np.ones_like(y)
    used, (_, dx) = peak(lambda: pullback(dy))
    assert used <= dx.nbytes + more


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=[repr(layer) for layer, _ in CASES])
def test_scratch_is_bounded_whatever_the_batch(layer, shape):
    check(layer, shape, 0)


@pytest.mark.parametrize(("layer", "shape"), COPIES, ids=[repr(layer) for layer, _ in COPIES])
def test_one_filter_a_channel_costs_a_copy(layer, shape):
    check(layer, shape, 1)
