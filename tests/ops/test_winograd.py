"""Winograd's algorithm against SciPy and against the direct one."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from fcnn._ops import algorithm, blocks, conv
from fcnn._ops.conv_pooled import correlate_pooled, correlate_pooled_adjoints
from fcnn._ops.epilogue import RELU
from fcnn._ops.window import slide
from fcnn._ops.winograd import is_few, is_plain, matrices, suits


def test_transforms_are_exact():
    # y = output @ ((filter @ g) * (input @ d)) for each unit filter and each unit input
    for i in range(matrices.FILTER):
        for j in range(matrices.ALPHA):
            product = matrices.FILTER_TRANSFORM[:, i] * matrices.INPUT_TRANSFORM[:, j]
            expected = [float(row + i == j) for row in range(matrices.TILE)]
            np.testing.assert_allclose(matrices.OUTPUT_TRANSFORM @ product, expected, atol=1e-14)


@pytest.mark.parametrize(
    ("change", "chosen"),
    [
        ({}, True),
        ({"kernel": (3, 5)}, False),
        ({"stride": (1, 2)}, False),
        ({"dilation": (2, 1)}, False),
        ({"groups": 2}, False),
        ({"channels": 8}, False),
        ({"images": 1}, True),
        ({"images": 0}, False),
        ({"image": (6, 6), "images": 2}, False),  # 32 pixels
        ({"channels": 16, "images": 8}, True),
        ({"image": (6, 9)}, True),
        ({"image": (3, 3), "images": 64}, False),  # one output of 16 is needed
        ({"images": 320}, False),  # one tile is over the budget
        ({"images": 140}, True),
        ({"images": 140, "dtype": np.float64}, False),
        ({"pool": (2, 2)}, True),
        ({"pool": (1, 3)}, True),
        ({"pool": (5, 7)}, False),  # a block of whole tiles and pools would be 20 x 28
        ({"channels": 1400, "images": 8}, False),  # transformed filters are over the budget
    ],
    ids=str,
)
def test_when_it_is_chosen(change, chosen):
    usual = {"image": (16, 16), "kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1)}
    usual |= {"groups": 1, "channels": 32, "images": 32, "dtype": np.float32, "pool": (1, 1)}
    *geometry, groups, channels, images, dtype, pool = (usual | change).values()
    window = slide(*geometry, ((0, 0), (0, 0)))
    x = np.empty((images, *geometry[0], channels), dtype)
    weight = np.empty((*geometry[1], channels // groups, 64), dtype)
    assert suits(x, weight, window, groups, pool) is chosen


@pytest.mark.parametrize(
    ("images", "size", "few"),
    [(7, 100, True), (8, 32, True), (9, 32, False), (10, 24, True), (12, 24, False),
     (15, 8, True), (16, 8, False)],
)  # fmt: skip
def test_images_are_turned_where_a_row_of_their_tiles_is_short(images, size, few):
    x = np.empty((images, size, size, 16), np.float32)
    assert is_few(x, view((size, size), ((1, 1), (1, 1)))) is few


@pytest.mark.parametrize(
    ("images", "size", "channels", "plain"),
    [(1, 32, 16, True), (1, 16, 32, True), (1, 23, 32, False), (2, 32, 16, True),
     (2, 16, 32, False), (4, 32, 31, True), (5, 32, 16, False)],
)  # fmt: skip
def test_few_images_of_few_channels_are_transformed_for_the_adjoint_alone(
    images, size, channels, plain
):
    x, weight = np.empty((images, size, size, 64)), np.empty((3, 3, 64, channels))
    assert is_plain(x, weight, view((size, size), ((1, 1), (1, 1)))) is plain


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def view(image, pads):
    return slide(image, (3, 3), (1, 1), (1, 1), pads)


def test_against_scipy():
    x, weight = draw(0, 16, 18, 17, 16), draw(1, 3, 3, 16, 16)
    window = view((18, 17), ((0, 0), (0, 0)))
    assert suits(x, weight, window, 1)
    y, _ = conv.correlate(x, weight, window)
    for image, o in ((0, 0), (15, 15)):
        planes = [correlate2d(x[image, :, :, k], weight[:, :, k, o], "valid") for k in range(16)]
        np.testing.assert_allclose(y[image, :, :, o], sum(planes), rtol=1e-10, atol=1e-10)


def both_ways(function, budget, order):
    """By Winograd's algorithm, whatever the shape, and by the direct one, in small blocks."""
    with (
        mock.patch.object(blocks, "BUDGET", budget),
        mock.patch.object(algorithm, "suits") as fits,
        mock.patch.object(algorithm, "is_few", return_value=order == "few"),
        mock.patch.object(algorithm, "is_plain", return_value=order == "plain"),
    ):
        fits.return_value = True
        fewer = function()
        fits.return_value = False
        plain = function()
    return fewer, plain


ORDERS = ["few", "plain", "many"]


SIZE = st.integers(1, 14)
PAD = st.integers(0, 4)


