"""The functions that replay by themselves: gradients, the loop, prediction and evaluation."""

import pickle
import threading
import warnings

import numpy as np
import pytest

import fcnn
from fcnn import losses, optim, parallel, tree
from fcnn._evaluate import Applied
from fcnn._jit import _function, is_own
from fcnn._jit._automatic import CALLS, OWN
from fcnn.autodiff import Shard
from fcnn.data import Dataset
from fcnn.errors import LabelError
from fcnn.train._epochs import MANY

KEY = fcnn.key(0)
PLAIN = fcnn.serial(
    *(fcnn.conv2d(4, 3), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten),
    *(fcnn.dense(8), fcnn.relu, fcnn.dropout(0.3), fcnn.dense(3)),
)
NORMED = fcnn.serial(
    *(fcnn.conv2d(4, 3, padding=1, bias=None), fcnn.batch_norm(), fcnn.relu),
    *(fcnn.residual(fcnn.conv2d(4, 3, padding=1)), fcnn.global_avg_pool(), fcnn.dense(3)),
)
SHIFTING = fcnn.serial(
    *(fcnn.depthwise_conv2d(3), fcnn.gelu(), fcnn.layer_norm(), fcnn.squeeze_excite(2)),
    *(fcnn.global_max_pool(), fcnn.dense(3)),
)
MODELS = {"plain": PLAIN, "normed": NORMED, "shifting": SHIFTING}


def examples(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 8, 8, 2), np.float32), rng.integers(3, size=n)


def trained(model, **options):
    """Return the digest of a run of 3 epochs, with a last batch of another size."""
    data = Dataset(*examples(56))
    run = fcnn.fit(
        model, losses.softmax_cross_entropy, optim.sgd(0.05, momentum=0.9), data,
        key=KEY, epochs=3, batch_size=16, validation=data, log=None, **options,
    )  # fmt: skip
    weights = tree.digest((run.params, run.state.opt_state))
    return weights, [(each.loss, each.accuracy) for each in run.history]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shard_size", [None, 8])
def test_a_run_has_the_same_bits_with_and_without(name, shard_size):
    expected = trained(MODELS[name], shard_size=shard_size, jit=False)
    assert trained(MODELS[name], shard_size=shard_size, jit=True) == expected


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_also_in_workers(pool):
    expected = trained(NORMED, shard_size=4, jit=False)
    with getattr(parallel, pool)(2) as executor:
        assert trained(NORMED, shard_size=4, executor=executor, jit=True) == expected


@pytest.mark.parametrize(("jit", "before"), [(True, 1), (None, CALLS + OWN)])
def test_a_call_is_recorded_and_later_ones_are_replayed(jit, before):
    model = fcnn.serial(fcnn.flatten, fcnn.dense(3))
    shard = Shard(model, losses.softmax_cross_entropy, False, jit)
    params, _ = model.init(KEY, (8, 8, 2))
    for call in range(before + 2):
        x, target = examples(4, call)
        shard.compute(params, x, target, fcnn.training(fcnn.fold_in(KEY, call)), 1.0)
        plans = [slot.plan for slot in shard.compute._slots.values()]
        assert (len(plans) == 1 and plans[0] is not None) == (call >= before)
    shard.compute(params, *examples(5), fcnn.training(KEY), 1.0)
    assert len(shard.compute._slots) == 2


@pytest.mark.parametrize(("steps", "recordings"), [(MANY - 1, 0), (MANY, 1)])
def test_a_run_of_many_steps_is_replayed_and_a_short_one_is_not(monkeypatch, steps, recordings):
    recorded = []

    def counted(*args, **kwargs):
        recorded.append(args[0])
        return record(*args, **kwargs)

    record = _function.record
    monkeypatch.setattr(_function, "record", counted)
    model, data = fcnn.serial(fcnn.flatten, fcnn.dense(3)), Dataset(*examples(steps))
    sgd, loss = optim.sgd(0.1), losses.softmax_cross_entropy
    run = fcnn.fit(model, loss, sgd, data, key=KEY, epochs=1, batch_size=1, log=None)
    assert len(recorded) == recordings
    again = {"state": run.state, "epochs": 2, "batch_size": steps, "log": None}
    fcnn.fit(model, loss, sgd, data, **again)
    assert len(recorded) == recordings
    own = fcnn.serial(fcnn.flatten, fcnn.elementwise(lambda x: 2 * x, lambda x: 2 + 0 * x))
    own = fcnn.serial(own, fcnn.dense(3))
    fcnn.fit(own, loss, sgd, data, key=KEY, epochs=1, batch_size=1, log=None)
    assert len(recorded) == recordings


