"""What squeeze-and-excitation is for, beyond the laws."""

import numpy as np
import pytest

import fcnn
from fcnn.errors import ArgumentError, ShapeError


@pytest.mark.parametrize("shape", [(5, 4, 6), (7, 3), (3, 2, 4, 5)])
def test_is_the_composition_of_its_parts(rng, shape):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    layer, c = fcnn.squeeze_excite(2), shape[-1]
    params, out_shape = layer.init(fcnn.key(0), shape)
    assert out_shape == shape
    assert params[0].weight.shape == (c, c // 2)
    params = fcnn.tree.map(lambda p: rng.normal(size=p.shape), params)
    x, dy = rng.normal(size=(2, 3, *shape))
    y, pullback = layer.vjp(params, x)
    dparams, dx = pullback(dy)

    tx = torch.tensor(x, requires_grad=True)
    weights = [torch.tensor(leaf.copy(), requires_grad=True) for leaf in fcnn.tree.leaves(params)]
    w1, b1, w2, b2 = weights
    m = tx.flatten(1, -2).mean(1)
    gate = torch.sigmoid(torch.relu(m @ w1 + b1) @ w2 + b2)
    ty = tx * gate.reshape(3, *[1] * (len(shape) - 1), c)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), atol=1e-13)
    np.testing.assert_allclose(dx, tx.grad.numpy(), atol=1e-13)
    for ours, theirs in zip(fcnn.tree.leaves(dparams), weights, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), atol=1e-12)


def test_facts_of_the_gate():
    (visit,) = fcnn.walk(fcnn.squeeze_excite(4), (6, 5, 8))
    (row,) = fcnn.summary(fcnn.serial(fcnn.squeeze_excite(4)), (6, 5, 8)).rows
    assert visit.receptive_field is None  # it sees the whole image
    assert row.multiply_adds == 8 * 2 + 2 * 8 + 6 * 5 * 8
    assert row.params == 8 * 2 + 2 + 2 * 8 + 8
    few = fcnn.squeeze_excite().init(fcnn.key(0), (2, 2, 3))[0]
    assert few[0].weight.shape == (3, 1)


def test_the_mean_of_a_large_image_is_accurate_in_float32(rng):
    x = (10 + rng.random((1, 300, 300, 2))).astype(np.float32)
    layer = fcnn.squeeze_excite()
    params, _ = layer.init(fcnn.key(0), x.shape[1:])
    exact = layer.apply(fcnn.tree.astype(params, np.float64), x.astype(np.float64))
    np.testing.assert_allclose(layer.apply(params, x), exact, rtol=3e-6)


def test_refuses_what_it_cannot_squeeze():
    with pytest.raises(ArgumentError, match="reduction"):
        fcnn.squeeze_excite(0)
    with pytest.raises(ShapeError, match="two axes or more"):
        fcnn.squeeze_excite().init(fcnn.key(0), (8,))
