"""Runs whose steps are replayed, the optimizer's part too, against runs that are not."""

import numpy as np
import pytest

import fcnn
from fcnn import optim, train, tree
from fcnn._jit import _function
from fcnn.data import Dataset
from fcnn.data.augment import flip
from fcnn.errors import NonFiniteError
from fcnn.losses import cross_entropy, softmax_cross_entropy
from fcnn.train import _update

KEY, N = fcnn.key(2), 14
MODEL = fcnn.serial(
    *(fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dropout(0.2)),
    fcnn.dense(3),
)
RNG = np.random.default_rng(0)
DATA = Dataset(RNG.random((N, 6, 6, 2), np.float32), RNG.integers(3, size=N))


def clipped(max_norm):
    transforms = optim.clip_by_global_norm(max_norm), optim.trace(0.9)
    return optim.descend(optim.chain(*transforms, optim.scale_by_learning_rate(0.05)))


@optim.optimizer
def own():
    return optim.scale_by_learning_rate(0.05)


@pytest.fixture
def recorded(monkeypatch):
    """The lines that are recorded, a set for each recording."""
    found = []

    def noted(*args, **kwargs):
        program = record(*args, **kwargs)
        found.append({call.place.partition(":")[0] for call in program.calls})
        return program

    record = _function.record
    monkeypatch.setattr(_function, "record", noted)
    return found


def fitted(optimizer, data=DATA, loss=softmax_cross_entropy, **options):
    run = fcnn.fit(
        MODEL, loss, optimizer, data,
        key=KEY, epochs=5, batch_size=4, log=None, **options,
    )  # fmt: skip
    losses = [(each.loss, each.accuracy) for each in run.history]
    return tree.digest((run.params, run.state.opt_state)), losses


OF_LIBRARY = [
    optim.sgd(optim.cosine(0.1, 15), momentum=0.9),
    optim.adamw(0.01),
    optim.lamb(0.01),
    clipped(1.0),
]


@pytest.mark.parametrize("optimizer", OF_LIBRARY, ids=repr)
@pytest.mark.parametrize("options", [{}, {"shard_size": None, "augment": flip()}])
def test_the_optimizer_is_replayed_with_the_gradient(recorded, optimizer, options):
    assert fitted(optimizer, jit=True, **options) == fitted(optimizer, jit=False, **options)
    assert len(recorded) == 2  # of four examples and of the two that are left
    for files in recorded:
        assert {"fcnn/optim/transforms.py", "fcnn/_ops/conv.py"} <= files


ALONE = [
    optim.accumulate(optim.sgd(0.1), 2),
    optim.sgd(lambda step: 0.1 / (step + 1)),
    own(),
]


@pytest.mark.parametrize("optimizer", ALONE, ids=repr)
def test_the_gradient_alone_is_replayed_where_the_optimizer_may_not_be(recorded, optimizer):
    assert fitted(optimizer, jit=True) == fitted(optimizer, jit=False)
    assert len(recorded) == 2
    assert not any(file.startswith("fcnn/optim") for files in recorded for file in files)


def test_the_gradient_alone_is_replayed_where_a_batch_is_several_shards(recorded):
    options = {"shard_size": 2}
    assert fitted(OF_LIBRARY[0], jit=True, **options) == fitted(OF_LIBRARY[0], jit=False, **options)
    assert len(recorded) == 2  # of two shards, and of the one of the last batch
    assert not any(file.startswith("fcnn/optim") for files in recorded for file in files)


def test_a_loss_that_weighs_examples_is_of_its_batch():
    options = {"loss": cross_entropy(class_weights=[1.0, 2.0, 0.5])}
    assert fitted(OF_LIBRARY[0], jit=True, **options) == fitted(OF_LIBRARY[0], jit=False, **options)


def test_gradients_that_are_clipped_and_others_are_one_recording(monkeypatch):
    """The norms of 15 steps lie on both sides of the bound; where they cross it nothing is run."""
    calls, norms = [], []
    updated, norm = _update._updated, optim.transforms._norm

    def counted(*args, **kwargs):
        calls.append(args)
        return updated(*args, **kwargs)

    def noted(*weights):
        norms.append(norm(*weights))
        return norms[-1]

    monkeypatch.setattr(_update, "_updated", counted)
    monkeypatch.setattr(optim.transforms, "_norm", noted)
    bound = 1.3
    expected = fitted(clipped(bound), DATA[:12], jit=False)
    assert len(norms) == len(calls) == 15
    assert 3 <= sum(each > bound for each in norms[4:]) <= 8
    calls.clear()
    assert fitted(clipped(bound), DATA[:12], jit=True) == expected
    assert len(calls) == 4  # two calls, the recording, and the comparison of the next


def test_a_loss_that_is_not_finite_in_a_replay_is_refused_with_its_step():
    inputs = np.array(DATA.inputs)
    inputs[8] += 9
    raised, sgd, data = [], optim.sgd(0.1), Dataset(inputs, DATA.targets)

    def augment(key, x):
        return np.where(x > 9, np.nan, x)

    for jit in (False, True):
        state = train.init(MODEL, sgd, data, KEY)
        options = {"batch_size": 2, "augment": augment, "jit": jit}
        run = train.steps(MODEL, softmax_cross_entropy, sgd, data, state, **options)
        with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError) as caught:
            list(run)
        last = caught.value.state
        assert last.step > 3  # after the recording
        raised.append((str(caught.value), last.step, tree.digest(last.params)))
    assert raised[0] == raised[1]
