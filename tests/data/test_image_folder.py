"""A folder of images, and parts of a data set."""

import numpy as np
import pytest

import fcnn
from fcnn.data import Dataset, folder, k_folds, split
from fcnn.errors import ArgumentError, DataError, MissingKeyError, ShapeError

pytest.importorskip("PIL", exc_type=ImportError)
from PIL import Image


def write(path, value, shape=(6, 8, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def damage(path):
    """Write the first half of an image."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.fixture
def pets(tmp_path):
    """Folders whose names sort otherwise as numbers or without regard to case."""
    write(tmp_path / "dog" / "b.png", 10)
    write(tmp_path / "dog" / "a" / "z.png", 20)
    write(tmp_path / "Cat" / "10.png", 30)
    write(tmp_path / "Cat" / "9.png", 40)
    return tmp_path


def test_classes_and_files_are_sorted_as_strings(pets):
    data = folder(pets)
    assert data.classes == ("Cat", "dog")
    assert data.targets.tolist() == [0, 0, 1, 1]
    assert data.inputs.shape == (4, 6, 8, 3)
    np.testing.assert_allclose(data.inputs[:, 0, 0, 0] * 255, [30, 40, 20, 10], rtol=1e-6)
    assert folder(str(pets), size=(3, 4)).inputs.shape == (4, 3, 4, 3)


def test_grey_and_colour_together_are_colour(pets):
    write(pets / "dog" / "grey.png", 99, (6, 8))
    data = folder(pets)
    np.testing.assert_allclose(data.inputs[-1], 99 / 255, rtol=1e-6)
    assert data.inputs.shape[-1] == 3
    assert folder(pets, channels=1).inputs.shape[-1] == 1
    for path in list(pets.rglob("*.png")):
        write(path, 50, (6, 8))
    assert folder(pets).inputs.shape[-1] == 1


def test_one_warning_says_what_was_left_out_and_why(pets):
    (pets / "README.txt").write_text("pets")
    (pets / "dog" / "notes.txt").write_text("no image")
    (pets / "dog" / ".DS_Store").write_text("hidden")
    for i in range(4):
        damage(pets / "Cat" / f"damaged{i}.png")
    with pytest.warns(UserWarning, match="left out") as caught:
        data = folder(pets)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    said = str(caught[0].message)
    assert said.startswith("left out 6 of 10 files: ")
    assert "4 damaged (Cat/damaged0.png, Cat/damaged1.png, Cat/damaged2.png, …)" in said
    assert "1 no image (dog/notes.txt)" in said
    assert "1 in no folder of a class" in said
    assert data.targets.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(data.inputs[:, 0, 0, 0] * 255, [30, 40, 20, 10], rtol=1e-6)


def test_a_damaged_first_image_is_left_out_too(pets):
    damage(pets / "Cat" / "10.png")
    with pytest.warns(UserWarning, match="1 of 4 files: 1 damaged"):
        data = folder(pets)
    np.testing.assert_allclose(data.inputs[:, 0, 0, 0] * 255, [40, 20, 10], rtol=1e-6)


def test_classes_of_another_folder_give_the_same_numbers(pets):
    (pets / "Bird").mkdir()
    with pytest.warns(UserWarning, match="2 in the folder of another class"):
        data = folder(pets, classes=("dog", "Bird"))
    assert data.classes == ("dog", "Bird")
    assert data.targets.tolist() == [0, 0]
    with pytest.raises(DataError, match="got none in Bird"):
        folder(pets)


def test_a_link_to_a_folder_above_is_followed_once(pets):
    (pets / "dog" / "again").symlink_to(pets / "dog")
    assert len(folder(pets)) == 4


def test_images_of_two_sizes_need_a_size(pets):
    write(pets / "dog" / "c.png", 1, (5, 5, 3))
    with pytest.raises(ShapeError, match=r"got \(5, 5\) in .*c\.png and \(6, 8\) in .*10\.png"):
        folder(pets)
    assert folder(pets, size=4).inputs.shape == (5, 4, 4, 3)


def test_an_image_that_is_not_opaque_is_no_damage(pets):
    write(pets / "dog" / "c.png", 100, (6, 8, 4))
    with pytest.raises(DataError, match=r"c\.png: expected an opaque image"):
        folder(pets)
    np.testing.assert_allclose(folder(pets, background=0.0).inputs[-1], (100 / 255) ** 2, rtol=1e-5)


def test_refuses_what_is_no_folder_of_classes(tmp_path):
    with pytest.raises(DataError, match="got none"):
        folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="a folder for each class"):
        folder(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="got none in a; remove"):
        folder(tmp_path)
    with pytest.raises(ArgumentError, match="names of folders as classes, got 'a'"):
        folder(tmp_path, classes="a")
    with pytest.raises(DataError, match="expected a folder 'b'"):
        folder(tmp_path, classes=["b"])


LABELS = np.repeat([0, 1, 2], [50, 30, 7])
NUMBERS = Dataset(np.arange(87.0).reshape(87, 1), LABELS, ("a", "b", "c"))


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize(("part", "m"), [(0.2, 17), (0.5, 44), (1, 1), (86, 86)])
def test_split_cuts_into_two_that_are_all(part, m, stratify):
    train, test = split(NUMBERS, part, key=fcnn.key(3), stratify=stratify)
    assert len(test) == m
    together = np.concatenate([train.inputs, test.inputs]).ravel()
    np.testing.assert_array_equal(np.sort(together), np.arange(87))
    for each in (train, test):
        assert (np.diff(each.inputs.ravel()) > 0).all()  # in the data's order
        assert each == NUMBERS[each.inputs.ravel().astype(int)]
    if stratify:
        got = np.bincount(test.targets, minlength=3)
        assert (np.abs(got - m * np.array([50, 30, 7]) / 87) < 1).all()


def test_the_key_decides_which():
    a, b, c = (split(NUMBERS, 0.2, key=fcnn.key(i), stratify=True)[1] for i in (0, 0, 1))
    assert a == b
    assert a != c
    with pytest.raises(MissingKeyError):
        split(NUMBERS, 0.2, key=None)


def test_every_example_of_a_split_is_drawn_as_often():
    counts = np.zeros(87)
    for i in range(400):
        counts[split(NUMBERS, 0.2, key=fcnn.key(i), stratify=True)[1].inputs.astype(int)] += 1
    for label in range(3):  # binomial, 400 draws of about 0.2: 80 ± 8
        assert np.abs(counts[label == LABELS] - counts[label == LABELS].mean()).max() < 40


@pytest.mark.parametrize("stratify", [False, True])
def test_folds_hold_each_example_once(stratify):
    pairs = list(k_folds(NUMBERS, 4, key=fcnn.key(0), stratify=stratify))
    folds = [fold.inputs.ravel() for _, fold in pairs]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(87))
    assert sorted(map(len, folds)) == [21, 22, 22, 22]
    for train, fold in pairs:
        together = np.concatenate([train.inputs, fold.inputs]).ravel()
        np.testing.assert_array_equal(np.sort(together), np.arange(87))
    if stratify:
        counts = np.array([np.bincount(fold.targets, minlength=3) for _, fold in pairs])
        assert (np.ptp(counts, axis=0) <= 1).all()


def test_splits_refuse():
    key = fcnn.key(0)
    with pytest.raises(DataError, match="got 0 and 87 of 87"):
        split(NUMBERS, 0.001, key=key)
    with pytest.raises(ArgumentError, match="part"):
        split(NUMBERS, 1.5, key=key)
    with pytest.raises(DataError, match="88 examples for 88 folds, got 87"):
        k_folds(NUMBERS, 88, key=key)
    with pytest.raises(ArgumentError, match="at least 2 for k"):
        k_folds(NUMBERS, 1, key=key)
    real = Dataset(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(ArgumentError, match=r"whole numbers \(n,\) for stratify"):
        split(real, 0.5, key=key, stratify=True)
