"""What the tests of runs share: a small network and a data set that no file has."""

import numpy as np
import pytest

import fcnn
from fcnn.data import Dataset
from fcnn.losses import softmax_cross_entropy
from fcnn.optim import adam, cosine

CLASSES = ("left <b>", 'right & "down"', "above")
MODEL = fcnn.serial(
    fcnn.named("first", fcnn.conv2d(4, 3)),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.max_pool2d(2),
    fcnn.flatten,
    fcnn.dropout(0.2),
    fcnn.dense(3),
)
ADAM = adam(cosine(0.01, 12))


def quarters(n, seed):
    """Noisy 8×8 images of three classes: a bright quarter each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.random((n, 8, 8, 1), np.float32) * 0.5
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 0.3
    return Dataset(images, labels, CLASSES)


@pytest.fixture(scope="session", name="quarters")
def make_quarters():
    return quarters


@pytest.fixture(scope="session")
def model():
    return MODEL


@pytest.fixture(scope="session")
def data():
    return quarters(70, 0)


@pytest.fixture(scope="session")
def held_out():
    return quarters(40, 1)


@pytest.fixture
def fit(data, held_out):
    """`fcnn.fit` of that network; what is given takes the place of what stands here."""

    def call(run=None, **given):
        parts = {"model": MODEL, "loss": softmax_cross_entropy, "optimizer": ADAM, "data": data}
        options = {"key": fcnn.key(3), "epochs": 3, "validation": held_out, "log": None}
        options = parts | options | given
        args = [options.pop(name) for name in parts]
        return fcnn.fit(*args, run=run, **options)

    return call