def test_the_result_of_a_call_is_not_changed_by_later_ones():
    f = fcnn.value_and_grad(PLAIN, losses.softmax_cross_entropy, jit=True)
    params, _ = PLAIN.init(KEY, (8, 8, 2))
    ctx = fcnn.training(KEY)
    found = [f(params, *examples(4, seed), ctx) for seed in range(6)]
    plain = fcnn.value_and_grad(PLAIN, losses.softmax_cross_entropy, jit=False)
    expected = [plain(params, *examples(4, seed), ctx) for seed in range(6)]
    assert list(map(tree.digest, found)) == list(map(tree.digest, expected))


def test_an_error_is_the_same_and_has_no_other_as_its_context():
    params, _ = PLAIN.init(KEY, (8, 8, 2))
    x, target = examples(4)
    wrong = target.copy()
    wrong[2] = 3
    raised = []
    for jit in (False, True):
        f = fcnn.value_and_grad(PLAIN, losses.softmax_cross_entropy, jit=jit)
        for seed in range(4):
            f(params, *examples(4, seed), fcnn.training(KEY))
        with pytest.raises(LabelError) as caught:
            f(params, x, wrong, fcnn.training(KEY))
        assert caught.value.__context__ is None
        raised.append(str(caught.value))
    assert raised[0] == raised[1]


@fcnn.layer
def bounded(limit):
    """Refuse large values: what it does depends on them."""

    def init(key, shape):
        return (), shape

    def apply(params, x, ctx=fcnn.EVAL):
        if x.max() > limit:
            raise ValueError("too large")
        return 2 * x

    def vjp(params, x, ctx=fcnn.EVAL):
        return apply(params, x), lambda dy: ((), 2 * dy)

    return init, apply, vjp


@fcnn.layer
def unchanged():
    """Return what it is given."""
    return (
        lambda key, shape: ((), shape),
        lambda params, x, ctx=fcnn.EVAL: 1 * x,
        lambda params, x, ctx=fcnn.EVAL: (1 * x, lambda dy: ((), 1 * dy)),
    )


def test_a_layer_that_cannot_be_recorded_runs_with_one_warning_that_names_the_line():
    model = fcnn.serial(fcnn.flatten, bounded(9.0), fcnn.dense(3))
    params, _ = model.init(KEY, (8, 8, 2))

    def gradients(jit):
        f = fcnn.value_and_grad(model, losses.softmax_cross_entropy, jit=jit)
        return [tree.digest(f(params, *examples(n, seed))) for n in (4, 5) for seed in range(4)]

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        expected = gradients(False)
        assert gradients(None) == expected
        assert not seen
        assert gradients(True) == expected
    (only,) = seen
    text = str(only.message)
    assert "the gradient of serial(flatten, bounded(9.0)" in text
    assert "test_automatic.py:" in text
    assert "jit=False" in text


def test_a_layer_of_ones_own_in_plain_numpy_is_recorded():
    @fcnn.layer
    def scale(factor):
        def init(key, shape):
            return {"by": np.full(shape, factor, np.float32)}, shape

        def apply(params, x, ctx=fcnn.EVAL):
            return params["by"] * np.tanh(x)

        def vjp(params, x, ctx=fcnn.EVAL):
            y = np.tanh(x)
            by = params["by"]
            return by * y, lambda dy: ({"by": (dy * y).sum(0)}, dy * by * (1 - y * y))

        return init, apply, vjp

    model = fcnn.serial(fcnn.flatten, scale(0.5), fcnn.dense(3))
    shard = Shard(model, losses.softmax_cross_entropy, False, True)
    plain = Shard(model, losses.softmax_cross_entropy, False, False)
    params, _ = model.init(KEY, (8, 8, 2))
    for seed in range(5):
        arguments = (params, *examples(4, seed), fcnn.EVAL, 0.5)
        assert tree.digest(shard.compute(*arguments)) == tree.digest(plain.compute(*arguments))
    (slot,) = shard.compute._slots.values()
    assert slot.plan is not None
    assert not is_own(model)
    assert not hasattr(Shard(model, losses.softmax_cross_entropy, False, None).compute, "plan")


