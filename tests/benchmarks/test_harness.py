"""The contestants compute the same thing: else their times could not be compared."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fcnn
from fcnn import losses, tree

sys.path.insert(0, str(Path(__file__).parent))  # the benchmark is a script: its modules are its own

import _articles
import _fcnn
from _networks import (
    ARTICLES,
    WORKLOADS,
    Workload,
    channels_first,
    examples,
    multiply_adds,
    parameters,
)


def without_dropout(name: str) -> Workload:
    """Dropout draws other numbers in each framework."""
    work = WORKLOADS[name]
    return work._replace(layers=tuple(layer for layer in work.layers if layer[0] != "dropout"))


def of_fcnn(work: Workload, batch: int):
    """The loss and its gradients, in float64."""
    model = _fcnn.model(work.layers)
    params = _fcnn.initial(work, model, np.float64)
    f = fcnn.value_and_grad(model, getattr(losses, work.loss))
    return f(params, *examples(work, batch), fcnn.training(fcnn.key(0)))


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_description_builds_and_counts_its_work(name):
    work = WORKLOADS[name]
    model = _fcnn.model(work.layers)
    _, out_shape = model.init(fcnn.key(0), work.shape)
    assert out_shape == (work.classes,)
    _fcnn.initial(work, model)
    forward, step = multiply_adds(work)
    assert 2 * forward <= step < 3 * forward


def test_multiply_adds_by_hand():
    forward, step = multiply_adds(WORKLOADS["articles 002/004"])
    first, second = 23 * 23 * 6 * 6, 121 * 10
    assert (forward, step) == (first + second, 2 * first + 3 * second)


@pytest.mark.parametrize("name", ARTICLES)
def test_the_articles_way_has_the_gradients_of_fcnn(name):
    work = without_dropout(name)
    net = _articles.network(name, work.layers, train=True)
    params = _articles.per_layer(work.layers, channels_first(work, parameters(work)))
    (image,), (target,) = examples(work, 1)
    grads = _articles.gradients(net, params, work.loss, image.transpose(2, 0, 1), target)
    _, expected = of_fcnn(work, 1)
    found = [array for layer in grads for array in layer]
    for ours, theirs in zip(channels_first(work, tree.leaves(expected)), found, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", WORKLOADS)
def test_torch_computes_the_same_loss(name):
    torch = pytest.importorskip("torch")
    import _torch

    work = without_dropout(name)
    net = _torch.model(work, torch.float64).train()
    images, target = _torch.batch_of(work, 4, torch.float64)
    value = _torch.LOSSES[work.loss](net(images), target).item()
    assert value == pytest.approx(of_fcnn(work, 4)[0], rel=1e-9)


@pytest.mark.parametrize("name", WORKLOADS)
def test_jax_computes_the_same_loss(name):
    jax = pytest.importorskip("jax")
    import _jax

    work = without_dropout(name)
    init, apply = _jax.model(work.layers, "training")
    images, target = examples(work, 4)
    scores = jax.jit(apply)(_jax.initial(work, init), images.astype(np.float32))
    value = float(_jax.loss(work.loss, scores, target))
    assert value == pytest.approx(of_fcnn(work, 4)[0], rel=1e-4)


@pytest.mark.parametrize("name", ["LeNet-5", "ResNet-20"])
def test_inference_is_the_same_too(name):
    """With batch norm's stored statistics, and without dropout."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    import _jax
    import _torch

    work = WORKLOADS[name]
    images = examples(work, 4)[0].astype(np.float32)
    model = _fcnn.model(work.layers)
    ours = model.apply(_fcnn.initial(work, model), images)
    with torch.inference_mode():
        of_torch = _torch.model(work).eval()(_torch.batch_of(work, 4)[0]).numpy()
    init, apply = _jax.model(work.layers, "inference")
    of_jax = jax.jit(apply)(_jax.initial(work, init), images)
    np.testing.assert_allclose(of_torch, ours, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(of_jax, ours, rtol=1e-3, atol=1e-3)
