"""What resampling, padding and cropping are for, beyond the laws."""

import numpy as np
import pytest
from scipy import ndimage

import fcnn
from fcnn import key
from fcnn.errors import ArgumentError, ShapeError


def test_bilinear_enlargement_is_scipys_away_from_the_border(rng):
    x = rng.normal(size=(1, 6, 7, 1))
    y = fcnn.upsample2d((2, 3), "bilinear").apply((), x)[0, :, :, 0]
    rows, columns = (np.arange(12) + 0.5) / 2 - 0.5, (np.arange(21) + 0.5) / 3 - 0.5
    where = np.meshgrid(rows, columns, indexing="ij")
    expected = ndimage.map_coordinates(x[0, :, :, 0], where, order=1, mode="nearest")
    np.testing.assert_allclose(y, expected, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "layer", [fcnn.upsample2d(2, "bilinear"), fcnn.resize2d((6, 9), "bilinear")]
)
def test_a_pixel_that_is_not_finite_spoils_only_what_is_computed_from_it(layer, value):
    x = np.ones((2, 4, 6, 2), np.float32)
    mark = np.zeros_like(x)
    mark[1, 1, 2, 1] = 1  # PyTorch also spoils row 0, to which it adds 0 times this one
    x[mark > 0] = value
    touched = layer.apply((), mark) > 0
    y = layer.apply((), x)
    np.testing.assert_array_equal(y[touched], np.full(touched.sum(), value, np.float32))
    np.testing.assert_allclose(y[~touched], 1)
    y, pullback = layer.vjp((), np.ones_like(x))
    dy = np.ones_like(y)
    dy[0, 5, 5, 0] = value
    dx = pullback(dy)[1]
    assert 1 <= np.count_nonzero(~np.isfinite(dx)) <= 4


def test_a_constant_image_stays_what_it_is():
    x = np.full((2, 5, 4, 3), 0.7, np.float32)
    for layer in (fcnn.upsample2d(3, "bilinear"), fcnn.resize2d((7, 2), "bilinear")):
        np.testing.assert_allclose(layer.apply((), x), np.float32(0.7), rtol=2e-7)


def test_nearest_copies_bits():
    x = np.array([-0.0, np.nan, np.inf, 1e-45], np.float32).reshape(1, 2, 2, 1)
    for layer in (fcnn.upsample2d(2), fcnn.resize2d(4)):
        y = layer.apply((), x)
        assert y[0, ::2, ::2, 0].tobytes() == x.tobytes()
        assert y[0, 1::2, 1::2, 0].tobytes() == x.tobytes()


def test_shuffles_undo_each_other(rng):
    x = rng.normal(size=(2, 3, 4, 12)).astype(np.float32)
    y = fcnn.pixel_shuffle((2, 3)).apply((), x)
    assert y.shape == (2, 6, 12, 2)
    np.testing.assert_array_equal(fcnn.pixel_unshuffle((2, 3)).apply((), y), x)


def test_cropping_undoes_padding(rng):
    x = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    for mode in ("zeros", "reflect", "replicate", "circular"):
        padded = fcnn.pad2d(((1, 2), (3, 0)), mode).apply((), x)
        np.testing.assert_array_equal(fcnn.crop2d(((1, 2), (3, 0))).apply((), padded), x)
    np.testing.assert_array_equal(fcnn.crop2d(size=(2, 4)).apply((), x), x[:, 1:3])
    np.testing.assert_array_equal(
        fcnn.crop2d(size=5).apply((), x[:, :, [0, 1, 2, 3, 3]])[:, :, :4], x
    )


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (
            (fcnn.pad2d(1, "reflect"), fcnn.conv2d(2, 3), fcnn.max_pool2d(2, dilation=3)),
            (9, 9, 1),
            (6, 6),
        ),
        ((fcnn.max_pool2d(2), fcnn.upsample2d(2), fcnn.conv2d(1, 3)), (8, 8, 1), (4, 4)),
        ((fcnn.upsample2d(2, "bilinear"),), (3, 3, 1), (2, 2)),
        ((fcnn.pixel_unshuffle((2, 3)), fcnn.pixel_shuffle(2)), (6, 6, 4), (2, 3)),
        ((fcnn.avg_pool1d(3, stride=2), fcnn.max_pool1d(2)), (9, 1), (5,)),
        ((fcnn.max_pool3d((1, 2, 3)),), (4, 4, 6, 1), (1, 2, 3)),
    ],
    ids=str,
)
def test_the_receptive_field(model, shape, expected):
    assert list(fcnn.walk(fcnn.serial(*model), shape))[-1].receptive_field == expected


def test_refuses_what_does_not_fit():
    with pytest.raises(ArgumentError, match='expected mode "nearest" or "bilinear"'):
        fcnn.upsample2d(2, "cubic")
    with pytest.raises(ArgumentError, match="factor"):
        fcnn.upsample2d(0)
    with pytest.raises(ShapeError, match="images"):
        fcnn.resize2d(3).apply((), np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="channels in a multiple of 4"):
        fcnn.pixel_shuffle(2).init(key(0), (2, 2, 6))
    with pytest.raises(ShapeError, match="whole tiles of 2 by 2"):
        fcnn.pixel_unshuffle(2).init(key(0), (2, 3, 1))
    with pytest.raises(ArgumentError, match="expected padding as a number"):
        fcnn.pad2d("same")
    with pytest.raises(ArgumentError, match="expected mode 'zeros'"):
        fcnn.pad2d(1, "wrap")
    with pytest.raises(ArgumentError, match="value"):
        fcnn.pad2d(1, "reflect", value=1.0)
    with pytest.raises(ShapeError, match="at least 4 elements"):
        fcnn.pad2d(3, "reflect").init(key(0), (3, 3, 1))
    with pytest.raises(ShapeError, match="at least 4 elements"):
        fcnn.pad1d(4, "circular").init(key(0), (3, 1))
    with pytest.raises(ShapeError, match="sequences"):
        fcnn.pad1d(1).init(key(0), (3, 3, 1))
    with pytest.raises(ArgumentError, match="either cropping or size"):
        fcnn.crop2d()
    with pytest.raises(ShapeError, match="larger than the cropping"):
        fcnn.crop2d(2).init(key(0), (4, 5, 1))
    with pytest.raises(ShapeError, match=r"at least \(3, 3\)"):
        fcnn.crop2d(size=3).init(key(0), (2, 5, 1))
