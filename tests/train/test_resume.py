"""Stopping and going on: the same bits, the same passes over the data, and what is refused."""

import itertools
import pickle
import re

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import optim, train, tree
from fcnn.data import Dataset
from fcnn.errors import ArgumentError, TreeError
from fcnn.losses import mean_squared_error, softmax_cross_entropy

ADAM, KEY = optim.adam(0.01), fcnn.key(3)
EASY = fcnn.serial(fcnn.flatten, fcnn.dense(3))


def after(model, data, steps, state=None, **options):
    """Return the state some steps after another one."""
    state = train.init(model, ADAM, data, KEY) if state is None else state
    states = train.steps(
        model, softmax_cross_entropy, ADAM, data, state, **{"batch_size": 16} | options
    )
    return next(itertools.islice(states, steps - 1, None))


def fit(model, data, epochs, optimizer=ADAM, **options):
    options = {"key": KEY, "batch_size": 16, "log": None} | options
    return fcnn.fit(model, softmax_cross_entropy, optimizer, data, epochs=epochs, **options)


@pytest.mark.parametrize("stop", [1, 4, 5, 6, 12])  # within an epoch, at its end, just after it
def test_a_resumed_run_ends_in_the_same_bits(model, data, stop):
    half = pickle.loads(pickle.dumps(after(model, data, stop)))
    assert after(model, data, 13 - stop, half) == after(model, data, 13)


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_the_report_of_an_epoch_is_the_same_for_a_resumed_run(model, data, stop):
    metrics = {"spread": lambda p, t: np.ptp(p)}
    whole = fit(model, data, 3, metrics=metrics)
    half = after(model, data, stop, metrics=metrics)
    rest = fit(model, data, 3, state=half, metrics=metrics)
    assert rest.state == whole.state
    assert rest.history == whole.history[stop // 5 :]
    assert [report.number for report in rest.history] == list(range(stop // 5 + 1, 4))


@pytest.mark.parametrize("size", [1, 7, 16, 70, 100])
def test_another_batch_size_goes_on_at_the_same_example(size):
    n = 70
    x = np.arange(n, dtype=np.float32)[:, None]
    data, model, sgd, seen = Dataset(x, x), fcnn.dense(1), optim.sgd(0.0), []

    def record(key, x):
        seen.extend(x.ravel().tolist())
        return x

    args = model, mean_squared_error, sgd, data
    state = train.init(model, sgd, data, KEY)
    start = train.steps(*args, state, batch_size=32, augment=record)
    half = next(itertools.islice(start, 3, None))
    assert (half.epoch, half.seen) == (1, 32)
    run = fcnn.fit(*args, epochs=3, batch_size=size, state=half, augment=record, log=None)
    assert (run.state.epoch, run.state.seen, len(run.history)) == (3, 0, 2)
    straight = []
    fcnn.fit(*args, epochs=3, key=KEY, log=None, augment=lambda _, x: straight.extend(x[:, 0]) or x)
    assert seen == straight, "the order does not depend on the batch sizes"
    assert all(sorted(seen[i : i + n]) == list(range(n)) for i in (0, n, 2 * n))


def test_a_run_that_is_done_is_not_gone_on_with(data):
    run = fit(EASY, data, 2)
    again = fit(EASY, data, 2, state=run.state)
    assert again.state == run.state
    assert again.history == ()


def test_what_is_left_of_an_epoch_may_be_less_than_a_batch_to_drop(data):
    half = after(EASY, data, 9, batch_size=7)
    assert half.seen == 63
    more = after(EASY, data, 1, half, batch_size=16, drop_last=True)
    assert (more.epoch, more.seen) == (1, 16)
    reports = train.epochs(
        EASY, softmax_cross_entropy, ADAM, data, half, batch_size=16, drop_last=True
    )
    report = next(reports)
    assert (report.number, report.state.totals["loss"][1]) == (2, 64)


OTHERS = {
    "model": ("dense(4)", {"model": fcnn.serial(fcnn.flatten, fcnn.dense(4))}),
    "optimizer": (r"sgd\(0.1\), got one of adam\(0.01\)", {"optimizer": optim.sgd(0.1)}),
    "key": (r"Key\(seed=5", {"key": fcnn.key(5)}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_state_of_another_run_is_refused_by_name(data, what):
    state = fit(EASY, data, 1).state
    words, other = OTHERS[what]
    call = {"model": EASY, "data": data, "epochs": 2, "state": state} | other
    with pytest.raises(TreeError, match=f"expected a state of the {what} ") as raised:
        fit(**call)
    assert f"; pass changed={what!r} to go on anyway" in str(raised.value)
    if what != "model":
        assert re.search(words, str(raised.value))


def test_a_state_of_other_data_is_refused_whatever_the_difference(data):
    state = fit(EASY, data, 1).state
    pixel, label = data.inputs.copy(), data.targets.copy()
    pixel[7, 0, 0, 0] += 1
    label[7] = (label[7] + 1) % 3
    others = [
        data[1:],
        data[::-1],
        Dataset(pixel, data.targets),
        Dataset(data.inputs, label),
        Dataset(data.inputs, data.targets, ("a", "b", "c")),
        Dataset(data.inputs.astype(np.float64), data.targets),
    ]
    for other in others:
        for loop in (train.steps, train.epochs):
            with pytest.raises(TreeError, match="expected a state of the data Dataset"):
                loop(EASY, softmax_cross_entropy, ADAM, other, state)
    same = Dataset(data.inputs.copy(), data.targets.copy())
    assert fit(EASY, same, 2, state=state).state == fit(EASY, data, 2).state


def test_many_data_are_told_apart_by_some_of_them():
    x = np.zeros((1000, 1), np.float32)
    y = np.zeros((1000, 1), np.float32)
    last = x.copy()
    last[999] = 1
    one, two = Dataset(x, y), Dataset(last, y)
    model, sgd = fcnn.dense(1), optim.sgd(0.1)
    setups = [train.init(model, sgd, each, KEY).setup for each in (one, two)]
    assert setups[0].data != setups[1].data


def test_another_optimizer_keeps_the_moments_that_it_can_use(data):
    state = fit(EASY, data, 1).state
    slower = fit(EASY, data, 2, optim.adam(0.001), state=state, changed="optimizer")
    assert slower.state.setup.optimizer == "adam(0.001)"
    params, opt_state = state.params, state.opt_state
    by_hand = optim.adam(0.001)
    order = fcnn.prng.permutation(fcnn.fold_in(fcnn.split(KEY, 4)[1], 1), 70)
    gradient = fcnn.grad(EASY, softmax_cross_entropy, shard_size=16)
    for first in range(0, 70, 16):
        rows = order[first : first + 16]
        grads = gradient(params, data.inputs[rows], data.targets[rows], fcnn.training())
        params, opt_state = by_hand.step(params, grads, opt_state)
    assert tree.digest(slower.params) == tree.digest(params)
    other = fit(EASY, data, 2, optim.sgd(0.1, momentum=0.9), state=state, changed=("optimizer",))
    new = optim.sgd(0.1, momentum=0.9).init(params)
    assert tree.structure(other.state.opt_state) == tree.structure(new)


def test_other_data_begin_an_epoch_anew(data):
    half = after(EASY, data, 2)
    assert half.seen == 32
    other = data[:40]
    run = fit(EASY, other, 1, state=half, changed={"data"})
    assert run.state.step == 2 + 3
    assert run.state.totals["loss"][1] == 40


def test_another_key_and_another_model_may_go_on(data):
    state = fit(EASY, data, 1).state
    run = fit(EASY, data, 2, state=state, key=fcnn.key(5), changed="key")
    assert run.state.key == fcnn.key(5)
    assert run.params != fit(EASY, data, 2, state=state).params
    dropped = fcnn.serial(fcnn.flatten, fcnn.dense(3), fcnn.relu)
    with pytest.raises(TreeError, match="tuple of 3"):
        fit(dropped, data, 2, state=state, changed="model")
    linear = fcnn.serial(fcnn.flatten, fcnn.dense(3, weight_init=fcnn.initializers.zeros))
    assert fit(linear, data, 2, state=state, changed="model").state.epoch == 2


def test_the_state_says_the_key(data):
    state = fit(EASY, data, 1).state
    assert fit(EASY, data, 2, state=state, key=None).state == fit(EASY, data, 2).state


@pytest.mark.parametrize(
    ("state", "options", "words"),
    [
        (lambda run: run, {}, r"expected a State, got a Run; pass run\.state"),
        (lambda run: run.params, {}, "expected a State, got a tuple of 2"),
        (lambda run: run.state, {"changed": "rate"}, "in changed, got .'rate'"),
        (lambda run: run.state, {"params": 1}, "got both"),
    ],
)
def test_a_state_that_is_none_is_refused(data, state, options, words):
    run = fit(EASY, data, 1)
    with pytest.raises(ArgumentError, match=words):
        fit(EASY, data, 2, state=state(run), **options)


def test_long_names_are_cut_around_their_difference(data):
    def deep(units):
        return fcnn.serial(fcnn.flatten, *[fcnn.dense(8)] * 30, fcnn.dense(units), fcnn.dense(3))

    state = train.init(deep(5), ADAM, data, KEY)
    with pytest.raises(TreeError) as raised:
        train.steps(deep(6), softmax_cross_entropy, ADAM, data, state)
    assert "dense(6)" in str(raised.value)
    assert "dense(5)" in str(raised.value)
    assert len(str(raised.value)) < 320


def test_states_compare_by_content(data):
    state = train.init(EASY, ADAM, data, KEY)
    assert state == pickle.loads(pickle.dumps(state))
    assert hash(state) == hash(pickle.loads(pickle.dumps(state)))
    assert state != attrs.evolve(state, seen=1)
    assert state != attrs.evolve(state, params=tree.map(lambda p: p + 1, state.params))
