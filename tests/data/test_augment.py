import itertools
import pickle

import numpy as np
import pytest
from scipy import ndimage

import fcnn
from fcnn.data import augment, mnist
from fcnn.data._warp import bend, warp
from fcnn.errors import ArgumentError, DTypeError, MissingKeyError, ShapeError

ALL = [
    augment.affine(),
    augment.affine(shift=1.0, rotate=0.0, scale=0.0, shear=0.3),
    augment.rotate(30.0),
    augment.shift(3),
    augment.flip(),
    augment.elastic(1.4),
    augment.affine(shear=0.2, fill=0.5),
    augment.shift(3, fill=0.5),
    augment.chain(augment.shift(1), augment.rotate(5.0)),
    augment.random_crop((9, 12), padding=3, fill=0.5),
    augment.resized_crop(scale=(0.2, 0.8)),
    augment.cutout((3, 5)),
    augment.brightness(0.5, clip=(0.0, 1.0)),
    augment.contrast(0.9, clip=(0.0, 1.0)),
    augment.noise(0.3, clip=(0.0, 1.0)),
    augment.chain(augment.flip(), augment.noise(0.2, clip=(0, 1)), augment.cutout(2)),
]
every = pytest.mark.parametrize("move", ALL, ids=repr)


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def rotation(degrees):
    a = np.radians(degrees)
    return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_type_stay_and_the_images_are_left_alone(move, dtype):
    images = noise(70, 9, 12, 2, dtype=dtype)
    before = images.copy()
    images.flags.writeable = False
    moved = move(fcnn.key(0), images)
    assert moved.shape == images.shape
    assert moved.dtype == dtype
    assert moved.flags.c_contiguous
    np.testing.assert_array_equal(images, before)
    assert not np.array_equal(moved, images)
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6


@every
def test_the_key_alone_makes_the_draw(move):
    images = noise(5, 9, 12, 1)
    first, again, other = [move(fcnn.key(seed), images) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_image_becomes_the_same_whatever_is_beside_it(move, dtype):
    """To the bit, for a batch in parts of any size, each with the number of its first image."""
    images = noise(13, 9, 12, 2, dtype=dtype)
    whole = move(fcnn.key(3), images)
    np.testing.assert_array_equal(move(fcnn.key(3), images, start=0), whole)
    for cuts in ([0, 13], [0, 1, 2, 13], [0, 6, 13], [5, 9]):
        for first, last in itertools.pairwise(cuts):
            part = move(fcnn.key(3), images[first:last], start=first)
            np.testing.assert_array_equal(part, whole[first:last])
    assert move.by_example


@every
def test_each_image_moves_in_its_own_way(move):
    images = np.repeat(noise(1, 9, 12, 1), 8, axis=0)
    moved = move(fcnn.key(0), images)
    assert len({image.tobytes() for image in moved}) > 1


@every
def test_no_images_give_no_images(move):
    assert move(fcnn.key(0), np.zeros((0, 9, 12, 1), np.float32)).shape == (0, 9, 12, 1)


@every
def test_prints_compares_and_pickles_as_the_call_that_made_it(move):
    assert eval(repr(move), vars(augment)) == move
    back = pickle.loads(pickle.dumps(move))
    assert back == move
    images = noise(3, 9, 12, 1)
    np.testing.assert_array_equal(back(fcnn.key(2), images), move(fcnn.key(2), images))


@pytest.mark.parametrize(
    "move",
    [
        augment.affine(shift=0.0, rotate=0.0, scale=0.0),
        augment.rotate(0.0),
        augment.shift(0),
        augment.flip(0.0),
        augment.elastic(0.0),
        augment.cutout(3, probability=0.0),
        augment.brightness(0.0),
        augment.noise(0.0),
        augment.chain(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (70, 5, 10, 3), (1, 1, 1, 1)])
def test_no_strength_is_the_identity_to_the_bit(move, shape):
    images = noise(*shape)
    np.testing.assert_array_equal(move(fcnn.key(0), images), images)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("size", [6, 7])
def test_a_quarter_turn_is_rot90(turns, size):
    images = noise(4, size, size, 2)
    back = np.repeat(rotation(90 * turns)[None], 4, axis=0)
    turned = warp(images, back, np.zeros((4, 2)))
    np.testing.assert_allclose(turned, np.rot90(images, -turns, axes=(1, 2)), atol=2e-6)


def test_an_offset_moves_down_and_right_and_leaves_zeros():
    images = noise(1, 6, 6, 1)
    moved = warp(images, np.eye(2)[None], np.array([[2.0, 1.0]]))
    np.testing.assert_array_equal(moved[:, 2:, 1:], images[:, :-2, :-1])
    assert not moved[:, :2].any()
    assert not moved[:, :, :1].any()
    far = warp(images, np.eye(2)[None], np.array([[1e6, -1e6]]))
    assert not far.any()


def test_half_a_pixel_is_the_mean_of_two():
    images = noise(1, 1, 5, 1)
    moved = warp(images, np.eye(2)[None], np.array([[0.0, 0.5]]))
    padded = np.concatenate([[0], images.ravel()])
    np.testing.assert_allclose(moved.ravel(), (padded[1:] + padded[:-1]) / 2, rtol=1e-6)


def test_any_affine_map_is_scipys():
    rng = np.random.default_rng(3)
    images = noise(20, 11, 14, 1, dtype=np.float64)
    back, offsets = rng.normal(size=(20, 2, 2)), rng.normal(size=(20, 2)) * 3
    moved = warp(images, back, offsets)
    middle = np.array([5.0, 6.5])
    for image, matrix, offset, out in zip(images, back, offsets, moved, strict=True):
        start = middle - matrix @ (middle + offset)
        expected = ndimage.affine_transform(
            np.pad(image[..., 0], 1), matrix, start + 1 - matrix @ np.ones(2), order=1
        )
        np.testing.assert_allclose(out[..., 0], expected[1:-1, 1:-1], atol=1e-4)


def test_any_field_is_scipys():
    images = noise(3, 10, 10, 1)
    field = np.random.default_rng(4).normal(size=(3, 2, 10, 10)).astype(np.float32)
    moved = bend(images, field)
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(10), indexing="ij"))
    for image, shifts, out in zip(images, field, moved, strict=True):
        expected = ndimage.map_coordinates(np.pad(image[..., 0], 2), grid + shifts + 2, order=1)
        np.testing.assert_allclose(out[..., 0], expected, atol=1e-5)


