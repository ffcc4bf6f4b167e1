"""Products in pieces against products in float64."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import parallel
from fcnn._ops import gemm, packed

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


@pytest.fixture
def products(monkeypatch):
    """The shapes of each product that BLAS is given: (m, k, n), element size, b is transposed."""
    found, matmul = [], np.matmul

    def recorded(a, b, out=None):
        m, k, n = *a.shape[-2:], b.shape[-1]
        found.append(((m, k, n), a.itemsize, b.strides[-1] != b.itemsize))
        return matmul(a, b, out=out)

    monkeypatch.setattr(np, "matmul", recorded)
    return found


def is_cut_by_blas(shape, itemsize, is_transposed, in_place):
    m, k, n = shape
    if in_place and m * k * n <= 100**3 and not (is_transposed and m * n > 1200):
        return False
    most = {4: 320, 8: 192}[itemsize]
    return min(m, n) > 1 and (k > most or (n > most and m >= 8))


ODD = [1, 2, 7, 8, 17, 37, 64, 101, 288, 321, 359, 576, 1009, 3380]


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(m=st.sampled_from(ODD), k=st.sampled_from(ODD), n=st.sampled_from(ODD))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(37, 37, 719)  # too large in rows and columns for a product a @ b.T without packing
@example(101, 1009, 101)  # primes
@example(8, 3, 1009)
def test_blas_is_given_no_product_that_it_would_cut(
    products, monkeypatch, dtype, in_place, m, k, n
):
    """By the size of the level-2 cache: the bits would depend on it."""
    monkeypatch.setattr(gemm.BLAS, "multiplies_in_place", in_place, raising=False)
    products.clear()
    rng = np.random.default_rng(m * k * n)
    a, b, c = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n), (n, k)))
    with parallel.one_blas_thread():
        close(gemm.product(a, b[None], np.empty((1, m, n), dtype))[0], a, b)
        close(gemm.product_of_rows(a[None, None], c[None, None])[0], a, c.T)
        close(gemm.product_over_rows(np.ascontiguousarray(a.T), b), a, b)
    assert products
    assert [each for each in products if is_cut_by_blas(*each, in_place)] == []


@pytest.mark.parametrize("in_place", [True, False])
def test_a_network_gives_blas_no_product_that_it_would_cut(products, monkeypatch, in_place):
    monkeypatch.setattr(gemm.BLAS, "multiplies_in_place", in_place, raising=False)
    network = fcnn.serial(
        fcnn.conv2d(37, 5), fcnn.relu, fcnn.conv2d(37, 3), fcnn.batch_norm(), fcnn.relu,
        fcnn.conv2d(64, 3), fcnn.max_pool2d(2), fcnn.flatten, fcnn.dense(359), fcnn.dense(10),
    )  # fmt: skip
    params, _ = network.init(fcnn.key(0), (21, 17, 1))
    rng = np.random.default_rng(0)
    x, target = draw(rng, 34, 21, 17, 1), np.arange(34) % 10
    f = fcnn.value_and_grad(network, fcnn.losses.softmax_cross_entropy, shard_size=17)
    f(params, x, target, fcnn.training())
    assert products
    assert [each for each in products if is_cut_by_blas(*each, in_place)] == []


def test_a_packed_product_of_several_pieces(monkeypatch):
    monkeypatch.setattr(gemm.BLAS, "multiplies_in_place", False, raising=False)
    rng = np.random.default_rng(0)
    a, b, out = draw(rng, 9, 700), draw(rng, 2, 700, 650), np.zeros((2, 9, 700), np.float32)
    packed.multiply(a, b, out[..., 20:670])
    close(out[..., 20:670], a, b)
    assert not out[..., :20].any()
    assert not out[..., 670:].any()
    close(packed.multiply(a, b), a, b)
    assert packed.multiply(a[:, :0], b[:, :0]).shape == (2, 9, 650)
