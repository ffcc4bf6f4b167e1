"""Models of several inputs or outputs through fit, evaluate, predict and calibrate."""

import numpy as np
import pytest

import fcnn
from fcnn import optim, train, tree
from fcnn.data import Dataset
from fcnn.errors import FcnnError
from fcnn.losses import combine, mean_squared_error, softmax_cross_entropy

ADAM, KEY = optim.adam(0.02), fcnn.key(3)


@pytest.fixture(scope="module")
def two_inputs(data):
    """Images with every other row as a second input."""
    return Dataset((data.inputs, data.inputs[:, ::2, 0, 0]), data.targets)


@pytest.fixture(scope="module")
def two_heads(data):
    tilt = data.inputs.mean(axis=(1, 2))
    return Dataset(data.inputs, {"digit": data.targets, "tilt": tilt})


IMAGES = fcnn.serial(fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.relu, fcnn.flatten)
BOTH = fcnn.serial(fcnn.itemwise(IMAGES, fcnn.dense(8)), fcnn.concat(), fcnn.dense(3))
HEADS = fcnn.serial(IMAGES, fcnn.fanout(digit=fcnn.dense(3), tilt=fcnn.dense(1)))
LOSS = combine({"digit": (softmax_cross_entropy, 1.0), "tilt": (mean_squared_error, 0.5)})


def fit(model, loss, data, epochs=12, **options):
    options = {"key": KEY, "batch_size": 16, "shard_size": 8, "log": None} | options
    return fcnn.fit(model, loss, ADAM, data, epochs=epochs, validation=data[:9], **options)


def test_a_model_of_two_inputs(two_inputs):
    run = fit(BOTH, softmax_cross_entropy, two_inputs)
    assert run.history[-1].loss < 0.3 * run.history[0].loss
    scores = fcnn.predict(BOTH, run.params, two_inputs.inputs, shard_size=9)
    np.testing.assert_allclose(
        scores, BOTH.apply(run.params, two_inputs.inputs), rtol=1e-4, atol=1e-5
    )
    found = fcnn.evaluate(BOTH, softmax_cross_entropy, run.params, two_inputs)
    assert found.correct == (scores.argmax(1) == two_inputs.targets).sum()
    fresh = train.calibrate(BOTH, run.params, two_inputs.inputs, key=KEY)
    assert fresh[0][0][1].mean.shape == (4,)
    assert not np.array_equal(fresh[0][0][1].mean, run.params[0][0][1].mean)


def test_a_model_of_two_heads(two_heads):
    hits = {"hits": lambda p, t: np.mean(p["digit"].argmax(1) == t["digit"])}
    run = fit(HEADS, LOSS, two_heads, metrics=hits)
    first, last = run.history[0], run.history[-1]
    assert last.loss < 0.3 * first.loss
    assert last.accuracy is None
    assert last.metrics["hits"] > 0.9
    scores = HEADS.apply(run.params, two_heads.inputs[:9])
    expected = softmax_cross_entropy(scores["digit"], two_heads.targets["digit"][:9])
    gap = scores["tilt"].astype(np.float64) - two_heads.targets["tilt"][:9]
    assert last.validation.loss == pytest.approx(expected + 0.5 * np.mean(gap**2), rel=1e-5)


def test_trees_resume_and_have_the_bits_of_any_executor(two_heads):
    whole = fit(HEADS, LOSS, two_heads, 3)
    half = fit(HEADS, LOSS, two_heads, 1)
    assert fit(HEADS, LOSS, two_heads, 3, state=half.state).state == whole.state
    with fcnn.parallel.threads(3) as pool:
        again = fit(HEADS, LOSS, two_heads, 3, executor=pool)
    assert tree.digest(again.params) == tree.digest(whole.params)


def test_augment_takes_and_gives_trees(two_inputs):
    def augment(key, x):
        images, rows = x
        return images[:, :, ::-1], 2 * rows

    run = fit(BOTH, softmax_cross_entropy, two_inputs, 1, augment=augment)
    flipped = Dataset(augment(None, two_inputs.inputs), two_inputs.targets)
    assert tree.digest(run.params) == tree.digest(
        fit(BOTH, softmax_cross_entropy, flipped, 1).params
    )


def test_nan_in_one_output_is_found(two_heads):
    params, _ = HEADS.init(KEY, (8, 8, 1))
    broken = tree.map(lambda p: p * np.float32(np.nan), params)
    with pytest.raises(FcnnError, match="got NaN for example 0"):
        fcnn.evaluate(HEADS, LOSS, broken, two_heads, metrics={"zero": lambda p, t: 0.0})


def test_targets_that_lack_a_part_are_refused_at_the_door(data):
    with pytest.raises(FcnnError, match="tilt"):
        fit(HEADS, LOSS, Dataset(data.inputs, {"digit": data.targets}))
