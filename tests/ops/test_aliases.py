"""What a kernel returns shares no memory with its arguments."""

import numpy as np
import pytest

from fcnn._ops.affine import affine, affine_adjoint, affine_input_adjoint
from fcnn._ops.batch_norm import normalise, normalise_adjoint, rescale
from fcnn._ops.conv import correlate, correlate_adjoints
from fcnn._ops.conv_pooled import correlate_pooled, correlate_pooled_adjoints
from fcnn._ops.epilogue import RELU
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.pool import avg_pool, avg_pool_adjoint, max_pool, max_pool_adjoint
from fcnn._ops.relu import relu, relu_adjoint
from fcnn._ops.stable import log_softmax, sigmoid, softmax
from fcnn._ops.window import slide

BATCHES = pytest.mark.parametrize("n", [1, 3])
KERNELS = pytest.mark.parametrize("k", [1, 2])  # a kernel of one element could hand on its input


def draw(*shape):
    """Random images, innermost in memory, so that no kernel copies them first."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return nhwc(np.ascontiguousarray(hcwn(x))) if len(shape) == 4 else x


def check(results, arguments):
    for i, result in enumerate(results):
        for argument in (*arguments, *results[:i]):
            if result is not None and argument is not None:
                assert not np.shares_memory(result, argument)


@BATCHES
def test_affine(n):
    x, weight, bias, dy = draw(4, n), draw(4, 5), draw(5), draw(5, n)
    check([affine(x, weight, bias)], [x, weight, bias])
    check(affine_adjoint(x, dy), [x, dy])
    check([affine_input_adjoint(weight, dy)], [weight, dy])


@BATCHES
@KERNELS
@pytest.mark.parametrize("epilogue", [None, RELU])
def test_correlation(n, k, epilogue):
    x, weight, bias = draw(n, 4, 4, 2), draw(k, k, 2, 3), draw(3)
    window = slide((4, 4), (k, k), (1, 1), (1, 1), "valid")
    y, columns = correlate(x, weight, window, 1, bias, epilogue)
    dy = draw(*y.shape)
    check([y, columns], [x, weight, bias])
    for kind in ("tied", "untied"):
        grads = correlate_adjoints(
            x, weight, dy, window, y=y, epilogue=epilogue, bias=kind, columns=columns
        )
        check(grads, [x, weight, dy, y, columns])


@BATCHES
@pytest.mark.parametrize("epilogue", [None, RELU])
@pytest.mark.parametrize("pool", [(1, 1), (2, 2)])
def test_pooled_correlation(n, epilogue, pool):
    x, weight, bias = draw(n, 4, 4, 2), draw(1, 1, 2, 3), draw(3)
    window = slide((4, 4), (1, 1), (1, 1), (1, 1), "valid")
    y, raw, columns = correlate_pooled(x, weight, window, 1, bias, epilogue, pool, True)
    dy = draw(*y.shape)
    check([y, raw, columns], [x, weight, bias])
    grads = correlate_pooled_adjoints(
        x, weight, dy, window, 1, True, pool, raw, y, epilogue, True, columns
    )
    check(grads, [x, weight, dy, y, raw, columns])


@BATCHES
@KERNELS
def test_pools(n, k):
    x, window = draw(n, 4, 4, 2), slide((4, 4), (k, k), (k, k), (1, 1), "valid")
    y = max_pool(x, window)
    dy = draw(*y.shape)
    check([y, avg_pool(x, window)], [x])
    check([max_pool_adjoint(x, y, dy, window), avg_pool_adjoint(dy, window)], [x, y, dy])


@BATCHES
@pytest.mark.parametrize("epilogue", [None, RELU])
def test_normalisation(n, epilogue):
    x, scale, bias = draw(n, 4, 4, 2), draw(2), draw(2)
    y, seen = normalise(x, scale, bias, 1e-5, epilogue)
    dy = draw(*y.shape)
    check([y, *seen[:3], rescale(x, scale, bias, epilogue)], [x, scale, bias])
    grads = normalise_adjoint(x, scale, dy, seen, y, epilogue)
    check(grads, [x, scale, dy, *seen[:3], y])


@pytest.mark.parametrize("function", [relu, sigmoid, softmax, log_softmax])
def test_activations(function):
    x = draw(3, 5)
    check([function(x)], [x])
    check([relu_adjoint(relu(x), x)], [x])