def test_blocks_change_nothing(monkeypatch):
    images = noise(50, 8, 8, 1)
    whole = augment.affine()(fcnn.key(0), images)
    monkeypatch.setattr("fcnn.data._warp._BLOCK", 64 * 7)
    np.testing.assert_array_equal(augment.affine()(fcnn.key(0), images), whole)


def test_affine_stays_within_its_bounds():
    """A dot stays within the shift and the turn, and all the bounds are used."""
    images = np.zeros((2000, 41, 41, 1), np.float32)
    images[:, 20, 30] = 1

    def centres(move):
        moved = move(fcnn.key(0), images)[..., 0]
        mass = moved.sum(axis=(1, 2))
        y = (moved.sum(axis=2) @ np.arange(41)) / mass - 20
        x = (moved.sum(axis=1) @ np.arange(41)) / mass - 20
        return y, x

    y, x = centres(augment.affine(shift=3.0, rotate=0.0, scale=0.0))
    assert np.ptp(y) == pytest.approx(6, abs=0.1)
    assert np.ptp(x) == pytest.approx(6, abs=0.1)
    y, x = centres(augment.rotate(30.0))
    angle = np.degrees(np.arctan2(y, x))
    assert abs(angle).max() == pytest.approx(30, abs=2)
    assert abs(angle.mean()) < 1.5
    np.testing.assert_allclose(np.hypot(y, x), 10, atol=0.3)
    y, x = centres(augment.affine(shift=0.0, rotate=0.0, scale=0.2))
    assert (x.min(), x.max()) == pytest.approx((8, 12), abs=0.3)
    assert abs(y).max() < 0.3


