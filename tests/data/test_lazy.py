"""Data that are read when a batch needs them: the bits of data in memory, in little memory."""

import itertools
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fcnn
from fcnn import train
from fcnn._prefetch import prefetched
from fcnn.data import Dataset, Examples, LazyDataset, batches, folder, k_folds, split
from fcnn.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    LabelError,
    NonFiniteError,
    ShapeError,
)
from fcnn.losses import mean_squared_error, softmax_cross_entropy

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (45, 6, 6, 1), dtype=np.uint8)
LABELS = RNG.integers(0, 3, 45)
CLASSES = ("a", "b", "c")
WHOLE = Dataset(PIXELS.astype(np.float32) / 255, LABELS, CLASSES)
MODEL = fcnn.serial(fcnn.conv2d(2, 3), fcnn.relu, fcnn.flatten, fcnn.dropout(0.2), fcnn.dense(3))
ADAM = fcnn.optim.adam(0.01)


def read(rows):
    return PIXELS[rows].astype(np.float32) / 255


def lazy(**options):
    return LazyDataset(PIXELS, LABELS, CLASSES, scale=1 / 255, **options)


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "pixels.npy", PIXELS)
    return LazyDataset(tmp_path / "pixels.npy", LABELS, CLASSES, scale=1 / 255)


def every_kind(mapped):
    return {
        "uint8": lazy(),
        "mapped": mapped,
        "function": LazyDataset(read, LABELS, CLASSES),
        "both": LazyDataset(lambda rows: (PIXELS[rows], LABELS[rows]), 45, CLASSES, scale=1 / 255),
        "no thread": lazy(prefetch=0),
        "threads": lazy(prefetch=3, threads=3),
    }


def five_steps(data, state):
    steps = train.steps(MODEL, softmax_cross_entropy, ADAM, data, state)
    return list(itertools.islice(steps, 5))


def test_every_kind_has_the_bits_of_data_in_memory(mapped):
    state = train.init(MODEL, ADAM, WHOLE, fcnn.key(0))
    states = list(
        itertools.islice(train.steps(MODEL, softmax_cross_entropy, ADAM, WHOLE, state), 5)
    )
    for kind, data in every_kind(mapped).items():
        assert isinstance(data, Examples)
        assert repr(data) == "LazyDataset(45 of (6, 6, 1) float32, 3 classes)"
        assert data.shape == WHOLE.shape == (6, 6, 1)
        found = list(
            itertools.islice(train.steps(MODEL, softmax_cross_entropy, ADAM, data, state), 5)
        )
        assert found == states, kind
        assert train.init(MODEL, ADAM, data, fcnn.key(0)) == state, kind
        assert data[[4, 0]] == WHOLE[[4, 0]], kind
        assert data[-3:] == WHOLE[-3:]


def test_fit_evaluate_and_predict(mapped):
    settings = {"key": fcnn.key(1), "epochs": 2, "log": None}
    run = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, WHOLE, validation=WHOLE[:20], **settings)
    prediction = fcnn.predict(MODEL, run.params, WHOLE.inputs, shard_size=7)
    scored = {"metrics": {"one": lambda prediction, target: len(target)}, "shard_size": 7}
    expected = fcnn.evaluate(MODEL, softmax_cross_entropy, run.params, WHOLE, **scored)
    for kind, data in every_kind(mapped).items():
        held_out = data.subset(np.arange(20))
        again = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, data, validation=held_out, **settings)
        assert again.history == run.history, kind
        assert again.params == run.params, kind
        found = fcnn.predict(MODEL, run.params, data.inputs, shard_size=7)
        np.testing.assert_array_equal(found, prediction)
        assert fcnn.evaluate(MODEL, softmax_cross_entropy, run.params, data, **scored) == expected


def test_blocks_of_predictions_add_up(monkeypatch):
    import fcnn._evaluate
    import fcnn._stream

    monkeypatch.setattr(fcnn._evaluate, "BLOCK", 1)
    monkeypatch.setattr(fcnn._stream, "BLOCK", 1)
    params, _ = MODEL.init(fcnn.key(0), (6, 6, 1))
    expected = fcnn.evaluate(MODEL, softmax_cross_entropy, params, WHOLE, shard_size=7)
    found = fcnn.evaluate(MODEL, softmax_cross_entropy, params, lazy(), shard_size=7)
    assert (found.correct, found.total) == (expected.correct, expected.total)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    prediction = fcnn.predict(MODEL, params, lazy().inputs, shard_size=7)
    np.testing.assert_array_equal(
        prediction, fcnn.predict(MODEL, params, WHOLE.inputs, shard_size=7)
    )
    norm = fcnn.serial(fcnn.batch_norm())
    params, _ = norm.init(fcnn.key(0), (6, 6, 1))
    calibrated = [
        train.calibrate(norm, params, x, shard_size=7) for x in (lazy().inputs, WHOLE.inputs)
    ]
    assert calibrated[0] == calibrated[1]


