"""What checkpointing is for, beyond the laws."""

import tracemalloc

import numpy as np
import pytest

import fcnn
from fcnn import batch_norm, checkpointed, conv2d, dropout, relu, repeat, residual, serial, tree
from fcnn.errors import ArgumentError

BLOCK = serial(
    residual(
        conv2d(6, 3, padding="same"), batch_norm(), relu, dropout(0.3),
        conv2d(6, 3, padding="same"), batch_norm(),
    ),
    relu,
)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits(rng, dtype):
    x = rng.normal(size=(5, 8, 7, 6)).astype(dtype)
    plain, kept = repeat(BLOCK, 3), repeat(checkpointed(BLOCK), 3)
    params, _ = plain.init(fcnn.key(0), x.shape[1:])
    assert tree.digest(params) == tree.digest(kept.init(fcnn.key(0), x.shape[1:])[0])
    params = tree.astype(params, dtype)
    for ctx in (fcnn.EVAL, fcnn.training(fcnn.key(1))):
        (y, pullback), (its_y, its_pullback) = (m.vjp(params, x, ctx) for m in (plain, kept))
        assert tree.digest(y) == tree.digest(its_y)
        assert tree.digest(pullback(y)) == tree.digest(its_pullback(y))


def kept_by(model, params, x):
    """The bytes that a vjp keeps until its pullback is called."""
    ctx = fcnn.Context(train=True, key=fcnn.key(0), input_grad=False)
    model.vjp(params, x, ctx)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = model.vjp(params, x, ctx)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del result
    return after - before


def test_a_block_keeps_its_input_alone(rng):
    x = rng.normal(size=(16, 16, 16, 6)).astype(np.float32)
    params, _ = repeat(BLOCK, 4).init(fcnn.key(0), x.shape[1:])
    plain, kept = (kept_by(repeat(each, 4), params, x) for each in (BLOCK, checkpointed(BLOCK)))
    assert kept < 4.6 * x.nbytes  # three inputs beside x itself, y, and small things
    assert plain > 3 * kept


def test_walk_shows_what_is_inside():
    model = repeat(checkpointed(BLOCK), 2)
    paths = [v.path for v in fcnn.walk(model, (8, 8, 6))]
    assert "repeat[1].serial[0].residual[1].serial[3]" in paths
    assert "conv2d(6, 3, padding='same')" in str(fcnn.fusion.plan(model, train=True))
    with pytest.raises(ArgumentError, match="expected a layer to checkpoint"):
        checkpointed(relu.apply)
