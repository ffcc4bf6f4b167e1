"""Normalisation in float32, whatever the mean, against the definition in float64."""

import numpy as np
import pytest

from fcnn._ops.batch_norm import NEAR, normalise, normalise_adjoint
from fcnn._ops.epilogue import RELU


@pytest.mark.parametrize("offset", [0.0, 1.0, NEAR**0.5 * 0.9, NEAR**0.5 * 1.1, 100.0, 3000.0])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(16, 12, 12, 3), (1, 48, 48, 3), (1, 20000, 2, 3), (4000, 3)])
def test_rounding_does_not_grow_with_the_mean(offset, relu, shape):
    rng = np.random.default_rng(0)
    x = (offset + rng.standard_normal(shape)).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    scale, shift = rng.standard_normal((2, 3)).astype(np.float32)

    epilogue = RELU if relu else None
    y, seen = normalise(x, scale, shift, 1e-5, epilogue)
    dscale, dshift, dx = normalise_adjoint(x, scale, dy, seen, y, epilogue)

    exact, axes = x.astype(np.float64), tuple(range(x.ndim - 1))
    middle, spread = exact.mean(axes), exact.var(axes)
    inverse = 1 / np.sqrt(spread + 1e-5)
    u = (exact - middle) * inverse
    expected = u * scale + shift
    dz = np.where(y > 0, dy, 0) if relu else dy.astype(np.float64)
    expected_dx = scale * inverse * (dz - dz.mean(axes) - u * (dz * u).mean(axes))
    # x itself is rounded to a half of its last place: the larger the mean, the more that is
    slack = 4e-6 + 4 * np.finfo(np.float32).eps * abs(offset)
    np.testing.assert_allclose(seen.mean, middle, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(seen.var, spread, rtol=slack)
    np.testing.assert_allclose(y, np.maximum(expected, 0) if relu else expected, atol=slack)
    np.testing.assert_allclose(dshift, dz.sum(axes), atol=1e-3)
    np.testing.assert_allclose(dscale, (dz * u).sum(axes), atol=1e-3 + 30 * slack)
    np.testing.assert_allclose(dx, expected_dx, atol=slack)


def test_squares_that_overflow_do_not_make_the_variance_infinite():
    x = 3e18 + 1e16 * np.random.default_rng(0).standard_normal((16, 12, 12, 3))
    x = x.astype(np.float32)
    y, seen = normalise(x, np.ones(3, np.float32), np.zeros(3, np.float32), 1e-5)
    np.testing.assert_allclose(seen.var, x.astype(np.float64).var((0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-3)
