"""A relu that is taken along gives the bits of a relu that stands alone."""

import numpy as np
import pytest

import fcnn
from fcnn import tree

LAYERS = [
    fcnn.conv2d(5, 3),
    fcnn.conv2d(5, 3, bias=None, padding="same"),
    fcnn.conv2d(5, 3, bias="untied", stride=2),
    fcnn.conv2d(6, 3, groups=3, flip=True),
    fcnn.conv2d(3, 3, groups=3),
    fcnn.conv2d(1, 6),
    fcnn.conv2d(4, 1),
    fcnn.batch_norm(),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_and_unfused_are_equal_to_the_bit(layer, n, train, dtype):
    rng = np.random.default_rng(0)
    together = fcnn.serial(layer, fcnn.relu)
    apart = fcnn.serial(fcnn.serial(layer), fcnn.relu)  # a serial takes no relu along
    params, _ = together.init(fcnn.key(0), (14, 13, 3))
    params = tree.astype(params, dtype)
    x = rng.standard_normal((n, 14, 13, 3)).astype(dtype)
    ctx = fcnn.Context(train=train)
    y, pullback = together.vjp(params, x, ctx)
    wanted, wanted_pullback = apart.vjp(((params[0],), ()), x, ctx)
    dy = rng.standard_normal(y.shape).astype(dtype)
    (grads, _), dx = pullback(dy)
    ((wanted_grads,), _), wanted_dx = wanted_pullback(dy)
    assert tree.equal((y, grads, dx), (wanted, wanted_grads, wanted_dx))
    assert tree.equal(together.apply(params, x, ctx), y)


def test_it_stays_two_layers_for_whoever_looks():
    model = fcnn.serial(fcnn.conv2d(5, 3), fcnn.relu)
    assert repr(model) == "serial(conv2d(5, 3), relu)"
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    assert len(params) == len(model.spec.args) == 2
    _, pullback = model.vjp(params, np.ones((2, 8, 8, 1), np.float32))
    grads, _ = pullback(np.ones((2, 6, 6, 5), np.float32))
    assert tree.structure(grads) == tree.structure(params)