def test_an_executor_computes_the_shards():
    params, _ = MODEL.init(fcnn.key(0), (6, 6, 1))
    with fcnn.parallel.threads(2) as pool:
        found = fcnn.predict(MODEL, params, lazy().inputs, shard_size=7, executor=pool)
    np.testing.assert_array_equal(found, fcnn.predict(MODEL, params, WHOLE.inputs, shard_size=7))


def test_a_run_goes_on_from_memory_to_file(mapped):
    settings = {"key": fcnn.key(1), "log": None}
    run = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, WHOLE, epochs=1, **settings)
    again = fcnn.fit(
        MODEL, softmax_cross_entropy, ADAM, mapped, epochs=2, state=run.state, log=None
    )
    assert again.params == fcnn.fit(
        MODEL, softmax_cross_entropy, ADAM, WHOLE, epochs=2, **settings
    ).params  # fmt: skip


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("start", [0, 13])
def test_batches_are_in_the_order_of_data_in_memory(start, drop_last):
    options = {"key": fcnn.key(2), "epoch": 3, "start": start, "drop_last": drop_last}
    expected = list(batches(WHOLE, 7, **options))
    for data in (lazy(), lazy(prefetch=5, threads=4), LazyDataset(read, LABELS)):
        found = list(batches(data, 7, **options))
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_subsets_and_splits_read_nothing():
    read_rows = []

    def noting(rows):
        read_rows.extend(rows.tolist())
        return read(rows)

    data = LazyDataset(noting, LABELS, CLASSES)
    read_rows.clear()
    parts = split(data, 0.2, key=fcnn.key(0), stratify=True)
    folds = list(k_folds(parts[0], 3, key=fcnn.key(1)))
    assert not read_rows
    ours = split(WHOLE, 0.2, key=fcnn.key(0), stratify=True)
    for lazily, eagerly in zip(parts, ours, strict=True):
        assert lazily[:] == eagerly
        np.testing.assert_array_equal(lazily.targets, eagerly.targets)
    for lazily, eagerly in zip(folds, k_folds(ours[0], 3, key=fcnn.key(1)), strict=True):
        assert lazily[1][:] == eagerly[1]
    assert data.subset(LABELS == 1).subset([-1, 0])[:] == WHOLE[LABELS == 1][[-1, 0]]


def test_indices():
    data = lazy()
    assert data[np.arange(45) < 3] == WHOLE[:3]
    assert data[-1][1] == LABELS[-1]
    np.testing.assert_array_equal(data.inputs[4], WHOLE.inputs[4])
    np.testing.assert_array_equal(data.inputs[40:], WHOLE.inputs[40:])
    assert len(list(data)) == 45
    assert len(data[[]]) == 0
    for bad in ([45], [-46], np.ones(3, bool)):
        with pytest.raises(IndexError):
            data[bad]
    back = pickle.loads(pickle.dumps(data.subset([1, 2])))
    assert back[:] == WHOLE[1:3]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32])
