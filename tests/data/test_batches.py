import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn.data import Dataset, batches, one_hot
from fcnn.errors import ArgumentError, DataError, LabelError, ShapeError


def numbered(n):
    return np.arange(n, dtype=np.float32)[:, None], np.arange(n)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_every_example_comes_once_with_its_own_label(n, size, shuffled):
    parts = list(batches(numbered(n), size, key=fcnn.key(1) if shuffled else None))
    assert [len(x) for x, _ in parts] == [size] * (n // size) + [n % size] * (n % size > 0)
    images, labels = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    np.testing.assert_array_equal(images[:, 0], labels)
    assert sorted(labels.tolist()) == list(range(n))
    assert shuffled or labels.tolist() == list(range(n))


def test_a_data_set_gives_its_images_and_labels():
    data = Dataset(*numbered(5))
    parts = list(batches(data, 2))
    assert [labels.tolist() for _, labels in parts] == [[0, 1], [2, 3], [4]]
    assert parts[0][0].dtype == np.float32


def test_the_key_alone_makes_the_order():
    def order(key):
        return [labels.tolist() for _, labels in batches(numbered(20), 6, key=key)]

    assert order(fcnn.key(0)) == order(fcnn.key(0)) != order(fcnn.key(1))


def test_drop_last_leaves_a_smaller_batch_out():
    assert [len(x) for x, _ in batches(numbered(5), 2, drop_last=True)] == [2, 2]
    assert [len(x) for x, _ in batches(numbered(4), 2, drop_last=True)] == [2, 2]


@pytest.mark.parametrize(
    ("data", "size", "more", "error", "message"),
    [
        (numbered(0), 2, {}, DataError, "no batch of 2 in 0 examples"),
        (numbered(3), 4, {"drop_last": True}, DataError, "no batch of 4 in 3 examples"),
        (numbered(3), 0, {}, ArgumentError, "batch_size"),
        ((np.zeros(3), np.zeros(4)), 1, {}, ShapeError, r"\(3,\), \(4,\)"),
        ((np.zeros(()),), 1, {}, ShapeError, "same length"),
        ((), 1, {}, ShapeError, "same length"),
    ],
)
def test_refuses_at_once(data, size, more, error, message):
    with pytest.raises(error, match=message):
        batches(data, size, **more)


def test_one_hot_has_a_one_at_each_labels_place():
    vectors = one_hot(np.array([[2, 0]], np.uint8), 3, dtype=np.float64)
    assert vectors.dtype == np.float64
    assert vectors.tolist() == [[[0, 0, 1], [1, 0, 0]]]
    assert one_hot(np.zeros(0, int), 3).shape == (0, 3)
    assert one_hot([1], 2).dtype == np.float32


@pytest.mark.parametrize("labels", [[3], [-1], [0.0], [True]])
def test_one_hot_refuses_what_is_no_label(labels):
    with pytest.raises(LabelError, match="labels must be"):
        one_hot(labels, 3)