def test_shear_moves_each_row_against_the_next():
    images = np.zeros((500, 21, 21, 1), np.float32)
    images[:, 5, 10] = 1
    move = augment.affine(shift=0.0, rotate=0.0, scale=0.0, shear=0.5)
    moved = move(fcnn.key(0), images)[..., 0]
    np.testing.assert_allclose(moved.sum(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(moved[:, 5].sum(axis=1), 1, atol=1e-5)
    x = moved[:, 5] @ np.arange(21) - 10
    assert (x.min(), x.max()) == pytest.approx((-2.5, 2.5), abs=0.05)


def test_shift_is_by_whole_pixels_and_uses_every_one():
    images = np.zeros((500, 9, 9, 1), np.float32)
    images[:, 4, 4] = 1
    moved = augment.shift(2)(fcnn.key(0), images)
    _, y, x, _ = np.nonzero(moved)
    assert set(y) == set(x) == {2, 3, 4, 5, 6}
    assert len(set(zip(y, x, strict=True))) == 25


def test_elastic_fields_have_their_standard_deviation_everywhere(monkeypatch):
    fields = []
    monkeypatch.setattr(
        "fcnn.data.augment._geometry.bend", lambda images, field, fill: fields.append(field)
    )
    augment.elastic(1.4, smoothness=3.0)(fcnn.key(0), np.zeros((20000, 8, 8, 1), np.float32))
    assert fields[0].dtype == np.float32
    np.testing.assert_allclose(fields[0].std(axis=0), 1.4, rtol=0.05)
    np.testing.assert_allclose(fields[0].mean(axis=0), 0, atol=0.05)


def test_digits_stay_digits():
    images = mnist("train", 200).inputs
    moved = augment.affine()(fcnn.key(0), images)
    assert moved.sum() == pytest.approx(images.sum(), rel=0.1)
    assert 0.05 < np.abs(moved - images).mean() < 0.2


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (augment.shift, {"pixels": 1.5}),
        (augment.shift, {"pixels": -1}),
        (augment.rotate, {"degrees": float("nan")}),
        (augment.rotate, {"degrees": float("inf")}),
        (augment.affine, {"scale": 1.0}),
        (augment.affine, {"shift": -1.0}),
        (augment.flip, {"probability": 1.1}),
        (augment.elastic, {"smoothness": 0.5}),
        (augment.random_crop, {"size": 0}),
        (augment.random_crop, {"size": 3, "padding": -1}),
        (augment.resized_crop, {"scale": (0.5, 1.5)}),
        (augment.resized_crop, {"scale": (0.5, 0.4)}),
        (augment.resized_crop, {"ratio": 1.0}),
        (augment.resized_crop, {"ratio": (0.0, 1.0)}),
        (augment.cutout, {"size": (1, 2, 3)}),
        (augment.cutout, {"size": 3, "probability": -0.1}),
        (augment.brightness, {"amount": -1.0}),
        (augment.brightness, {"amount": 1.0, "clip": (1.0, 1.0)}),
        (augment.contrast, {"amount": 1.1}),
        (augment.noise, {"stddev": float("nan")}),
        (augment.noise, {"stddev": 1.0, "clip": 1.0}),
        (augment.mixup, {"alpha": 0.0}),
        (augment.cutmix, {"classes": 1}),
        *[
            (make, {**needed, "fill": bad})
            for make, needed in [
                (augment.affine, {}),
                (augment.elastic, {}),
                (augment.rotate, {"degrees": 1}),
                (augment.shift, {"pixels": 1}),
                (augment.random_crop, {"size": 1}),
                (augment.cutout, {"size": 1}),
            ]
            for bad in (float("nan"), float("inf"), 1e39, "0")
        ],
    ],
)
def test_arguments_out_of_range_are_refused(make, arguments):
    with pytest.raises(ArgumentError, match=list(arguments)[-1]):
        make(**arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda fill: augment.affine(shift=5.0, rotate=40.0, shear=0.3, fill=fill),
        lambda fill: augment.rotate(45.0, fill=fill),
        lambda fill: augment.shift(4, fill=fill),
        lambda fill: augment.elastic(4.0, fill=fill),
        lambda fill: augment.random_crop((9, 11), padding=4, fill=fill),
        lambda fill: augment.cutout(5, fill=fill),
    ],
)
def test_pixels_from_outside_have_the_fill_value(make):
    """Images of the fill value stay so, and filling is as if it were subtracted before."""
    images = noise(40, 9, 11, 2, dtype=np.float64)
    flat = np.full_like(images, -1.5)
    np.testing.assert_allclose(make(-1.5)(fcnn.key(0), flat), flat, rtol=1e-6)
    filled = make(-1.5)(fcnn.key(0), images)
    np.testing.assert_allclose(filled, make(0.0)(fcnn.key(0), images + 1.5) - 1.5, atol=1e-5)
    assert not np.allclose(filled, make(0.0)(fcnn.key(0), images), atol=0.1)


def test_the_fill_value_is_zero_unless_given():
    images = np.ones((1, 5, 5, 1), np.float32)
    assert set(augment.shift(4)(fcnn.key(1), images).ravel().tolist()) == {0.0, 1.0}
    assert set(augment.shift(4, fill=3)(fcnn.key(1), images).ravel().tolist()) == {3.0, 1.0}
    assert warp(images, np.eye(2)[None], np.array([[9.0, 9.0]]), 3.0).min() == 3.0


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((28, 28), np.float32), ShapeError, r"\(n, h, w, c\), got shape \(28, 28\)$"),
        (
            np.zeros((2, 28, 28), np.float32),
            ShapeError,
            r"channel axis with images\[\.\.\., None\]",
        ),
        (np.zeros((1, 28, 28, 1), np.uint8), DTypeError, r"got uint8; .*float32\) / 255$"),
        (np.zeros((1, 28, 28, 1), np.int64), DTypeError, r"got int64; .*float32\)$"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images, error, message):
    with pytest.raises(error, match=message):
        augment.shift(1)(fcnn.key(0), images)


@pytest.mark.parametrize("move", ALL, ids=repr)
def test_what_is_no_key_is_refused(move):
    images = noise(1, 8, 8, 1)
    with pytest.raises(ArgumentError, match="expected a Key, got int"):
        move(0, images)
    with pytest.raises(MissingKeyError, match="expected a Key, got None"):
        move(None, images)


def test_a_chain_takes_functions():
    chained = augment.chain(augment.flip(1.0), lambda key, images: -images)
    images = noise(2, 3, 4, 1)
    np.testing.assert_array_equal(chained(fcnn.key(0), images), -images[:, :, ::-1])
    with pytest.raises(ArgumentError, match="got 3"):
        augment.chain(augment.flip(), 3)
