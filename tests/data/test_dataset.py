import collections
import pickle

import numpy as np
import pytest

from fcnn.data import Dataset
from fcnn.errors import (
    ArgumentError,
    DTypeError,
    FcnnError,
    LabelError,
    NonFiniteError,
    ShapeError,
    TreeError,
)

IMAGES = np.arange(5 * 4, dtype=np.float32).reshape(5, 2, 2, 1) / 20
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)
CLASSES = ("a", "b", "c")
Pair = collections.namedtuple("Pair", "a b")


@pytest.fixture
def dataset():
    return Dataset(IMAGES, LABELS, CLASSES)


def test_holds_read_only_views_and_leaves_the_callers_flag(dataset):
    assert not dataset.inputs.flags.writeable
    assert not dataset.targets.flags.writeable
    assert IMAGES.flags.writeable
    assert LABELS.flags.writeable
    assert np.shares_memory(dataset.inputs, IMAGES)
    assert dataset.targets.dtype == np.int64
    with pytest.raises(AttributeError):
        dataset.inputs = IMAGES


def test_slices_indices_and_masks_give_data_sets(dataset):
    assert len(dataset) == 5
    assert dataset[1:3] == Dataset(IMAGES[1:3], LABELS[1:3], CLASSES)
    assert dataset[[4, 0]] == Dataset(IMAGES[[4, 0]], LABELS[[4, 0]], CLASSES)
    assert dataset[np.array([4, 0])] == dataset[[4, 0]]
    assert dataset[dataset.targets == 1] == dataset[[1, 3]]
    assert len(dataset[[]]) == len(dataset[5:]) == 0
    assert not dataset[[0]].inputs.flags.writeable


def test_a_whole_number_gives_one_example_and_iterating_gives_them_all(dataset):
    image, label = dataset[-1]
    np.testing.assert_array_equal(image, IMAGES[-1])
    assert label == 0
    assert [int(label) for _, label in dataset] == LABELS.tolist()
    assert dataset[np.int64(2)][1] == dataset[np.array(2)][1] == 2
    with pytest.raises(IndexError):
        dataset[5]
    with pytest.raises(TypeError, match=r"\.inputs and \.targets"):
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
    assert not back.inputs.flags.writeable
    assert not back.targets.flags.writeable


def test_prints_in_one_line(dataset):
    assert repr(dataset) == "Dataset(5 of (2, 2, 1) float32, 3 classes)"
    assert repr(Dataset(IMAGES, LABELS)) == "Dataset(5 of (2, 2, 1) float32)"


def test_takes_features_of_any_shape_and_float_targets():
    regression = Dataset(np.zeros((4, 3)), np.linspace(0, 1, 4))
    assert regression.targets.dtype == np.float64
    soft = Dataset(np.zeros((2, 3)), np.array([[0.5, 0.5], [1, 0]], np.float32), ("a", "b"))
    assert soft[0][1].tolist() == [0.5, 0.5]


def test_whole_numbers_are_inputs_too():
    words = Dataset(np.array([[3, 1], [2, 2]], np.int32), [0, 1])
    assert words.inputs.dtype == np.int64
    assert words.inputs.tolist() == [[3, 1], [2, 2]]
    assert repr(words) == "Dataset(2 of (2,) int64)"
    assert Dataset([[0.5], [1.5]], [[1], [2]]).targets.shape == (2, 1)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "u8", ">i2"])
def test_labels_of_every_whole_type_are_kept_as_int64(dtype):
    made = Dataset(IMAGES, LABELS.astype(dtype), CLASSES)
    assert made == Dataset(IMAGES, LABELS, CLASSES)
    assert made.targets.dtype == np.int64
    assert made.targets.dtype.isnative


def test_class_names_may_be_an_array():
    named = Dataset(IMAGES, LABELS, np.array(CLASSES))
    assert named.classes == CLASSES
    assert all(type(name) is str for name in named.classes)
    assert named == Dataset(IMAGES, LABELS, CLASSES)
    assert Dataset(IMAGES, LABELS, range(3)).classes == ("0", "1", "2")


INPUTS = {"image": IMAGES, "text": (np.arange(15).reshape(5, 3), np.ones((5, 1)))}
TARGETS = (LABELS, {"box": np.zeros((5, 4), np.float32)})


