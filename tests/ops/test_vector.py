"""Sums and products of finite numbers raise no floating-point exception, and are right."""

import ctypes
import warnings

import numpy as np
import pytest

from fcnn._ops.packed import multiply
from fcnn._ops.vector import row_sums, times_vector


class Words(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 20_000)]


@pytest.fixture
def dirty():
    """Return ``dirty()``, which leaves float32 signalling NaNs on the stack, below this frame.

    A structure that is passed by value is copied there; the function that is called ignores it.
    With it ``np.ones((2, 5), np.float32) @ np.ones(5, np.float32)`` warns on AVX-512 processors
    with the OpenBLAS of NumPy 2.4.
    """
    given = Words()
    np.frombuffer(given.words, np.uint32)[:] = 0x7F800001
    touch = ctypes.PyDLL(None).getpid
    touch.argtypes = [Words]
    return lambda: touch(given)


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 50])
@pytest.mark.parametrize("length", [1, 4, 5, 6, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_finite_numbers_do_not_warn(dirty, rows, length, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((rows, length)), rng.standard_normal((length, 6))
    a, b = a.astype(dtype), b.astype(dtype)
    near = {"rtol": 1e-5, "atol": 1e-5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dirty()
        np.testing.assert_allclose(row_sums(a), a.sum(axis=1), **near)
        dirty()
        found = row_sums(a, out=np.empty(rows, dtype))
        np.testing.assert_allclose(found, a.sum(axis=1), **near)
        dirty()
        found = times_vector(a, b[:, 0])
        assert found.dtype == dtype
        np.testing.assert_allclose(found, np.einsum("ij,j->i", a, b[:, 0]), **near)
        for columns in (1, 2, 3, 6):
            for right in (b[:, :columns], np.ascontiguousarray(b[:, :columns].T).T):
                expected = np.einsum("ij,jk->ik", a, right)
                dirty()
                np.testing.assert_allclose(multiply(a, right), expected, **near)
                dirty()
                found = multiply(a, right, np.empty((rows, columns), dtype))
                np.testing.assert_allclose(found, expected, **near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_of_one_element_has_the_bits_of_the_product_with_one(dtype):
    numbers = [-0.0, 0.0, np.inf, -np.inf, np.nan, 1.1, -3e-39]
    a = np.array(numbers, dtype).reshape(7, 1)
    expected = a @ np.ones(1, dtype)
    out = np.empty(7, dtype)
    assert row_sums(a, out) is out
    assert out.tobytes() == row_sums(a).tobytes() == expected.tobytes()
