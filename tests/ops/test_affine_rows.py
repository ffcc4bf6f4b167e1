"""The affine map of the last axis, in each order of memory, against einsum."""

import numpy as np
import pytest

from fcnn._ops.affine_rows import (
    affine_rows,
    affine_rows_adjoint,
    affine_rows_input_adjoint,
    arranged,
)
from fcnn._ops.spatial import contiguous, outermost

ORDERS = {
    "channels innermost": np.ascontiguousarray,
    "examples innermost": lambda x: outermost(contiguous(x)),
    "neither": np.asfortranarray,
}


@pytest.mark.parametrize("order_of_dy", ORDERS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "shape",
    [(40, 3, 2, 5), (2, 3, 2, 5), (33, 4, 5), (8, 2, 3, 4, 5), (0, 2, 2, 5), (1, 65, 65, 5)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_sum_of_products(shape, order, order_of_dy, dtype):
    rng = np.random.default_rng(0)
    x = ORDERS[order](rng.standard_normal(shape).astype(dtype))
    weight, bias = rng.standard_normal((5, 7)).astype(dtype), rng.standard_normal(7).astype(dtype)
    dy = ORDERS[order_of_dy](rng.standard_normal((*shape[:-1], 7)).astype(dtype))
    close = {"rtol": 1e-4, "atol": 3e-4} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-11}

    taken = arranged(x)
    np.testing.assert_array_equal(taken, x)
    y = affine_rows(taken, weight, bias)
    dweight, dbias = affine_rows_adjoint(taken, dy)
    dx = affine_rows_input_adjoint(taken, weight, dy)

    for found in (y, dweight, dbias, dx):
        assert found.dtype == dtype
    np.testing.assert_allclose(y, np.einsum("...c,cu->...u", x, weight) + bias, **close)
    np.testing.assert_allclose(dx, np.einsum("...u,cu->...c", dy, weight), **close)
    expected = np.einsum("pc,pu->cu", x.reshape(-1, 5), dy.reshape(-1, 7))
    np.testing.assert_allclose(dweight, expected, **close)
    np.testing.assert_allclose(dbias, dy.reshape(-1, 7).sum(axis=0), **close)


def test_an_array_of_the_kernels_is_not_copied():
    x = ORDERS["examples innermost"](np.ones((32, 3, 4, 5)))
    assert arranged(x) is x
    y = affine_rows(x, np.ones((5, 7)), np.zeros(7))
    assert arranged(y) is y
    assert not y.flags.c_contiguous