@settings(max_examples=60)
@given(
    high=SIZE,
    wide=SIZE,
    top=PAD,
    bottom=PAD,
    left=PAD,
    right=PAD,
    n=st.integers(1, 3),
    budget=st.sampled_from([1 << 12, 1 << 15, 1 << 22]),
    order=st.sampled_from(ORDERS),
    relu=st.booleans(),
    input_grad=st.booleans(),
)
@example(12, 12, 4, 4, 4, 4, 2, 1 << 12, "many", True, True)
@example(12, 12, 4, 4, 4, 4, 2, 1 << 12, "few", True, True)
def test_values_and_adjoints(
    high, wide, top, bottom, left, right, n, budget, order, relu, input_grad
):
    assume(high + top + bottom >= 3)
    assume(wide + left + right >= 3)
    window = view((high, wide), ((top, bottom), (left, right)))
    x, weight, bias = draw(2, n, high, wide, 16), draw(3, 3, 3, 16, 17), draw(4, 17)
    dy = draw(5, n, *window.out, 17)

    epilogue = RELU if relu else None

    def gradients():
        y, columns = conv.correlate(x, weight, window, 1, bias, epilogue)
        given = conv.correlate_adjoints(
            x, weight, dy, window, y=y, epilogue=epilogue, input_grad=input_grad, columns=columns
        )
        return [y, *(each for each in given if each is not None)]

    fewer, plain = both_ways(gradients, budget, order)
    assert len(fewer) == len(plain) == 3 + input_grad
    for one, other in zip(fewer, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


@pytest.mark.parametrize("pool", [(2, 2), (3, 2), (2, 3), (1, 4), (5, 7)])
@pytest.mark.parametrize("budget", [1 << 12, 1 << 15, 1 << 22])
@pytest.mark.parametrize("order", ORDERS)
def test_with_a_pool(pool, budget, order):
    window = view((15, 14), ((1, 1), (1, 1)))
    x, weight, bias = draw(2, 3, 15, 14, 16), draw(3, 3, 3, 16, 17), draw(4, 17)
    dy = draw(5, 3, 15 // pool[0], 14 // pool[1], 17)

    def gradients():
        y, raw, columns = correlate_pooled(x, weight, window, 1, bias, RELU, pool, True)
        given = correlate_pooled_adjoints(
            x, weight, dy, window, 1, True, pool, raw, y, RELU, True, columns
        )
        return [y, *given]

    fewer, plain = both_ways(gradients, budget, order)
    for one, other in zip(fewer, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


@pytest.mark.parametrize("bias", [None, "zero", "some"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [16, 8])
def test_output_of_a_blank_window_is_not_rounded(bias, dtype, n):
    x, weight = draw(0, n, 17, 15, 16).astype(dtype), draw(1, 3, 3, 16, 32).astype(dtype)
    x[: n // 2, 3:12, 4:9] = 0
    x[3] = 0
    x[:, :, :, 0] = 0
    window = view((17, 15), ((1, 2), (0, 1)))
    assert suits(x, weight, window, 1)
    numbers = np.arange(32) % 3 if bias == "some" else np.zeros(32)
    shift = None if bias is None else numbers.astype(dtype)
    y, _ = conv.correlate(x, weight, window, 1, shift)
    reach, _ = conv.correlate(np.abs(x), np.ones((3, 3, 16, 1), dtype), window)
    blank = (reach == 0)[..., 0]
    assert 300 < blank.sum() < blank.size / 2
    np.testing.assert_array_equal(y[blank], np.broadcast_to(numbers, y[blank].shape))
    assert (y[~blank][:, 0] != 0).all()


@pytest.mark.parametrize("n", [8, 16])
@pytest.mark.parametrize(("high", "wide"), [(12, 13), (13, 14), (14, 12)])
@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 1), (2, 0))], ids=str)
def test_any_single_window_that_is_blank_is_found(n, high, wide, pads):
    window, weight = view((high, wide), pads), draw(1, 3, 3, 16, 16).astype(np.float32)
    (top, _), (left, _) = pads
    for row, col in np.ndindex(window.out):
        image = draw(0, high, wide, 16).astype(np.float32)
        image[max(0, row - top) : row - top + 3, max(0, col - left) : col - left + 3] = 0
        y, _ = conv.correlate(np.stack([image] * n), weight, window)
        assert not y[:, row, col].any()


def test_what_is_not_finite_stays_in_its_image_and_does_not_vanish():
    x, weight = draw(0, 16, 17, 15, 16), draw(1, 3, 3, 16, 16)
    x[2, 8, 8, 3] = np.nan
    window = view((17, 15), ((0, 0), (0, 0)))
    assert suits(x, weight, window, 1)
    y, _ = conv.correlate(x, weight, window)
    assert np.isnan(y[2, 6:9, 6:9]).all()
    assert np.isfinite(y[2, :2]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


def test_rounding_in_float32():
    x, weight = draw(0, 8, 16, 16, 32), draw(1, 3, 3, 32, 32)
    window, dy = view((16, 16), ((1, 1), (1, 1))), draw(2, 8, 16, 16, 32)
    assert suits(x, weight, window, 1)
    single = [each.astype(np.float32) for each in (x, weight, dy)]
    found = [conv.correlate(*single[:2], window)[0]]
    found += conv.correlate_adjoints(*single, window, bias=None)[::2]
    exact = [conv.correlate(x, weight, window)[0]]
    exact += conv.correlate_adjoints(x, weight, dy, window, bias=None)[::2]
    sizes = [conv.correlate(abs(x), abs(weight), window)[0]]
    sizes += conv.correlate_adjoints(abs(x), abs(weight), abs(dy), window, bias=None)[::2]
    for one, other, size in zip(found, exact, sizes, strict=True):
        assert one.dtype == np.float32
        assert (np.abs(one - other) <= 1e-6 * size).all()


def test_kept_tiles_give_the_same_adjoints():
    x, weight = draw(0, 8, 8, 8, 32), draw(1, 3, 3, 32, 32)
    window, dy = view((8, 8), ((1, 1), (1, 1))), draw(2, 8, 8, 8, 32)
    assert suits(x, weight, window, 1)
    _, columns = conv.correlate(x, weight, window)
    assert columns is not None
    assert columns.nbytes <= blocks.within(blocks.KEPT)
    kept = conv.correlate_adjoints(x, weight, dy, window, columns=columns)
    again = conv.correlate_adjoints(x, weight, dy, window)
    for one, other in zip(kept, again, strict=True):
        np.testing.assert_array_equal(one, other)
