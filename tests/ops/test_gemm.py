"""Products in pieces against products in float64."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fcnn import parallel
from fcnn._ops import gemm

# Small enough to be whole, and large enough to be cut in rows, in columns or in both.
SIZES = st.sampled_from([1, 2, 7, 16, 24, 31, 64, 97, 200])


@pytest.fixture(autouse=True, scope="module")
def _in_pieces():
    """As with AVX-512, whatever processor this is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gemm.BLAS, "multiplies_in_place", True, raising=False)
        yield


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def close(found, a, b):
    expected = a.astype(np.float64) @ b.astype(np.float64)
    scale = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= 1e-5 * scale + 1e-30).all()


@given(m=SIZES, k=SIZES, n=st.sampled_from([1, 5, 64, 300, 1000, 1025]), stack=st.integers(1, 3))
def test_product(m, k, n, stack):
    rng = np.random.default_rng(m * k + n)
    a, b = draw(rng, 1, m, k), draw(rng, stack, k, n)
    with parallel.one_blas_thread():
        close(gemm.product(a, b, np.empty((stack, m, n), np.float32)), a, b)
    close(gemm.product(a, b, np.empty((stack, m, n), np.float32)), a, b)


@given(m=SIZES, k=SIZES, n=st.sampled_from([1, 5, 64, 300, 1000, 1025]), stack=st.integers(1, 3))
def test_product_of_rows(m, k, n, stack):
    rng = np.random.default_rng(m * k + n)
    a, b = draw(rng, 2, stack, m, n), draw(rng, 2, stack, k, n)
    with parallel.one_blas_thread():
        found = gemm.product_of_rows(a, b)
    flat_a, flat_b = (np.moveaxis(x, 1, 2).reshape(2, x.shape[2], -1) for x in (a, b))
    close(found, flat_a, flat_b.swapaxes(1, 2))


@given(k=st.sampled_from([1, 30, 121, 1000, 1153]), m=SIZES, n=SIZES)
def test_product_over_rows(k, m, n):
    rng = np.random.default_rng(m * k + n)
    a, b = draw(rng, k, m), draw(rng, k, n)
    with parallel.one_blas_thread():
        close(gemm.product_over_rows(a, b), a.T, b)


@given(n=st.integers(1, 10**6), most=st.integers(1, 10**5))
@example(n=98_304, most=27_777)
@example(n=999_983, most=10**5)  # a prime
def test_the_largest_divisor(n, most):
    divisors = [d for k in range(1, math.isqrt(n) + 1) if n % k == 0 for d in (k, n // k)]
    assert gemm.divisor(n, most) == max(d for d in divisors if d <= most)


def test_outer_keeps_what_is_not_finite_in_its_place():
    a, b = np.array([1.0, np.inf], np.float32), np.array([2.0, 3.0, 0.5], np.float32)
    with np.errstate(invalid="ignore"):  # BLAS fills its vectors up
        np.testing.assert_array_equal(gemm.outer(a, b), np.outer(a, b))


@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(16, 144, 1024), (32, 288, 512), (64, 576, 256), (3380, 100, 32), (100, 50, 4000)],
)
def test_a_piece_is_small_enough_for_blas_not_to_pack_it(m, k, n):
    with parallel.one_blas_thread():
        rows, columns = gemm._piece(m, k, n)
        assert m % rows == 0
        assert rows * k * columns <= gemm.LIMIT
        rows, columns, length = gemm._piece_of_rows(m, k, n)
    assert (m % rows, k % columns, n % length) == (0, 0, 0)
    assert rows * columns <= gemm.LIMIT_TRANSPOSED
    assert rows * columns * length <= gemm.LIMIT


def test_a_product_into_a_part_of_an_array_leaves_the_rest():
    rng = np.random.default_rng(0)
    a, b, out = draw(rng, 32, 288), draw(rng, 2, 288, 300), np.zeros((2, 32, 700), np.float32)
    with parallel.one_blas_thread():
        gemm.product(a, b, out[..., 100:400])
    close(out[..., 100:400], a, b)
    assert not out[..., :100].any()
    assert not out[..., 400:].any()


def test_without_a_form_for_small_matrices_products_stay_whole(monkeypatch):
    monkeypatch.setattr(gemm.BLAS, "multiplies_in_place", False, raising=False)
    assert gemm._piece(64, 576, 256) == (64, 256)
    assert gemm._piece_of_rows(288, 32, 512) == (288, 32, 512)
    rng = np.random.default_rng(0)
    a, b = draw(rng, 2000, 64), draw(rng, 2000, 32)
    close(gemm.product_over_rows(a, b), a.T, b)
