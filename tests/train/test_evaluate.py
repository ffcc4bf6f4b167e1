"""Predictions, evaluations, accuracy where it has a meaning, and calibration."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn import metrics, optim, train, tree
from fcnn.data import Dataset
from fcnn.errors import NonFiniteError
from fcnn.losses import mean_squared_error, sigmoid_cross_entropy, softmax_cross_entropy
from fcnn.train import Evaluation


@pytest.fixture(scope="module")
def params(model):
    return model.init(fcnn.key(1), (8, 8, 1))[0]


def test_evaluate_and_predict_agree_with_apply(model, params, data):
    scores = fcnn.predict(model, params, data.inputs, shard_size=7)
    np.testing.assert_allclose(scores, model.apply(params, data.inputs), rtol=1e-4, atol=1e-5)
    found = fcnn.evaluate(model, softmax_cross_entropy, params, data, shard_size=7)
    correct = int((scores.argmax(1) == data.targets).sum())
    loss = softmax_cross_entropy(scores, data.targets)
    assert found == Evaluation(loss, 70, correct)
    assert found.accuracy == correct / 70
    assert str(found) == f"{correct / 70:.4f} ({correct}/70)"


def test_each_metric_is_of_all_predictions(model, params, data):
    functions = {
        "top2": lambda p, t: metrics.top_k_accuracy(p, t, 2),
        "f1": lambda p, t: metrics.f1(p, t, average="macro"),
    }
    found = fcnn.evaluate(
        model, softmax_cross_entropy, params, data, metrics=functions, shard_size=7
    )
    scores = model.apply(params, data.inputs)
    rank = (scores > scores[np.arange(70), data.targets][:, None]).sum(axis=1)
    assert found.metrics["top2"] == np.mean(rank < 2)
    assert found.metrics["f1"] == metrics.f1(scores.argmax(1), data.targets, average="macro")
    assert str(found).endswith(f"  top2 {np.mean(rank < 2):.4f}  f1 {found.metrics['f1']:.4f}")
    assert pickle.loads(pickle.dumps(found)) == found
    assert hash(found) == hash(pickle.loads(pickle.dumps(found)))


LINEAR = fcnn.dense(3)
IDENTITY = fcnn.DenseParams(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
SCORES = np.array([[5, 1, -9], [9, 5, -9], [0, 1, 2], [3, 2, 1]], np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("targets", "classes", "loss", "accuracy"),
    [
        ([0, 1, 2, 2], (), softmax_cross_entropy, 0.5),
        ([0, 1, 2, 2], NAMES, softmax_cross_entropy, 0.5),
        (ONE_HOT, NAMES, softmax_cross_entropy, 0.5),
        (0.8 * ONE_HOT + 0.2 / 3, NAMES, softmax_cross_entropy, 0.5),
        (ONE_HOT, (), mean_squared_error, None),  # three columns of a regression
        (SCORES, (), mean_squared_error, None),
        ((SCORES > 0).astype(np.float32), (), sigmoid_cross_entropy, None),  # several labels each
        ((SCORES > 0).astype(np.float32), NAMES, sigmoid_cross_entropy, None),
        (np.array([[1, 0, 0]] * 4), (), mean_squared_error, None),
    ],
)
def test_accuracy_is_reported_only_where_targets_are_classes(targets, classes, loss, accuracy):
    data = Dataset(SCORES, targets, classes)
    found = fcnn.evaluate(LINEAR, loss, IDENTITY, data)
    assert found.accuracy == accuracy
    assert found.total == 4
    options = {"key": fcnn.key(0), "epochs": 1, "log": None, "params": IDENTITY}
    run = fcnn.fit(LINEAR, loss, optim.sgd(0.1), data, validation=data, **options)
    assert run.history[0].accuracy == accuracy  # of the params before the only step
    assert (run.history[0].validation.accuracy is None) == (accuracy is None)
    assert ("accuracy" in str(run.history[0])) == (accuracy is not None)


def test_a_regression_evaluation_prints_its_loss():
    data = Dataset(SCORES, SCORES)
    found = fcnn.evaluate(LINEAR, mean_squared_error, IDENTITY, data, metrics={"r": lambda p, t: 1})
    assert str(found) == "loss 0.0000  r 1.0000 (4)"


NAN = fcnn.DenseParams(np.full((3, 3), np.nan, np.float32), np.zeros(3, np.float32))


def test_nan_is_no_prediction_of_class_zero():
    zeros = Dataset(SCORES, np.zeros(4, np.int64))
    with pytest.raises(NonFiniteError, match="got NaN for example 0"):
        fcnn.evaluate(LINEAR, softmax_cross_entropy, NAN, zeros)
    regression = Dataset(SCORES, SCORES)
    careless = {"hits": lambda p, t: np.mean(p.argmax(1) == 0)}
    with pytest.raises(NonFiniteError, match="got NaN for example 0"):
        fcnn.evaluate(LINEAR, mean_squared_error, NAN, regression, metrics=careless)
    with pytest.raises(NonFiniteError, match="metric 'r2', got NaN"):
        fcnn.evaluate(
            LINEAR, mean_squared_error, IDENTITY, regression, metrics={"r2": lambda p, t: np.nan}
        )


def test_calibration_averages_what_each_shard_shows_by_its_examples(data):
    model = fcnn.serial(fcnn.flatten, fcnn.batch_norm(momentum=0.3), fcnn.dense(2))
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    x = data.inputs[:49]
    flat = x.reshape(49, -1).astype(np.float64)
    one = train.calibrate(model, params, x, key=fcnn.key(0))
    np.testing.assert_allclose(one[1].mean, flat.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one[1].var, flat.var(axis=0, ddof=1), rtol=1e-3, atol=1e-5)
    assert tree.equal((one[1].scale, one[2]), (params[1].scale, params[2]))
    parts = train.calibrate(model, params, x, key=fcnn.key(0), shard_size=16)
    shards = np.split(flat, [13, 25, 37])  # 13 + 12 + 12 + 12
    variance = sum(len(part) / 49 * part.var(axis=0, ddof=1) for part in shards)
    np.testing.assert_allclose(parts[1].mean, flat.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts[1].var, variance, rtol=1e-3, atol=1e-5)
    with fcnn.parallel.threads(2) as pool:
        again = train.calibrate(model, params, x, key=fcnn.key(0), shard_size=16, executor=pool)
    assert tree.digest(again) == tree.digest(parts)


def test_calibration_drops_with_its_key():
    model = fcnn.serial(fcnn.dropout(0.5), fcnn.batch_norm())
    params, _ = model.init(fcnn.key(0), (2,))
    x = np.ones((64, 2), np.float32)
    one, again, other = [train.calibrate(model, params, x, key=fcnn.key(k)) for k in (0, 0, 1)]
    assert one == again
    assert one != other
