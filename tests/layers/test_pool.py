"""What pooling is for, beyond the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fcnn
from fcnn import key
from fcnn._layer import core
from fcnn._ops.layout import hcwn, nhwc
from fcnn.errors import ArgumentError, ShapeError


def image(rows):
    return np.array(rows, float)[None, :, :, None]


@given(arrays(np.float64, (2, 5, 6, 2), elements=st.integers(-1, 1).map(float)))
def test_a_tie_sends_its_gradient_to_one_place(x):
    y, pullback = fcnn.max_pool2d(2).vjp((), x)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    _, dx = pullback(dy)
    assert dx.sum() == dy.sum()
    assert np.count_nonzero(dx) == dy.size


def test_a_tie_sends_its_gradient_to_the_first_place_in_row_major_order():
    x = image([[0, 1, 2, 0], [1, 1, 2, 2], [3, 3, 0, 0], [0, 3, 0, 0]])
    _, pullback = fcnn.max_pool2d(2).vjp((), x)
    _, dx = pullback(image([[10, 20], [30, 40]]))
    expected = [[0, 10, 20, 0], [0, 0, 0, 0], [30, 0, 40, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


def test_overlapping_windows_add_their_gradients():
    x = image([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    _, pullback = fcnn.max_pool2d(2, stride=1).vjp((), x)
    _, dx = pullback(image([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0, 0], [0, 10, 0], [0, 0, 0]])


def test_what_is_left_over_falls_away():
    layer = fcnn.max_pool2d(2)
    assert layer.init(key(0), (23, 23, 1))[1] == (11, 11, 1)
    _, pullback = layer.vjp((), np.ones((1, 23, 23, 1)))
    _, dx = pullback(np.ones((1, 11, 11, 1)))
    assert dx.shape == (1, 23, 23, 1)
    assert not dx[:, 22].any()
    assert not dx[:, :, 22].any()


def test_padding_never_wins():
    y = fcnn.max_pool2d(2, padding=1, stride=2).apply((), -np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(y, -np.ones((1, 2, 2, 1)))


def test_padding_is_not_counted_in_a_mean():
    y = fcnn.avg_pool2d(3, stride=1, padding="same").apply((), np.ones((1, 4, 4, 1)))
    np.testing.assert_allclose(y, np.ones((1, 4, 4, 1)), rtol=1e-15)


@pytest.mark.parametrize("make", [fcnn.max_pool2d, fcnn.avg_pool2d])
def test_refuses_what_does_not_fit(make):
    with pytest.raises(ArgumentError, match="expected padding smaller than the window"):
        make(2, padding=2)
    with pytest.raises(ArgumentError, match="pool_size"):
        make(0)
    with pytest.raises(ShapeError, match="larger than its image"):
        make(3).init(key(0), (2, 5, 1))
    with pytest.raises(ShapeError, match="images"):
        make(2).apply((), np.zeros((2, 4)))


@pytest.mark.parametrize("p", [2, 3, 4.5])
def test_the_norm_of_zeros_has_a_gradient_of_zero(p):
    x = np.zeros((1, 4, 4, 1))
    x[0, 3, 2] = 2.0
    y, pullback = fcnn.lp_pool2d(p, 2).vjp((), x)
    np.testing.assert_allclose(pullback(np.ones_like(y))[1], x / 2)


def test_the_norm_of_order_one_is_the_sum():
    x = image([[1, -1, 2], [3, 0, 5]])
    y, pullback = fcnn.lp_pool2d(1, (1, 2), stride=1).vjp((), x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 1], [3, 5]])
    np.testing.assert_array_equal(
        pullback(image([[1, 2], [3, 4]]))[1], image([[1, 3, 2], [3, 7, 4]])
    )


def test_an_odd_norm_has_the_sign_of_its_sum():
    y = fcnn.lp_pool2d(3, (1, 2)).apply((), image([[1, -2, -1, 2]]))
    np.testing.assert_allclose(y[0, 0, :, 0], [-(7 ** (1 / 3)), 7 ** (1 / 3)])


def test_small_numbers_have_a_norm_and_a_gradient():
    x = np.full((1, 2, 2, 1), 1e-18, np.float32)  # whose squares have few digits left in float32
    y, pullback = fcnn.lp_pool2d(2, 2).vjp((), x)
    np.testing.assert_allclose(y, 2e-18, rtol=1e-5)
    np.testing.assert_allclose(pullback(np.ones_like(y))[1], 0.5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(200_000, 1), (500, 400, 1), (50, 40, 100, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_global_mean_in_float32_is_as_accurate_as_float32_can_hold(rng, shape, order):
    x = np.asarray(1000 + rng.normal(size=(2, *shape)), np.float32, order=order)
    y = fcnn.global_avg_pool().apply((), x)
    exact = x.astype(np.float64).mean(axis=tuple(range(1, x.ndim - 1)))
    np.testing.assert_allclose(y, exact, rtol=1.5e-7)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_window_of_padding_alone_is_refused(rank):
    make = getattr(fcnn, f"max_pool{rank}d")
    layer = make(2, padding=1, dilation=2)  # over one element: 0 and 2 places after -1
    with pytest.raises(ShapeError, match="all padding"):
        layer.init(key(0), (*(1,) * rank, 1))
    assert layer.init(key(0), (*(2,) * rank, 1))[1] == (*(1,) * rank, 1)


def test_every_rank_takes_its_own_arguments():
    assert fcnn.max_pool1d(3, padding=(1, 0)).init(key(0), (5, 2)) == ((), (2, 2))
    assert fcnn.max_pool1d(3, padding=((1, 0),)).init(key(0), (5, 2)) == ((), (2, 2))
    assert fcnn.avg_pool3d((2, 1, 3), padding=((1, 0), 0, (2, 1))).init(key(0), (3, 4, 6, 2)) == (
        (),
        (2, 4, 3, 2),
    )
    with pytest.raises(ArgumentError, match="a whole number of at least 1 for pool_size"):
        fcnn.max_pool1d((2, 2))
    with pytest.raises(ArgumentError, match="one whole number or three"):
        fcnn.max_pool3d(2, stride=(1, 2))
    with pytest.raises(ArgumentError, match="padding"):
        fcnn.max_pool3d(2, padding=(1, 1))
    with pytest.raises(ShapeError, match="sequences"):
        fcnn.avg_pool1d(2).init(key(0), (5, 5, 1))
    with pytest.raises(ShapeError, match="volumes"):
        fcnn.avg_pool3d(2).init(key(0), (5, 5, 1))


def test_a_volume_of_one_plane_is_an_image(rng):
    x = rng.integers(0, 3, size=(3, 7, 6, 2)).astype(np.float32)
    for flat, deep in [
        (
            fcnn.max_pool2d(3, stride=2, padding=1),
            fcnn.max_pool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        ),
        (fcnn.avg_pool2d(2), fcnn.avg_pool3d((1, 2, 2))),
    ]:
        y, pullback = flat.vjp((), x)
        z, deep_pullback = deep.vjp((), x[:, None])
        np.testing.assert_array_equal(z[:, 0], y)
        np.testing.assert_array_equal(deep_pullback(z)[1][:, 0], pullback(y)[1])


def test_adaptive_pools_refuse_what_does_not_fit():
    with pytest.raises(ArgumentError, match="size"):
        fcnn.adaptive_avg_pool(0)
    with pytest.raises(ArgumentError, match="one to three axes"):
        fcnn.adaptive_max_pool(())
    with pytest.raises(ShapeError, match="2 spatial axes"):
        fcnn.adaptive_avg_pool((2, 2)).init(key(0), (5, 1))
    with pytest.raises(ShapeError, match="sequences"):
        fcnn.adaptive_max_pool(2).init(key(0), (5,))
    with pytest.raises(ShapeError, match="spatial axis"):
        fcnn.global_avg_pool().apply((), np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (fcnn.max_pool1d(2), (4, 2)),
        (fcnn.avg_pool3d(2), (4, 2, 3, 2)),
        (fcnn.lp_pool2d(2, 2), (4, 4, 2)),
        (fcnn.global_avg_pool(), (4, 4, 2)),
        (fcnn.global_max_pool(), (4, 4, 2)),
        (fcnn.adaptive_avg_pool(3), (4, 4, 2)),
        (fcnn.adaptive_max_pool(3), (4, 4, 2)),
        (fcnn.upsample2d(2), (4, 4, 2)),
        (fcnn.resize2d(3, "bilinear"), (4, 4, 2)),
        (fcnn.pixel_unshuffle(2), (4, 4, 2)),
        (fcnn.pad2d(1, "circular"), (4, 4, 2)),
        (fcnn.crop2d(1), (4, 4, 2)),
    ],
    ids=str,
)
def test_a_batch_may_be_empty(layer, shape):
    y, pullback = layer.vjp((), np.zeros((0, *shape)))
    assert y.shape == (0, *layer.init(key(0), shape)[1])
    assert pullback(y)[1].shape == (0, *shape)


def test_a_dilated_pool_is_not_fused(rng):
    conv, pool = fcnn.conv2d(2, 2), fcnn.max_pool2d(2, dilation=2)
    model = fcnn.serial(conv, pool)
    params, _ = model.init(key(0), (7, 7, 1))
    x = rng.normal(size=(3, 7, 7, 1)).astype(np.float32)
    expected = pool.apply((), conv.apply(params[0], x))
    np.testing.assert_array_equal(model.apply(params, x), expected)


@pytest.mark.parametrize(
    "layer",
    [
        fcnn.resize2d(4),
        fcnn.resize2d(4, "bilinear"),
        fcnn.upsample2d(1),
        fcnn.upsample2d(1, "bilinear"),
        fcnn.adaptive_avg_pool(4),
        fcnn.adaptive_max_pool(4),
        fcnn.pad2d(0),
        fcnn.pad2d(0, "reflect"),
        fcnn.crop2d(0),
        fcnn.pixel_shuffle(1),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_innermost", [False, True])
def test_nothing_is_shared_where_nothing_changes(rng, layer, is_innermost):
    x = rng.normal(size=(2, 4, 4, 3))
    x = nhwc(np.ascontiguousarray(hcwn(x))) if is_innermost else x
    y, pullback = core(layer.vjp)((), x)
    dx = pullback(x)[1]
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dx, x)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(dx, x)
    assert not np.shares_memory(dx, y)
    assert not np.shares_memory(layer.apply((), x), x)


@pytest.mark.parametrize("n", [2, 5, 24])
@pytest.mark.parametrize(
    "layer",
    [
        fcnn.max_pool2d(2),
        fcnn.max_pool2d((3, 2), stride=(2, 3)),
        fcnn.max_pool2d(3, stride=2, padding=1),
        fcnn.avg_pool2d(2),
        fcnn.avg_pool2d((2, 3), stride=(3, 2), padding=1),
        fcnn.upsample2d((2, 3)),
    ],
)
def test_few_images_are_pooled_as_each_alone(layer, n, rng):
    x = rng.integers(-4, 4, (n, 9, 11, 3)) / 4  # with ties
    x[0, 2, 3] = np.nan
    dy = rng.integers(-9, 9, layer.vjp((), x)[0].shape) * 1.0  # whose sums are exact

    def both(x, dy):
        y, pullback = layer.vjp((), x)
        return y, pullback(dy)[1], fcnn.jit(lambda x, dy: layer.vjp((), x)[1](dy)[1])(x, dy)

    for got, *each in zip(
        both(x, dy), *(both(x[i : i + 1], dy[i : i + 1]) for i in range(n)), strict=True
    ):
        np.testing.assert_array_equal(got, np.concatenate(each))
    y, pullback = layer.vjp((), x[1:])
    for i in range(1, n):
        one, pull = layer.vjp((), x[i : i + 1])
        np.testing.assert_array_equal(y[i - 1 : i], one)
        np.testing.assert_array_equal(pullback(dy[1:])[1][i - 1 : i], pull(dy[i : i + 1])[1])


@pytest.mark.parametrize("layer", [fcnn.max_pool2d(2), fcnn.avg_pool2d(2)])
def test_few_large_images_in_c_order(layer, rng):
    x = rng.random((3, 260, 256, 3), np.float32)  # too many bytes to be copied as a whole
    y, pullback = layer.vjp((), x)
    other, its_pullback = layer.vjp((), nhwc(hcwn(x).copy()))
    np.testing.assert_array_equal(y, other)
    np.testing.assert_array_equal(pullback(y)[1], its_pullback(y)[1])