def test_scaled_numbers_are_those_of_a_division(dtype):
    top = 255 if dtype == np.uint8 else 32767
    numbers = np.arange(top + 1).astype(dtype)[:, None]
    data = LazyDataset(numbers, np.zeros(top + 1), scale=1 / top)
    expected = np.divide(numbers, top, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(data[:].inputs, expected)
    if dtype == np.uint8:
        assert data[:].inputs.tobytes() == (numbers.astype(np.float32) / 255).tobytes()


def test_trees_and_mapped_targets(tmp_path):
    masks = RNG.random((45, 6, 6, 1)).astype(np.float16)
    np.save(tmp_path / "masks.npy", masks)
    np.save(tmp_path / "labels.npy", LABELS)
    data = LazyDataset(
        {"image": PIXELS, "more": np.ones((45, 2))},
        (tmp_path / "labels.npy", str(tmp_path / "masks.npy")),
        scale=1 / 255,
    )
    some = data[[3, 1]]
    assert repr(data).startswith("LazyDataset(45 of {'image': (6, 6, 1) float32, 'more': (2,) flo")
    np.testing.assert_array_equal(some.inputs["image"], WHOLE.inputs[[3, 1]])
    np.testing.assert_array_equal(some.targets[0], LABELS[[3, 1]])
    np.testing.assert_array_equal(some.targets[1], masks[[3, 1]].astype(np.float32))
    assert len(data.targets[2:5][1]) == 3
    pictures = LazyDataset(PIXELS, tmp_path / "masks.npy", scale=1 / 255)
    model = fcnn.conv2d(1, 3, padding="same")
    run = fcnn.fit(
        model, mean_squared_error, ADAM, pictures, key=fcnn.key(0), epochs=1,
        validation=pictures.subset(slice(9)), log=None,
    )  # fmt: skip
    memory = Dataset(WHOLE.inputs, masks.astype(np.float32))
    again = fcnn.fit(
        model, mean_squared_error, ADAM, memory, key=fcnn.key(0), epochs=1,
        validation=memory[:9], log=None,
    )  # fmt: skip
    assert run.params == again.params
    assert run.history == again.history


def test_a_class_of_ones_own():
    class Own:
        classes = CLASSES

        def __len__(self):
            return 45

        def __getitem__(self, rows):
            return WHOLE[rows]

    run = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, Own(), key=fcnn.key(1), epochs=2, log=None)
    same = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, WHOLE, key=fcnn.key(1), epochs=2, log=None)
    assert run.params == same.params
    found = fcnn.evaluate(MODEL, softmax_cross_entropy, run.params, Own())
    assert found == fcnn.evaluate(MODEL, softmax_cross_entropy, run.params, WHOLE)


class TestFinite:
    def test_is_checked_when_first_read_and_named_by_its_place(self):
        numbers = np.zeros((40, 2), np.float32)
        numbers[[17, 30], 1] = np.nan, np.inf
        data = LazyDataset(numbers, np.zeros(40))  # nothing is read but the first
        assert data[:17].inputs.shape == (17, 2)
        message = r"inputs: .* got nan at \[2, 1\]; .* \(read for example 17\)"
        with pytest.raises(NonFiniteError, match=message):
            data[[3, 2, 17, 30]]
        with pytest.raises(NonFiniteError, match="example 30"):
            list(batches(data.subset([5, 30]), 2))

    def test_is_checked_once(self, monkeypatch):
        checked = []
        monkeypatch.setattr(
            "fcnn.data._leaves._finite", lambda array, path: checked.append(len(array)) or array
        )
        data = LazyDataset(read, LABELS, CLASSES)
        checked.clear()
        for _ in range(2):
            list(batches(data, 9))
        assert checked == [9] * 5


