"""Training: states, epochs, resuming, evaluation."""

import itertools
import pickle

import numpy as np
import pytest

import fcnn
from fcnn import optim, train, tree
from fcnn.data import Dataset
from fcnn.errors import ArgumentError, DataError, NonFiniteError, ShapeError
from fcnn.losses import mean_squared_error, softmax_cross_entropy

MODEL = fcnn.serial(
    fcnn.conv2d(3, 3),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.max_pool2d(2),
    fcnn.flatten,
    fcnn.dropout(0.3),
    fcnn.dense(3),
)
ADAM = optim.adam(0.01)


@pytest.fixture(scope="module")
def data():
    """Three classes of noisy 8×8 images: a bright quarter each."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 70)
    images = rng.random((70, 8, 8, 1), np.float32) * 0.5
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 0.5
    return Dataset(images, labels)


def run(data, steps, state=None, **options):
    state = train.start(MODEL, ADAM, data, fcnn.key(3)) if state is None else state
    options = {"batch_size": 16, "shard_size": 8} | options
    states = train.steps(MODEL, softmax_cross_entropy, ADAM, data, state, **options)
    return next(itertools.islice(states, steps - 1, None))


def test_training_learns(data):
    history = fcnn.fit(
        MODEL, softmax_cross_entropy, ADAM, data, key=fcnn.key(0), epochs=30, log=None
    ).history
    assert history[-1].loss < 0.5 * history[0].loss
    assert history[-1].accuracy > 0.9


def test_a_resumed_run_ends_in_the_same_bits(data):
    whole = run(data, 13)
    for stop in (1, 5, 6, 12):  # within an epoch, at its end, just after it
        half = pickle.loads(pickle.dumps(run(data, stop)))
        assert run(data, 13 - stop, half) == whole


def test_the_run_is_a_function_of_its_key(data):
    assert run(data, 7) == run(data, 7)
    other = train.start(MODEL, ADAM, data, fcnn.key(4))
    assert tree.digest(run(data, 7, other).params) != tree.digest(run(data, 7).params)


def test_every_epoch_sees_every_example_once_in_a_new_order():
    n = 10
    data = Dataset(np.arange(n, dtype=np.float32)[:, None], np.arange(n, dtype=np.float32)[:, None])
    seen = []

    def record(key, x):
        seen.extend(x.ravel().tolist())
        return x

    model, sgd = fcnn.dense(1), optim.sgd(0.0)
    state = train.start(model, sgd, data, fcnn.key(0))
    states = train.steps(model, mean_squared_error, sgd, data, state, batch_size=4, augment=record)
    sizes = [state.seen for state in itertools.islice(states, 6)]
    assert sizes == [4, 4, 2, 4, 4, 2]
    assert sorted(seen[:n]) == sorted(seen[n:]) == list(range(n))
    assert seen[:n] != seen[n:]


def test_steps_do_not_change_what_they_are_given(data):
    state = train.start(MODEL, ADAM, data, fcnn.key(3))
    before = pickle.dumps((state, data))
    run(data, 5, state)
    assert pickle.dumps((state, data)) == before


def test_one_line_an_epoch(data, capsys):
    fcnn.fit(
        MODEL,
        softmax_cross_entropy,
        ADAM,
        data,
        key=fcnn.key(0),
        epochs=2,
        validation=data[:10],
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for part in ("epoch 2/2", "loss ", "accuracy ", "val_loss ", "val_accuracy ", " s"):
        assert part in lines[1]


def test_fit_goes_on_from_a_state(data):
    options = {"key": fcnn.key(0), "batch_size": 16, "log": None}
    two = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, data, epochs=2, **options)
    four = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, data, epochs=4, **options)
    rest = fcnn.fit(MODEL, softmax_cross_entropy, ADAM, data, epochs=4, state=two.state, **options)
    assert rest.state == four.state
    losses = [epoch.loss for epoch in (*two.history, *rest.history)]
    assert losses == [epoch.loss for epoch in four.history]


def test_a_diverging_run_says_so():
    data = Dataset(np.full((4, 1), 1e18, np.float32), np.zeros((4, 1), np.float32))
    with np.errstate(over="ignore"), pytest.raises(NonFiniteError, match="at step 2: a smaller"):
        fcnn.fit(
            fcnn.dense(1), mean_squared_error, optim.sgd(1.0), data,
            key=fcnn.key(0), epochs=3, log=None,
        )  # fmt: skip


def test_regression_has_no_accuracy():
    data = Dataset(np.ones((4, 1), np.float32), np.ones((4, 1), np.float32))
    options = {"key": fcnn.key(0), "epochs": 1, "log": None}
    history = fcnn.fit(fcnn.dense(1), mean_squared_error, optim.sgd(0.1), data, **options).history
    assert history[0].accuracy is None
    assert "accuracy" not in str(history[0])


def test_evaluate_and_predict_agree_with_apply(data):
    params = run(data, 3).params
    scores = fcnn.predict(MODEL, params, data.inputs, shard_size=7)
    np.testing.assert_allclose(scores, MODEL.apply(params, data.inputs), rtol=1e-4, atol=1e-5)
    result = fcnn.evaluate(MODEL, softmax_cross_entropy, params, data, shard_size=7)
    assert result.correct == (scores.argmax(1) == data.targets).sum()
    assert result.total == 70
    assert result.loss == softmax_cross_entropy(scores, data.targets)
    one_hot = Dataset(data.inputs, np.eye(3, dtype=np.float32)[data.targets])
    assert fcnn.evaluate(MODEL, softmax_cross_entropy, params, one_hot).correct == result.correct


def test_calibration_finds_the_statistics(data):
    model = fcnn.serial(fcnn.flatten, fcnn.batch_norm(momentum=0.3), fcnn.dense(2))
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    x = data.inputs[:64]
    one = train.calibrate(model, params, x, key=fcnn.key(0), shard_size=64)
    flat = x.reshape(64, -1)
    np.testing.assert_allclose(one[1].mean, flat.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one[1].var, flat.var(axis=0, ddof=1), rtol=1e-3, atol=1e-5)
    assert tree.equal((one[1].scale, one[2]), (params[1].scale, params[2]))
    parts = train.calibrate(model, params, x, key=fcnn.key(0), shard_size=16)
    np.testing.assert_allclose(parts[1].mean, flat.mean(axis=0), rtol=1e-5, atol=1e-6)
    with fcnn.parallel.threads(2) as pool:
        again = train.calibrate(model, params, x, key=fcnn.key(0), shard_size=16, executor=pool)
    assert tree.digest(again) == tree.digest(parts)


def test_bad_arguments_are_refused(data):
    state = train.start(MODEL, ADAM, data, fcnn.key(0))
    empty = data[:0]
    for call, error in [
        (lambda: run(empty, 1, state), DataError),
        (lambda: run(data, 1, batch_size=0), ArgumentError),
        (lambda: run(data, 1, shard_size=0), ArgumentError),
        (lambda: fcnn.predict(MODEL, state.params, empty.inputs), DataError),
        (lambda: train.calibrate(MODEL, state.params, empty.inputs, key=fcnn.key(0)), DataError),
        (lambda: fcnn.predict(MODEL, state.params, data.inputs[:, :4]), ShapeError),
    ]:
        with pytest.raises(error):
            call()
