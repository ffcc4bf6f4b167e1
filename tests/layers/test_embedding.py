"""What the embedding is for, beyond the laws."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn.errors import ArgumentError, DTypeError, LabelError


def run(layer, params, x, dy):
    y, pullback = layer.vjp(params, x)
    return y, *pullback(dy)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_is_pytorchs(vocabulary, features, seed, padded):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    rng = np.random.default_rng(seed)
    x = rng.integers(0, vocabulary, size=(3, 7))
    dy = rng.standard_normal((3, 7, features))
    weight = rng.standard_normal((vocabulary, features))
    index = int(rng.integers(vocabulary)) if padded else None
    if padded:
        weight[index] = 0
    layer = fcnn.embedding(vocabulary, features, padding_index=index)
    y, dparams, dx = run(layer, fcnn.EmbeddingParams(weight), x, dy)
    its = torch.tensor(weight, requires_grad=True)
    expected = torch.nn.functional.embedding(torch.tensor(x), its, padding_idx=index)
    expected.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, expected.detach().numpy())
    np.testing.assert_allclose(dparams.weight, its.grad.numpy(), atol=1e-13)
    assert dx is None


def test_sums_over_many_places_are_exact_to_float32(rng):
    """Runs of several lengths: one place, some, more than one run."""
    x = np.repeat(np.arange(5, dtype=np.uint8), [1, 700, 0, 800_000, 3])
    rng.shuffle(x)
    dy = 1 + rng.random((len(x), 2), np.float32)
    layer = fcnn.embedding(5, 2)
    params, _ = layer.init(fcnn.key(0), ())
    _, dparams, _ = run(layer, params, x, dy)
    exact = np.zeros((5, 2))
    np.add.at(exact, x, dy.astype(float))
    assert dparams.weight.dtype == np.float32
    np.testing.assert_allclose(dparams.weight, exact, rtol=5e-7)
    np.testing.assert_allclose(dparams.weight[3], exact[3], rtol=6e-8)  # of more than a run


def test_the_vector_of_padding_is_zero_whatever_the_weight(rng):
    layer = fcnn.embedding(4, 2, padding_index=1)
    weight = rng.normal(size=(4, 2))
    x = np.array([[1, 3, 1]])
    y, dparams, _ = run(layer, fcnn.EmbeddingParams(weight), x, np.ones((1, 3, 2)))
    np.testing.assert_array_equal(y[0], [[0, 0], weight[3], [0, 0]])
    np.testing.assert_array_equal(dparams.weight, [[0, 0], [0, 0], [0, 0], [1, 1]])


@pytest.mark.parametrize("wrong", [-1, 4])
def test_refuses_numbers_outside_of_the_vocabulary(wrong):
    layer = fcnn.embedding(4, 2)
    params, _ = layer.init(fcnn.key(0), (2,))
    said = f"embedding(4, 2): expected numbers from 0 to 3, got {wrong}"
    for f in (layer.apply, layer.vjp):
        with pytest.raises(LabelError, match=re.escape(said)):
            f(params, np.array([[0, wrong]]))
    with pytest.raises(DTypeError, match="whole numbers"):
        layer.apply(params, np.zeros((1, 2), np.float32))


def test_refuses_arguments_out_of_range():
    for wrong in ({"vocabulary": 0}, {"features": 1.5}, {"padding_index": 3}):
        with pytest.raises(ArgumentError, match=f"{next(iter(wrong))}"):
            fcnn.embedding(**{"vocabulary": 3, "features": 2, **wrong})


def test_learns_to_tell_words_apart():
    model = fcnn.serial(fcnn.embedding(6, 3), fcnn.flatten, fcnn.dense(2))
    x = np.array([[0, 1], [1, 0], [2, 3], [4, 5]])
    target = np.array([0, 0, 1, 1])
    params, _ = model.init(fcnn.key(0), (2,))
    loss = fcnn.value_and_grad(model, fcnn.losses.softmax_cross_entropy)
    optimizer = fcnn.optim.adam(0.1)
    state = optimizer.init(params)
    for _ in range(30):
        value, grads = loss(params, x, target)
        params, state = optimizer.step(params, grads, state)
    assert value < 0.05