class TestThreads:
    def test_the_queue_is_bounded_and_reading_goes_on_meanwhile(self):
        begun = []
        results = prefetched(lambda i: begun.append(i) or i, range(9), ahead=2)
        assert begun == []
        assert next(results) == 0
        end = time.monotonic() + 5
        while len(begun) < 3 and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.02)
        assert begun == [0, 1, 2]
        results.close()
        time.sleep(0.02)
        assert begun == [0, 1, 2]

    def test_order_holds_whatever_thread_is_first(self):
        def slow(i):
            time.sleep((7 - i) % 3 * 0.003)
            return i

        assert list(prefetched(slow, range(9), ahead=3, threads=3)) == list(range(9))

    def test_an_error_comes_in_its_place_and_leaves_no_thread(self):
        def failing(i):
            return 1 // (3 - i)

        results = prefetched(failing, range(9), ahead=2)
        assert [next(results) for _ in range(3)] == [0, 0, 1]
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert not [t for t in threading.enumerate() if t.name.startswith("fcnn-read")]

    def test_a_loop_that_is_left_leaves_no_thread(self):
        state = train.init(MODEL, ADAM, lazy(), fcnn.key(0))
        steps = train.steps(MODEL, softmax_cross_entropy, ADAM, lazy(), state, batch_size=4)
        next(steps)
        steps.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("fcnn-read")]

    def test_an_error_of_the_function_has_the_last_state(self):
        def failing(rows):
            if len(rows) == 13:  # the last batch
                raise OSError("the disk is gone")
            return read(rows)

        data = LazyDataset(failing, LABELS, CLASSES)
        with pytest.raises(OSError, match="the disk is gone") as caught:
            fcnn.fit(MODEL, softmax_cross_entropy, ADAM, data, key=fcnn.key(0), epochs=1, log=None)
        assert caught.value.state.step == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LazyDataset(PIXELS, LABELS), DTypeError, "uint8; pass scale=1/255"),
        (lambda: LazyDataset(PIXELS, LABELS[:4], scale=1), ShapeError, "expected 45 examples"),
        (lambda: LazyDataset(PIXELS[:0], LABELS[:0], scale=1), DataError, "at least one example"),
        (lambda: LazyDataset(PIXELS, 45, scale=1), ArgumentError, "expected targets, got 45"),
        (lambda: LazyDataset(read, 45), ArgumentError, r"return \(inputs, targets\), got a ndarr"),
        (lambda: LazyDataset(PIXELS, LABELS, scale=0), ArgumentError, "scale, got 0"),
        (lambda: LazyDataset(PIXELS, LABELS, scale=1, prefetch=-1), ArgumentError, "prefetch"),
        (lambda: LazyDataset(PIXELS, LABELS, scale=1, threads=0), ArgumentError, "threads"),
        (lambda: LazyDataset(PIXELS, LABELS, CLASSES[:2], scale=1), LabelError, "0 to 1 for 2"),
        (lambda: LazyDataset(PIXELS > 0, LABELS), DTypeError, "got bool"),
        (
            lambda: LazyDataset(lambda rows: read(rows[1:]), LABELS),
            ShapeError,
            "inputs: expected 1 examples",
        ),
        (lambda: LazyDataset(read, LABELS, "abc"), ArgumentError, "sequence of names"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_refuses_what_changes_from_example_to_example():
    data = LazyDataset(lambda rows: np.zeros((len(rows), 1 + (rows[0] == 3))), np.zeros(9))
    with pytest.raises(ShapeError, match=r"inputs: expected examples of \(1,\) float64, as the fi"):
        data[[3]]
    labels = LazyDataset(lambda rows: (read(rows), rows), 45, CLASSES)
    with pytest.raises(LabelError, match="0 to 2 for 3 classes, got 3"):
        labels[:9]


def test_refuses_a_file_that_is_damaged(tmp_path):
    path = tmp_path / "pixels.npy"
    np.save(path, PIXELS)
    content = path.read_bytes()
    for damaged in (content[:-1], content[:20], b"", b"no array", content[:80]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"inputs: expected a \.npy file of numbers, got .*pix"):
            LazyDataset(path, LABELS, scale=1)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"expected a \.npy file of numbers"):
        LazyDataset(path, [0])


def test_changes_in_a_copy_on_write_mapping_are_kept(tmp_path):
    np.save(tmp_path / "pixels.npy", PIXELS)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="c")
    mapped[:] = 51
    data = LazyDataset(mapped, LABELS, scale=1 / 255)
    for _ in range(2):
        assert (data[:].inputs == np.float32(0.2)).all()


def test_a_folder_of_images(tmp_path):
    image = pytest.importorskip("PIL.Image", exc_type=ImportError)
    for i in range(6):
        path = tmp_path / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        image.fromarray(PIXELS[i, :, :, 0]).save(path)
    data = folder(tmp_path, lazy=True)
    assert data[:] == folder(tmp_path)
    assert data.classes == ("a", "b")
    path = tmp_path / "a" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"2\.png: expected a whole image"):
        list(batches(data, 2))


CODE = """
import resource, sys
import numpy as np, fcnn
import fcnn._evaluate, fcnn._stream
from fcnn.data import LazyDataset
fcnn._evaluate.BLOCK = fcnn._stream.BLOCK = 2**22
n = 1024
source = sys.argv[1]
if source == "function":
    source = lambda rows: np.zeros((len(rows), 128, 128, 4), np.uint8)
data = LazyDataset(source, np.zeros(n, np.int64), ("a", "b"), scale=1 / 255)
model = fcnn.serial(fcnn.avg_pool2d(16), fcnn.flatten, fcnn.dense(2))
loss, sgd = fcnn.losses.softmax_cross_entropy, fcnn.optim.sgd(0.1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = fcnn.fit(model, loss, sgd, data, key=fcnn.key(0), epochs=1, batch_size=16, log=None,
               validation=data.subset(slice(512)))
assert len(fcnn.predict(model, run.params, data.inputs)) == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures the memory of a process on Linux")
@pytest.mark.parametrize("kind", ["function", "mapped"])
def test_memory_does_not_grow_with_the_data(kind, tmp_path):
    """64 MiB of uint8 are 256 MiB of floats; 256 examples, 64 MiB, are read for a digest."""
    if kind == "mapped":
        kind = str(tmp_path / "sparse.npy")
        shape = (1024, 128, 128, 4)
        np.lib.format.open_memmap(kind, mode="w+", dtype=np.uint8, shape=shape)
    done = subprocess.run(
        [sys.executable, "-c", CODE, kind], capture_output=True, text=True, check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert int(done.stdout) < 190_000  # KiB
