"""What the tests of training share: a small data set and a network with everything in it."""

import numpy as np
import pytest

import fcnn
from fcnn.data import Dataset


@pytest.fixture(scope="session")
def model():
    return fcnn.serial(
        fcnn.conv2d(3, 3),
        fcnn.batch_norm(),
        fcnn.relu,
        fcnn.max_pool2d(2),
        fcnn.flatten,
        fcnn.dropout(0.3),
        fcnn.dense(3),
    )


def quarters(n, seed):
    """Noisy 8×8 images of three classes: a bright quarter each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.random((n, 8, 8, 1), np.float32) * 0.5
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 0.5
    return Dataset(images, labels)


@pytest.fixture(scope="session")
def data():
    return quarters(70, 0)


@pytest.fixture(scope="session")
def held_out():
    return quarters(23, 1)
