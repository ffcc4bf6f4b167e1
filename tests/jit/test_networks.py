"""The benchmarks' networks: five SGD steps, and evaluation, with and without `fcnn.jit`."""

import functools
from pathlib import Path

import numpy as np
import pytest

import fcnn
from fcnn import losses, optim
from fcnn._jit._results import differences

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
NAMES = (
    "article 000", "article 001", "articles 002/004", "article 003", "LeNet-5",
    "PyTorch example", "ResNet-20",
)  # fmt: skip


@pytest.fixture(scope="module")
def networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import _networks

        return _networks.WORKLOADS


def examples(work, i, n):
    generator = np.random.default_rng(i)
    x = generator.standard_normal((n, *work.shape)).astype(np.float32)
    labels = generator.integers(0, work.classes, n)
    if work.loss == "softmax_cross_entropy":
        return x, labels
    return x, np.eye(work.classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_of_five_steps_and_of_evaluation(networks, name):
    work = networks[name]
    params, _ = work.model.init(fcnn.key(0), work.shape)
    optimizer = optim.sgd(0.01)
    step = fcnn.value_and_grad(work.model, getattr(losses, work.loss))
    jitted = fcnn.jit(step)
    one = other = params
    state = optimizer.init(params)
    for i in range(5):
        x, target = examples(work, i, 2)
        ctx = fcnn.training(fcnn.fold_in(fcnn.key(3), i))
        expected, got = step(one, x, target, ctx), jitted(other, x, target, ctx)
        assert not differences(expected, got)
        one, _ = optimizer.step(one, expected[1], state)
        other, _ = optimizer.step(other, got[1], state)
    assert not differences(one, other)
    with_params = fcnn.jit(work.model.apply)
    of_input = fcnn.jit(functools.partial(work.model.apply, one))
    for i in range(3):
        x, _ = examples(work, i, 2)
        expected = work.model.apply(one, x)
        assert not differences(expected, with_params(one, x))
        assert not differences(expected, of_input(x))
    (first,), (second,) = with_params._slots.values(), of_input._slots.values()
    assert len(second.plan.program.calls) <= len(first.plan.program.calls)


def test_winograd_and_images_side_by_side(networks):
    """A batch for which products of tiles pay, in training and in evaluation."""
    model = fcnn.serial(fcnn.conv2d(16, 3, padding="same"), fcnn.relu, fcnn.conv2d(16, 3))
    params, _ = model.init(fcnn.key(0), (12, 12, 16))
    step = fcnn.value_and_grad(model, losses.mean_squared_error)
    jitted = fcnn.jit(step)
    for i in range(3):
        generator = np.random.default_rng(i)
        x = generator.standard_normal((16, 12, 12, 16)).astype(np.float32)
        target = generator.standard_normal((16, 10, 10, 16)).astype(np.float32)
        assert not differences(step(params, x, target), jitted(params, x, target))
    (slot,) = jitted._slots.values()
    assert slot.plan is not None
    assert slot.plan.program.arena < slot.plan.program.temporaries
