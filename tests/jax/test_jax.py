"""Params in JAX and Optax and back, and a layer as a JAX function."""

import numpy as np
import pytest

import fcnn
from fcnn.data import mnist
from fcnn.losses import softmax_cross_entropy

jax = pytest.importorskip("jax", exc_type=ImportError)
optax = pytest.importorskip("optax", exc_type=ImportError)

import fcnn.jax  # noqa: E402

MODEL = fcnn.serial(
    *(fcnn.conv2d(4, 3, stride=2), fcnn.batch_norm(), fcnn.relu),
    *(fcnn.flatten, fcnn.dense(10)),
)


def start():
    return MODEL.init(fcnn.key(0), (28, 28, 1))[0]


def test_params_go_to_jax_and_back_with_paths():
    params = start()
    there = fcnn.jax.to_jax(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(there))
    assert fcnn.jax.from_jax(there) == params
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(there)]
    assert "[0].weight" in paths
    assert len(paths) == len(fcnn.tree.leaves(params))
    fcnn.jax.register(params)  # again


@pytest.mark.parametrize("ctx", [fcnn.EVAL, fcnn.training(fcnn.key(1))])
def test_a_layer_as_a_jax_function_has_its_values_and_gradients(ctx):
    params, data = start(), mnist("train", 8)
    net = fcnn.jax.model(MODEL, ctx=ctx)

    def loss(params, x):
        logits = net(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, data.targets).mean()

    value, (dparams, dx) = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(
        fcnn.jax.to_jax(params), data.inputs
    )
    ours, grads = fcnn.value_and_grad(MODEL, softmax_cross_entropy)(
        params, data.inputs, data.targets, ctx
    )
    assert value == pytest.approx(ours, rel=1e-5)
    found = fcnn.jax.from_jax(dparams)
    for at in (0, 4):
        np.testing.assert_allclose(found[at].weight, grads[at].weight, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found[1].mean, 0)
    assert dx.shape == data.inputs.shape


def test_optax_trains_the_params():
    params, data = fcnn.jax.to_jax(start()), mnist("train", 64)
    net, adam = fcnn.jax.model(MODEL), optax.adam(0.01)

    def loss(params):
        logits = net(params, data.inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, data.targets).mean()

    state = adam.init(params)
    losses = []
    for _ in range(10):
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = adam.update(grads, state)
        params = optax.apply_updates(params, updates)
        losses.append(float(value))
    assert losses[-1] < 0.5 * losses[0]
    back = fcnn.jax.from_jax(params)
    assert fcnn.evaluate(MODEL, softmax_cross_entropy, back, data).loss < losses[0]
