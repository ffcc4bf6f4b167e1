import pickle

import numpy as np
import pytest

from fcnn.data import Dataset
from fcnn.errors import DTypeError, LabelError, NonFiniteError, ShapeError

IMAGES = np.arange(5 * 4, dtype=np.float32).reshape(5, 2, 2, 1) / 20
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)
CLASSES = ("a", "b", "c")


@pytest.fixture
def dataset():
    return Dataset(IMAGES, LABELS, CLASSES)


def test_holds_read_only_views_and_leaves_the_callers_flag(dataset):
    assert not dataset.images.flags.writeable
    assert not dataset.labels.flags.writeable
    assert IMAGES.flags.writeable
    assert LABELS.flags.writeable
    assert np.shares_memory(dataset.images, IMAGES)
    assert dataset.labels.dtype == np.int64
    with pytest.raises(AttributeError):
        dataset.images = IMAGES


def test_slices_indices_and_masks_give_data_sets(dataset):
    assert len(dataset) == 5
    assert dataset[1:3] == Dataset(IMAGES[1:3], LABELS[1:3], CLASSES)
    assert dataset[[4, 0]] == Dataset(IMAGES[[4, 0]], LABELS[[4, 0]], CLASSES)
    assert dataset[np.array([4, 0])] == dataset[[4, 0]]
    assert dataset[dataset.labels == 1] == dataset[[1, 3]]
    assert len(dataset[[]]) == len(dataset[5:]) == 0
    assert not dataset[[0]].images.flags.writeable


def test_a_whole_number_gives_one_example_and_iterating_gives_them_all(dataset):
    image, label = dataset[-1]
    np.testing.assert_array_equal(image, IMAGES[-1])
    assert label == 0
    assert [int(label) for _, label in dataset] == LABELS.tolist()
    assert dataset[np.int64(2)][1] == 2
    with pytest.raises(IndexError):
        dataset[5]
    with pytest.raises(TypeError, match=r"\.images"):
        dataset[1:, 0]


def test_compares_by_value(dataset):
    same = Dataset(IMAGES.copy(), LABELS.astype(np.int32), list(CLASSES))
    assert dataset == same
    assert hash(dataset) == hash(same)
    assert dataset != Dataset(IMAGES.astype(np.float64), LABELS, CLASSES)
    assert dataset != Dataset(IMAGES, LABELS)
    assert dataset != Dataset(IMAGES + 1, LABELS, CLASSES)
    assert dataset != Dataset(IMAGES, LABELS[::-1] * 0, CLASSES)
    assert dataset != "dataset"


def test_pickles_and_comes_back_read_only(dataset):
    back = pickle.loads(pickle.dumps(dataset[1:]))
    assert back == dataset[1:]
    assert not back.images.flags.writeable
    assert not back.labels.flags.writeable


def test_prints_in_one_line(dataset):
    assert repr(dataset) == "Dataset(5 of (2, 2, 1) float32, 3 classes)"
    assert repr(Dataset(IMAGES, LABELS)) == "Dataset(5 of (2, 2, 1) float32)"


def test_takes_features_of_any_shape_and_float_targets():
    regression = Dataset(np.zeros((4, 3)), np.linspace(0, 1, 4))
    assert regression.labels.dtype == np.float64
    soft = Dataset(np.zeros((2, 3)), np.array([[0.5, 0.5], [1, 0]], np.float32), ("a", "b"))
    assert soft[0][1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("images", "labels", "classes", "error", "message"),
    [
        (IMAGES, LABELS[:4], (), ShapeError, r"\(5, 2, 2, 1\).*\(4,\)"),
        (np.float32(1), LABELS, (), ShapeError, r"\(\)"),
        ((IMAGES * 20).astype(np.uint8), LABELS, (), DTypeError, r"uint8.*float32\) / 255"),
        (IMAGES.astype(np.int64), LABELS, (), DTypeError, r"int64.*float32\)$"),
        (IMAGES.astype(np.float16), LABELS, (), DTypeError, "float16"),
        (IMAGES, LABELS == 1, (), DTypeError, "bool"),
        (IMAGES, list("abcab"), (), DTypeError, "int64"),
        (IMAGES, LABELS, ("a", "b"), LabelError, r"0 to 1, and labels\[2\] is 2"),
        (IMAGES, [0, 0, 0, -1, 0], CLASSES, LabelError, r"labels\[3\] is -1"),
        (IMAGES, LABELS[:, None], CLASSES, LabelError, r"\(5, 1\)"),
        (IMAGES, LABELS * 1.0, CLASSES, LabelError, r"\(n, 3\)"),
        (IMAGES, [0, 0, np.nan, 0, 0], (), NonFiniteError, r"labels\[2\] is nan"),
    ],
)
def test_refuses(images, labels, classes, error, message):
    with pytest.raises(error, match=message):
        Dataset(images, labels, classes)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_names_the_first_number_that_is_not_finite(bad):
    images = IMAGES.copy()
    images[3, 1, 0, 0] = bad
    with pytest.raises(NonFiniteError, match=rf"images\[3, 1, 0, 0\] is {bad}"):
        Dataset(images, LABELS)