class TestTrees:
    @pytest.fixture
    def tree(self):
        return Dataset(INPUTS, TARGETS)

    def test_every_leaf_is_indexed(self, tree):
        assert len(tree) == 5
        for index in (slice(1, 3), [4, 0], np.array([4, 0]), LABELS == 1, slice(9, 9)):
            part = tree[index]
            assert part == Dataset(
                {
                    "image": IMAGES[index],
                    "text": (INPUTS["text"][0][index], INPUTS["text"][1][index]),
                },
                (LABELS[index], {"box": TARGETS[1]["box"][index]}),
            )
            assert not part.inputs["text"][1].flags.writeable

    def test_an_example_is_a_pair_of_trees(self, tree):
        inputs, targets = tree[3]
        assert inputs["image"].shape == (2, 2, 1)
        assert inputs["text"][0].tolist() == [9, 10, 11]
        assert targets[0] == 1
        assert targets[1]["box"].shape == (4,)
        assert [int(each["text"][0][0]) for each, _ in tree] == [0, 3, 6, 9, 12]

    def test_compares_hashes_pickles_and_prints(self, tree):
        back = pickle.loads(pickle.dumps(tree))
        assert back == tree
        assert hash(back) == hash(tree)
        assert not back.targets[1]["box"].flags.writeable
        assert repr(tree) == (
            "Dataset(5 of {'image': (2, 2, 1) float32, 'text': ((3,) int64, (1,) float64)})"
        )
        assert repr(Dataset((IMAGES,), LABELS)) == "Dataset(5 of ((2, 2, 1) float32,))"

    @pytest.mark.parametrize(
        "other",
        [
            ({**INPUTS, "image": IMAGES + 1}, TARGETS),
            ({**INPUTS, "image": IMAGES.astype(np.float64)}, TARGETS),
            ({**INPUTS, "more": IMAGES}, TARGETS),
            ({"images": IMAGES, "text": INPUTS["text"]}, TARGETS),
            ({**INPUTS, "text": INPUTS["text"][::-1]}, TARGETS),
            (INPUTS, (LABELS, {"box": np.ones((5, 4), np.float32)})),
            (INPUTS, LABELS),
            (IMAGES, TARGETS),
        ],
    )
    def test_differs_in_every_leaf(self, tree, other):
        assert tree != Dataset(*other)

    def test_a_tuple_is_no_dict(self):
        assert Dataset((IMAGES,), LABELS) != Dataset({0: IMAGES}, LABELS)

    def test_is_no_alias_of_the_callers_tree(self):
        inputs = dict(INPUTS)
        made = Dataset(inputs, TARGETS)
        del inputs["image"]
        assert "image" in made.inputs
        assert INPUTS["image"].flags.writeable

    def test_a_list_is_one_array(self):
        assert Dataset([IMAGES[0], IMAGES[1]], [0, 1]).inputs.shape == (2, 2, 2, 1)

    @pytest.mark.parametrize(
        ("inputs", "targets", "error", "path"),
        [
            ({"a": IMAGES, "b": (IMAGES[:4],)}, LABELS, ShapeError, "inputs['b'][0]"),
            (IMAGES, (LABELS, LABELS[:4]), ShapeError, "targets[1]"),
            ((IMAGES, np.float32(1)), LABELS, ShapeError, "inputs[1]"),
            ((IMAGES, IMAGES == 0), LABELS, DTypeError, "inputs[1]"),
            (({"x": (IMAGES * 20).astype(np.uint8)},), LABELS, DTypeError, "inputs[0]['x']"),
            (IMAGES, {"a": LABELS, "b": LABELS == 1}, DTypeError, "targets['b']"),
            (IMAGES, (LABELS, list("abcab")), DTypeError, "targets[1]"),
            ((IMAGES, np.full((5, 1), np.inf)), LABELS, NonFiniteError, "inputs[1]"),
            (IMAGES, {"y": [1, np.nan, 0, 0, 0]}, NonFiniteError, "targets['y']"),
            ((IMAGES, None), LABELS, ShapeError, "inputs[1]"),
            ((IMAGES, [[1, 2], [3]]), LABELS, ShapeError, "inputs[1]"),
            ((IMAGES, Pair(1, 2)), LABELS, TreeError, "inputs[1]"),
            (IMAGES, collections.OrderedDict(a=LABELS), TreeError, "targets"),
            ((IMAGES, {1: IMAGES, "a": IMAGES}), LABELS, TreeError, "inputs[1]"),
            ((), LABELS, TreeError, "inputs"),
            (IMAGES, ({}, ()), TreeError, "targets"),
            (IMAGES, (0, 1, 2, 1, 0), ShapeError, "targets[0]"),
        ],
    )
    def test_an_error_names_the_leaf(self, inputs, targets, error, path):
        with pytest.raises(error) as caught:
            Dataset(inputs, targets)
        assert caught.value.path == path
        assert str(caught.value).startswith(f"{path}: expected ")

    def test_classes_name_the_classes_of_one_array(self):
        with pytest.raises(LabelError, match="one array where classes are given, got a tuple of 2"):
            Dataset(IMAGES, TARGETS, CLASSES)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "error", "message"),
    [
        (IMAGES, LABELS[:4], (), ShapeError, r"expected 5 .*\(5, 2, 2, 1\), got shape \(4,\)"),
        (np.float32(1), LABELS, (), ShapeError, "got a single float32"),
        ((IMAGES * 20).astype(np.uint8), LABELS, (), DTypeError, r"uint8.*float32\) / 255"),
        (IMAGES.astype(np.float16), LABELS, (), DTypeError, "got float16; .*float32"),
        (IMAGES.astype(">f4"), LABELS, (), DTypeError, r"inputs\.astype\(np\.float32\)$"),
        (IMAGES > 0, LABELS, (), DTypeError, "got bool"),
        (IMAGES.astype(str), LABELS, (), DTypeError, "got <U"),
        (IMAGES, LABELS == 1, (), DTypeError, "got bool; .*int64"),
        (IMAGES, list("abcab"), (), DTypeError, r"strings; .*unique\(targets, return_inverse=True"),
        (IMAGES, list("abcab"), CLASSES, DTypeError, "return_inverse"),
        (IMAGES, np.array(list("abcab"), object), (), DTypeError, "return_inverse"),
        (IMAGES, np.array(list("abcab"), "S1"), (), DTypeError, "return_inverse"),
        (IMAGES, np.array([2**63, 0, 0, 0, 0], np.uint64), (), DTypeError, "9223372036854775808"),
        (np.array([2**64 - 1] * 5, np.uint64), LABELS, (), DTypeError, r"below 2\*\*63"),
        (IMAGES, LABELS, ("a", "b"), LabelError, r"0 to 1 for 2 classes, got 2 at \[2\]"),
        (IMAGES, [0, 0, 0, -1, 0], CLASSES, LabelError, r"got -1 at \[3\]"),
        (IMAGES, LABELS[:, None], CLASSES, LabelError, r"got int64 .*\(5, 1\); .*targets\[:, 0\]$"),
        (IMAGES, LABELS[:, None] * 1.0, CLASSES, LabelError, r"\(5, 1\); .*\[:, 0\]\.astype"),
        (IMAGES, LABELS * 1.0, CLASSES, LabelError, r"\(5,\); pass targets\.astype\(np\.int64\)"),
        (IMAGES, np.eye(3, dtype=int)[LABELS], CLASSES, LabelError, r"argmax\(axis=1\)"),
        (IMAGES, np.zeros((5, 2)), CLASSES, LabelError, r"for each class, \(n, 3\)"),
        (IMAGES, [0, 0, np.nan, 0, 0], (), NonFiniteError, r"targets: .* got nan at \[2\]"),
        (IMAGES, LABELS, 3, ArgumentError, "sequence of names, got 3"),
        (IMAGES, LABELS, None, ArgumentError, "sequence of names, got None"),
    ],
)
def test_refuses(images, labels, classes, error, message):
    with pytest.raises(error, match=message):
        Dataset(images, labels, classes)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_names_the_first_number_that_is_not_finite(bad):
    images = IMAGES.copy()
    images[3, 1, 0, 0] = bad
    images[4] = bad
    with pytest.raises(NonFiniteError, match=rf"inputs: .* got {bad} at \[3, 1, 0, 0\]"):
        Dataset(images, LABELS)


@pytest.mark.parametrize(
    "index", [True, None, "inputs", 1.0, [0.5], np.zeros((2, 2), int), ..., (0, 1), [True, None]]
)
def test_refuses_an_index_that_is_no_row(dataset, index):
    with pytest.raises(DTypeError, match="expected an int, a slice, or a vector of indices"):
        dataset[index]


@pytest.mark.parametrize("index", [5, -6, [5], [True, False]])
def test_an_index_out_of_range_is_pythons_own_error(dataset, index):
    with pytest.raises(IndexError):
        dataset[index]


def test_every_refusal_is_an_fcnn_error():
    for bad in ({}, None, object(), [[1], [1, 2]], "abc"):
        with pytest.raises(FcnnError):
            Dataset(bad, LABELS)
        with pytest.raises(FcnnError):
            Dataset(IMAGES, bad)


def test_classes_are_a_sequence_of_names():
    with pytest.raises(ArgumentError, match="expected a sequence of names as classes, got the str"):
        Dataset(np.zeros((3, 2), np.float32), [0, 1, 2], "abc")
