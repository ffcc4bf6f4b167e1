"""An epilogue gives what the function gives after the kernel, in one block or in many."""

from unittest import mock

import numpy as np
import pytest

from fcnn._ops import blocks
from fcnn._ops.batch_norm import normalise, normalise_adjoint, rescale
from fcnn._ops.conv import correlate, correlate_adjoints
from fcnn._ops.conv_pooled import correlate_pooled, correlate_pooled_adjoints
from fcnn._ops.epilogue import RELU, Epilogue
from fcnn._ops.pool import max_pool, max_pool_adjoint
from fcnn._ops.window import slide


def _tanh_adjoint(y, dy, out=None):
    return np.multiply(dy, 1 - y * y, out=out)


TANH = Epilogue(np.tanh, _tanh_adjoint)
EPILOGUES = pytest.mark.parametrize("epilogue", [RELU, TANH], ids=["relu", "tanh"])
BUDGETS = pytest.mark.parametrize("budget", [1 << 12, 1 << 22])


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@EPILOGUES
@BUDGETS
@pytest.mark.parametrize("bias", ["tied", "untied", None])
@pytest.mark.parametrize("channels", [3, 16])
def test_of_a_correlation(epilogue, budget, bias, channels):
    x, weight = draw(0, 16, 9, 11, channels), draw(1, 3, 3, channels, 16)
    window = slide((9, 11), (3, 3), (1, 1), (1, 1), ((1, 1), (0, 1)))
    shift = {"tied": draw(2, 16), "untied": draw(2, *window.out, 16), None: None}[bias]
    dy = draw(3, 16, *window.out, 16)
    with mock.patch.object(blocks, "BUDGET", budget):
        z, _ = correlate(x, weight, window, 1, shift)
        expected = epilogue.apply(z)
        y, columns = correlate(x, weight, window, 1, shift, epilogue)
        np.testing.assert_array_equal(y, expected)
        plain = correlate_adjoints(x, weight, epilogue.adjoint(y, dy), window, bias=bias)
        grads = correlate_adjoints(
            x, weight, dy, window, y=y, epilogue=epilogue, bias=bias, columns=columns
        )
    for grad, other in zip(grads, plain, strict=True):
        if other is None:
            assert grad is None
        else:
            np.testing.assert_allclose(grad, other, rtol=1e-9, atol=1e-9)


@EPILOGUES
@BUDGETS
def test_of_a_pooled_correlation(epilogue, budget):
    x, weight, bias = draw(0, 5, 9, 12, 3), draw(1, 3, 3, 3, 4), draw(2, 4)
    window = slide((9, 12), (3, 3), (1, 1), (1, 1), "valid")
    over = slide(window.out, (2, 3), (2, 3), (1, 1), "valid")
    dy = draw(3, 5, *over.out, 4)
    with mock.patch.object(blocks, "BUDGET", budget):
        z = epilogue.apply(correlate(x, weight, window, 1, bias)[0])
        y, raw, columns = correlate_pooled(x, weight, window, 1, bias, epilogue, (2, 3), True)
        np.testing.assert_allclose(y, max_pool(z, over), rtol=1e-12, atol=1e-12)
        dz = max_pool_adjoint(z, max_pool(z, over), dy, over)
        plain = correlate_adjoints(x, weight, epilogue.adjoint(z, dz), window)
        grads = correlate_pooled_adjoints(
            x, weight, dy, window, 1, True, (2, 3), raw, y, epilogue, True, columns
        )
        none = correlate_pooled_adjoints(
            x, weight, dy, window, 1, False, (2, 3), raw, y, epilogue, False, columns
        )
    for grad, other in zip(grads, plain, strict=True):
        np.testing.assert_allclose(grad, other, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(none[0], grads[0])
    assert none[1:] == (None, None)


@EPILOGUES
@BUDGETS
def test_of_a_normalisation(epilogue, budget):
    x, scale, bias, dy = draw(0, 6, 7, 8, 3), draw(1, 3), draw(2, 3), draw(3, 6, 7, 8, 3)
    with mock.patch.object(blocks, "BUDGET", budget):
        z, seen = normalise(x, scale, bias, 1e-5)
        y, _ = normalise(x, scale, bias, 1e-5, epilogue)
        np.testing.assert_array_equal(y, epilogue.apply(z))
        grads = normalise_adjoint(x, scale, dy, seen, y, epilogue)
        plain = normalise_adjoint(x, scale, epilogue.adjoint(y, dy), seen)
        for grad, other in zip(grads, plain, strict=True):
            np.testing.assert_allclose(grad, other, rtol=1e-9, atol=1e-9)
        again = rescale(x, scale, bias, epilogue)
    np.testing.assert_array_equal(again, epilogue.apply(x * scale + bias))


def test_an_adjoint_without_the_output_is_refused():
    x, weight = draw(0, 2, 4, 4, 3), draw(1, 1, 1, 3, 4)
    window = slide((4, 4), (1, 1), (1, 1), (1, 1), "valid")
    said = "expected the output y for the adjoint of an epilogue, got None; pass y"
    with pytest.raises(TypeError, match=said):
        correlate_adjoints(x, weight, draw(2, 2, 4, 4, 4), window, epilogue=RELU)
    _, raw, _ = correlate_pooled(x, weight, window, 1, None, RELU, (2, 2), True)
    with pytest.raises(TypeError, match=said):
        correlate_pooled_adjoints(
            x, weight, draw(2, 2, 2, 2, 4), window, 1, False, (2, 2), raw, None, RELU, True
        )
    _, seen = normalise(x, np.ones(3), np.zeros(3), 1e-5)
    with pytest.raises(TypeError, match=said):
        normalise_adjoint(x, np.ones(3), x, seen, epilogue=RELU)
