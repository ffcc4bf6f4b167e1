import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import prng
from fcnn.data import Dataset, batches, one_hot
from fcnn.errors import ArgumentError, DataError, LabelError, ShapeError


def numbered(n):
    return np.arange(n, dtype=np.float32)[:, None], np.arange(n)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_every_example_comes_once_with_its_own_label(n, size, shuffled):
    parts = list(batches(numbered(n), size, key=fcnn.key(1) if shuffled else None))
    assert [len(x) for x, _ in parts] == [size] * (n // size) + [n % size] * (n % size > 0)
    inputs, labels = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    np.testing.assert_array_equal(inputs[:, 0], labels)
    assert sorted(labels.tolist()) == list(range(n))
    assert shuffled or labels.tolist() == list(range(n))


def test_a_data_set_gives_its_inputs_and_targets():
    data = Dataset(*numbered(5))
    parts = list(batches(data, 2))
    assert [labels.tolist() for _, labels in parts] == [[0, 1], [2, 3], [4]]
    assert parts[0][0].dtype == np.float32


def order(size=6, n=20, **more):
    return [label for _, labels in batches(numbered(n), size, **more) for label in labels.tolist()]


def test_the_order_is_the_documented_permutation():
    for epoch in (0, 1, 7):
        expected = prng.permutation(fcnn.fold_in(fcnn.key(3), epoch), 20).tolist()
        assert order(key=fcnn.key(3), epoch=epoch) == expected
    assert order(key=fcnn.key(3)) == order(key=fcnn.key(3), epoch=0)
    assert order(key=fcnn.key(3)) != order(key=fcnn.key(4))
    assert order(epoch=3) == list(range(20))


@given(st.integers(1, 30), st.integers(0, 30), st.booleans())
def test_an_epoch_continues_where_it_was_interrupted(size, start, shuffled):
    key = fcnn.key(2) if shuffled else None
    whole = order(1, 30, key=key, epoch=4)
    assert order(size, 30, key=key, epoch=4, start=start) == whole[start:]


@given(st.integers(1, 30), st.integers(0, 30))
def test_a_continued_epoch_drops_what_the_whole_one_drops(size, batches_done):
    whole = order(size, 30, key=fcnn.key(2), drop_last=True)
    start = size * batches_done
    if start <= 30:
        rest = order(size, 30, key=fcnn.key(2), start=start, drop_last=True)
        assert rest == whole[start:]


def test_a_continued_epoch_of_another_batch_size_has_full_batches():
    sizes = [len(x) for x, _ in batches(numbered(20), 6, start=5, drop_last=True)]
    assert sizes == [6, 6]
    assert order(start=5, drop_last=True) == list(range(5, 17))


def test_trees_are_cut_leaf_by_leaf():
    inputs = {"a": np.arange(5.0), "b": (np.arange(10).reshape(5, 2),)}
    parts = list(batches(Dataset(inputs, np.arange(5)), 2, key=fcnn.key(0)))
    assert [len(labels) for _, labels in parts] == [2, 2, 1]
    for x, labels in parts:
        np.testing.assert_array_equal(x["a"], labels)
        np.testing.assert_array_equal(x["b"][0][:, 0], 2 * labels)
    (only,) = batches((inputs, np.arange(5)), 9)
    assert only[0]["b"][0].shape == (5, 2)


def test_drop_last_leaves_a_smaller_batch_out():
    assert [len(x) for x, _ in batches(numbered(5), 2, drop_last=True)] == [2, 2]
    assert [len(x) for x, _ in batches(numbered(4), 2, drop_last=True)] == [2, 2]


@pytest.mark.parametrize(
    ("data", "size", "more", "error", "message"),
    [
        (numbered(0), 2, {}, DataError, "at least 1 examples, got 0"),
        (numbered(3), 4, {"drop_last": True}, DataError, "at least 4 examples, got 3"),
        (numbered(3), 0, {}, ArgumentError, "batch_size"),
        (numbered(3), 1, {"start": 4}, ArgumentError, "start to be at most 3, .* got 4"),
        (numbered(3), 1, {"start": -1}, ArgumentError, "start"),
        (numbered(3), 1, {"epoch": -1}, ArgumentError, "epoch"),
        (numbered(3), 1, {"epoch": 0.5}, ArgumentError, "epoch"),
        (numbered(3), 1, {"key": 0}, ArgumentError, "expected a Key, got int"),
        (np.zeros(3), 1, {}, ArgumentError, r"got ndarray; pass \(inputs, targets\)"),
        (None, 1, {}, ArgumentError, "Dataset or a tuple of arrays, got NoneType"),
        (
            (np.zeros(3), {"y": np.zeros(4)}),
            1,
            {},
            ShapeError,
            r"data\[0\] of shape \(3,\), data\[1\]\['y'\] of shape \(4,\)",
        ),
        ((np.zeros(()),), 1, {}, ShapeError, r"data\[0\] of shape \(\)"),
        ((), 1, {}, ShapeError, "empty tuple"),
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


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3], "expected labels from 0 to 2 for 3 classes, got labels from 3 to 3"),
        ([-1], "got labels from -1 to -1"),
        ([0.0], r"got float64; pass labels\.astype"),
        ([True], "got bool"),
        (["a"], "return_inverse=True"),
    ],
)
def test_one_hot_refuses_what_is_no_label(labels, message):
    with pytest.raises(LabelError, match=message):
        one_hot(labels, 3)


def test_one_hot_takes_whole_numbers_of_every_type():
    for dtype in ("u1", "i2", "u8", "i8"):
        assert one_hot(np.array([1, 0], dtype), 2).tolist() == [[0, 1], [1, 0]]
