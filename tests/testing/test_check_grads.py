import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.testing import check_grads

MODEL = fcnn.serial(fcnn.dense(3), fcnn.batch_norm(), fcnn.tanh, fcnn.dense(2))
LOSS = fcnn.losses.softmax_cross_entropy


@pytest.fixture
def batch(rng):
    params, _ = MODEL.init(fcnn.key(0), (4,))
    return params, rng.normal(size=(6, 4)).astype(np.float32), rng.integers(0, 2, 6)


@pytest.mark.parametrize("ctx", [fcnn.EVAL, fcnn.training(fcnn.key(1))])
def test_takes_value_and_grad(batch, ctx):
    check_grads(fcnn.value_and_grad(MODEL, LOSS), *batch, ctx)


def test_takes_an_input_gradient(batch):
    params, x, labels = batch
    f = fcnn.input_gradient(MODEL, LOSS)
    wide = tree.astype(params, np.float64)
    check_grads(lambda x, labels: f(wide, x, labels), x, labels)


def test_names_the_leaf_that_is_wrong(batch):
    f = fcnn.value_and_grad(MODEL, LOSS)

    def wrong(*args):
        value, grads = f(*args)
        last = fcnn.DenseParams(grads[3].weight * 1.001, grads[3].bias)
        return value, (*grads[:3], last)

    with pytest.raises(AssertionError, match=r"wrong for params\[3\].weight"):
        check_grads(wrong, *batch)