def test_weighted_losses_of_shards_are_those_of_their_batch():
    loss = losses.weighted(losses.softmax_cross_entropy)
    params, _ = PLAIN.init(KEY, (8, 8, 2))
    both = []
    for jit in (True, False):
        f = fcnn.value_and_grad(PLAIN, loss, shard_size=2, jit=jit)
        found = []
        for seed in range(5):
            x, target = examples(6, seed)
            weights = np.random.default_rng(seed).random(6, np.float32)
            found.append(tree.digest(f(params, x, (target, weights), fcnn.training(KEY))))
        both.append(found)
    assert both[0] == both[1]


def test_predictions_of_equal_models_share_a_recording():
    params, _ = PLAIN.init(KEY, (8, 8, 2))
    expected = [PLAIN.apply(params, examples(1, seed)[0]) for seed in range(CALLS + OWN + 4)]
    for seed, right in enumerate(expected):
        again = pickle.loads(pickle.dumps(PLAIN))
        found = fcnn.predict(again, params, examples(1, seed)[0])
        np.testing.assert_array_equal(found, right)
    replayed = Applied(PLAIN, None)._apply
    assert any(slot.plan is not None for slot in replayed._slots.values())
    assert replayed is pickle.loads(pickle.dumps(Applied(PLAIN, None)))._apply
    assert Applied(PLAIN, False)._apply == PLAIN.apply


def test_predictions_with_layers_of_ones_own_are_recorded_once(monkeypatch):
    recorded = []

    def counted(*args, **kwargs):
        recorded.append(args)
        return record(*args, **kwargs)

    record = _function.record
    monkeypatch.setattr(_function, "record", counted)
    model = fcnn.serial(fcnn.flatten, fcnn.elementwise(np.sin, lambda x: np.cos(x)), fcnn.dense(3))
    params, _ = model.init(KEY, (8, 8, 2))
    for seed in range(4):
        x = examples(6, seed)[0]
        right = np.concatenate([model.apply(params, x[:3]), model.apply(params, x[3:])])
        found = fcnn.predict(model, params, x, shard_size=3, jit=True)
        np.testing.assert_array_equal(found, right)
    assert len(recorded) == 1
    assert not is_own(model)


def test_a_worker_takes_what_it_recorded_of_layers_of_ones_own():
    data = pickle.dumps(Applied(fcnn.serial(unchanged(), fcnn.relu), True))
    assert pickle.loads(data) is pickle.loads(data)
    assert not is_own(unchanged())


def test_a_worker_takes_the_same_shard_again():
    data = pickle.dumps(Shard(PLAIN, losses.softmax_cross_entropy, False, True))
    assert pickle.loads(data) is pickle.loads(data)
    other = pickle.dumps(Shard(NORMED, losses.softmax_cross_entropy, False, True))
    assert pickle.loads(other) is not pickle.loads(data)


def test_models_with_functions_of_the_caller_are_not_taken_for_the_librarys():
    assert is_own(PLAIN)
    assert is_own(NORMED)
    assert is_own(losses.weighted(losses.softmax_cross_entropy))
    assert not is_own(fcnn.serial(fcnn.elementwise(lambda x: np.sin(x), np.cos), fcnn.relu))
    assert not is_own(fcnn.add(fcnn.relu, bounded(1.0)))
    assert not is_own(fcnn.dense(3, weight_init=lambda key, shape: np.zeros(shape, np.float32)))


def test_threads_that_cannot_record_warn_once():
    both, calls = threading.Barrier(2, timeout=10), []

    def limited(x):
        calls.append(x)
        if len(calls) <= 2:
            both.wait()  # both threads compute before either records
        return x * 2 if x.max() < 99 else x

    jitted = _function.Jitted(limited, quiet=True)
    threads = [threading.Thread(target=jitted, args=(np.ones(3),)) for _ in range(2)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(told) == 1
    assert len(calls) == 3  # two calls, and one that could not be recorded


def test_threads_that_call_at_once_get_their_own_results():
    f = fcnn.value_and_grad(NORMED, losses.softmax_cross_entropy, jit=True)
    plain = fcnn.value_and_grad(NORMED, losses.softmax_cross_entropy, jit=False)
    params, _ = NORMED.init(KEY, (8, 8, 2))
    expected = {seed: tree.digest(plain(params, *examples(4, seed))) for seed in range(8)}
    wrong, start = [], threading.Barrier(4)

    def work(first):
        start.wait()
        for turn in range(30):
            seed = (first + turn) % 8
            if tree.digest(f(params, *examples(4, seed))) != expected[seed]:
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert not wrong
