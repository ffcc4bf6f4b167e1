import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.errors import ArgumentError
from fcnn.tree import Observation

from .conftest import doubles, tensor, tensors, weights


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's own
def test_is_torchs_jacobian(net):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    leaves, x = tensors(net.params), tensor(net.x)

    def one(leaves, x):
        return net.torch(leaves, x[None])[0]

    in_params, in_input = torch.func.vmap(torch.func.jacrev(one, (0, 1)), (None, 0))(leaves, x)
    ours = fcnn.jacobian(net.model)(net.params, net.x)
    np.testing.assert_allclose(ours, in_input.numpy(), atol=1e-12)
    ours = fcnn.jacobian(net.model, of="params")(net.params, net.x)
    assert isinstance(ours[1].mean, Observation)
    for mine, theirs in zip(weights(ours), in_params, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-12)


def test_of_an_output_of_several_axes(rng):
    model = fcnn.conv2d(2, 2)
    params, x = doubles(model, (3, 3, 1), rng), rng.normal(size=(2, 3, 3, 1))
    of_input = fcnn.jacobian(model)(params, x)
    assert of_input.shape == (2, 2, 2, 2, 3, 3, 1)
    np.testing.assert_array_equal(of_input[1, 1, 0, 1, 1:, :2, 0], params.weight[:, :, 0, 1])
    of_params = fcnn.jacobian(model, of="params")(params, x)
    assert of_params.weight.shape == (2, 2, 2, 2, 2, 2, 1, 2)
    np.testing.assert_array_equal(of_params.weight[1, 1, 0, 1, :, :, 0, 1], x[1, 1:, :2, 0])


def test_of_two_inputs(rng):
    model = fcnn.serial(fcnn.itemwise(fcnn.dense(2), fcnn.dense(2)), fcnn.multiply())
    params = doubles(model, ((3,), (4,)), rng)
    x = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    found = fcnn.jacobian(model)(params, x)
    assert [each.shape for each in found] == [(5, 2, 3), (5, 2, 4)]
    other = x[1] @ params[0][1].weight + params[0][1].bias
    np.testing.assert_allclose(found[0], params[0][0].weight.T * other[:, :, None], atol=1e-13)


def test_refusals(net):
    with pytest.raises(ArgumentError, match='expected of="input" or of="params"'):
        fcnn.jacobian(net.model, of="x")
    with pytest.raises(ArgumentError, match="one output array, got tuple"):
        fcnn.jacobian(fcnn.fanout(fcnn.relu))(((),), net.x)
    with pytest.raises(ArgumentError, match="expected evaluation"):
        fcnn.jacobian(net.model)(net.params, net.x, fcnn.training())


def test_keeps_the_dtype(net):
    params, x = tree.astype((net.params, net.x), np.float32)
    assert fcnn.jacobian(net.model)(params, x).dtype == np.float32
    assert fcnn.jacobian(net.model, of="params")(params, x)[0].weight.dtype == np.float32
