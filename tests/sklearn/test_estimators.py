"""Estimators against scikit-learn's own checks, and inside its tools."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn.data import mnist

sklearn = pytest.importorskip("sklearn", exc_type=ImportError)
from sklearn import base, metrics, model_selection, pipeline, preprocessing  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from fcnn.sklearn import Classifier, Regressor  # noqa: E402

CHECKS = [
    (estimator, check)
    for made in (Classifier(epochs=20), Regressor(epochs=20))
    for estimator, check in estimator_checks_generator(made)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[f"{type(e).__name__}-{c.func.__name__}" for e, c in CHECKS]
)
def test_scikit_learns_own_check(estimator, check):
    check(estimator)


def small():
    return fcnn.serial(fcnn.conv2d(4, 5, stride=2), fcnn.relu, fcnn.flatten, fcnn.dense(10))


def test_images_in_rows_in_a_pipeline_searched_on_two_processes():
    digits, test = mnist("train", 300), mnist("test", 200)
    flat = digits.inputs.reshape(300, -1)
    steps = pipeline.make_pipeline(
        preprocessing.MinMaxScaler(),
        Classifier(small(), input_shape=(28, 28, 1), epochs=4),
    )
    grid = {"classifier__epochs": [1, 6], "classifier__batch_size": [16]}
    search = model_selection.GridSearchCV(steps, grid, cv=2, n_jobs=2)
    search.fit(flat, np.array(digits.classes)[digits.targets])
    assert search.best_params_["classifier__epochs"] == 6
    said = search.predict(test.inputs.reshape(200, -1))
    assert metrics.accuracy_score(np.array(test.classes)[test.targets], said) > 0.75
    best = search.best_estimator_[-1]
    assert best.model_ == small()
    assert pickle.loads(pickle.dumps(best)).params_ == best.params_
    assert [each.number for each in best.history_] == [1, 2, 3, 4, 5, 6]


def test_images_as_they_are_and_a_clone_gives_the_same_bits():
    digits = mnist("train", 100)
    made = Classifier(small(), epochs=2, random_state=3)
    first = made.fit(digits.inputs, digits.targets)
    again = base.clone(made).fit(digits.inputs, digits.targets)
    assert first.params_ == again.params_
    other = base.clone(made).set_params(random_state=4).fit(digits.inputs, digits.targets)
    assert other.params_ != again.params_
    np.testing.assert_allclose(first.predict_proba(digits.inputs).sum(axis=1), 1, rtol=1e-5)


def test_several_targets_in_their_units():
    x = np.random.Generator(np.random.Philox(0)).uniform(-1, 1, (200, 3))
    y = np.stack([1000 + 50 * x[:, 0], 0.001 * x[:, 1]], axis=1)
    found = Regressor(epochs=40).fit(x, y)
    assert found.predict(x).shape == (200, 2)
    assert metrics.r2_score(y, found.predict(x), multioutput="raw_values").min() > 0.95
