import numpy as np
import pytest

import fcnn
from fcnn import key, tree
from fcnn.errors import ArgumentError, ShapeError
from fcnn.losses import mean_squared_error

from .conftest import tensor, tensors


@pytest.mark.parametrize("train", [False, True])
def test_is_torchs_gradient_of_the_input(net, train):
    pytest.importorskip("torch", exc_type=ImportError)
    x = tensor(net.x).requires_grad_()
    expected = net.torch_loss(tensors(net.params), x, tensor(net.labels), train)
    expected.backward()
    ctx = fcnn.training(key(0)) if train else fcnn.EVAL
    value, dx = fcnn.input_gradient(net.model, net.loss)(net.params, net.x, net.labels, ctx)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(dx, x.grad.numpy(), atol=1e-13)


def test_has_the_structure_of_the_input(rng):
    model = fcnn.serial(fcnn.itemwise(a=fcnn.dense(1), b=fcnn.dense(1)), fcnn.add())
    params, _ = model.init(key(0), {"a": (2,), "b": (3,)})
    x = {"a": rng.normal(size=(4, 2)), "b": rng.normal(size=(4, 3))}
    x = tree.astype(x, np.float32)
    _, dx = fcnn.input_gradient(model, mean_squared_error)(params, x, np.ones((4, 1)))
    assert {name: each.shape for name, each in dx.items()} == {"a": (4, 2), "b": (4, 3)}
    assert dx["a"].dtype == np.float32


def test_a_context_without_input_gradients_is_of_no_consequence(net):
    f = fcnn.input_gradient(net.model, net.loss)
    ctx = fcnn.Context(input_grad=False)
    np.testing.assert_array_equal(
        f(net.params, net.x, net.labels, ctx)[1], f(net.params, net.x, net.labels)[1]
    )


def test_refusals(net):
    with pytest.raises(ArgumentError, match="expected a loss"):
        fcnn.input_gradient(net.model, fcnn.relu)
    with pytest.raises(ArgumentError, match="the model comes first"):
        fcnn.input_gradient(net.loss, net.model)
    f = fcnn.input_gradient(net.model, net.loss)
    with pytest.raises(ShapeError, match="expected 4 targets"):
        f(net.params, net.x, net.labels[:1])
    with pytest.raises(ArgumentError, match="expected a Context"):
        f(net.params, net.x, net.labels, True)
