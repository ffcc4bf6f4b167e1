"""The numbers of a run, each against a loop written by hand from `value_and_grad`."""

import itertools
import pickle

import numpy as np
import pytest

import fcnn
from fcnn import optim, train, tree
from fcnn.data import Dataset
from fcnn.losses import mean_squared_error, softmax_cross_entropy
from fcnn.prng import fold_in, permutation, split

ADAM = optim.adam(0.01)
KEY = fcnn.key(3)
BATCH = 16  # 70 examples are four batches of 16 and one of 6


def brighter(key, x):
    return x * key.generator().uniform(0.8, 1.2, (len(x), 1, 1, 1)).astype(np.float32)


def by_hand(model, data, epochs, augment=lambda key, x: x):
    """Train, and return the params, and for each epoch its losses, scores and targets by batch."""
    k_init, k_order, k_augment, k_dropout = split(KEY, 4)
    params, _ = model.init(k_init, (8, 8, 1))
    opt_state = ADAM.init(params)
    gradient = fcnn.value_and_grad(model, softmax_cross_entropy, has_aux=True, shard_size=BATCH)
    history = []
    for epoch in range(epochs):
        order, batches = permutation(fold_in(k_order, epoch), len(data)), []
        for first in range(0, len(data), BATCH):
            rows = order[first : first + BATCH]
            x = augment(fold_in(fold_in(k_augment, epoch), first), data.inputs[rows])
            ctx = fcnn.training(fold_in(fold_in(k_dropout, epoch), first))
            (value, scores), grads = gradient(params, x, data.targets[rows], ctx)
            params, opt_state = ADAM.step(params, grads, opt_state)
            batches.append((value, scores, data.targets[rows]))
        history.append(batches)
    return params, history


def fit(model, data, epochs, **options):
    options = {"key": KEY, "batch_size": BATCH, "log": None} | options
    return fcnn.fit(model, softmax_cross_entropy, ADAM, data, epochs=epochs, **options)


@pytest.mark.parametrize("augment", [None, brighter])
def test_params_losses_and_accuracies_are_those_of_a_loop_by_hand(model, data, augment):
    params, history = by_hand(model, data, 3, *[augment][: augment is not None])
    run = fit(model, data, 3, augment=augment)
    assert tree.digest(run.params) == tree.digest(params)
    assert run.state.step == 15
    for number, (report, batches) in enumerate(zip(run.history, history, strict=True), 1):
        assert report.number == number
        total = sum(value * len(scores) for value, scores, _ in batches)
        assert report.loss == pytest.approx(total / 70, rel=1e-12)
        right = sum((scores.argmax(1) == target).sum() for _, scores, target in batches)
        assert report.accuracy == right / 70
    # The numbers are able to tell a weighted mean from one that is not.
    for report, batches in zip(run.history, history, strict=True):
        assert abs(np.mean([value for value, _, _ in batches]) / report.loss - 1) > 1e-3


def test_augmentation_changes_the_run(model, data):
    assert fit(model, data, 1).params != fit(model, data, 1, augment=brighter).params


def test_every_step_augments_and_drops_with_keys_of_its_own(data):
    augmenting, dropping = [], []

    def augment(key, x):
        augmenting.append(key)
        return x

    @fcnn.layer
    def spy():
        def init(key, shape):
            return (), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return x

        def vjp(params, x, ctx=fcnn.EVAL):
            dropping.append(ctx.key)
            return x, lambda dy: ((), dy)

        return init, apply, vjp

    model = fcnn.serial(spy(), fcnn.flatten, fcnn.dense(3))
    fit(model, data, 3, augment=augment, shard_size=BATCH, jit=False)
    assert len(augmenting) == len(dropping) == 15
    assert len({*augmenting, *dropping}) == 30


def test_validation_is_of_the_validation_data_all_at_once(model, data, held_out):
    def spread(prediction, target):
        """No mean over examples: of two batches it is not the mean of theirs."""
        return prediction.max() - prediction.min()

    run = fit(model, data, 2, validation=held_out, metrics={"spread": spread})
    scores = model.apply(run.params, held_out.inputs).astype(np.float64)
    found = run.history[-1].validation
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert found.loss == pytest.approx(-log_p[np.arange(23), held_out.targets].mean(), rel=1e-5)
    assert found.accuracy == (scores.argmax(1) == held_out.targets).sum() / 23
    assert (found.correct, found.total) == (round(found.accuracy * 23), 23)
    assert found.metrics["spread"] == pytest.approx(scores.max() - scores.min(), rel=1e-5)


def test_a_metric_of_an_epoch_is_the_mean_of_its_batches_weighted_by_their_examples(model, data):
    def spread(prediction, target):
        return prediction.max() - prediction.min()

    def first_label(prediction, target):
        return target[0]

    run = fit(model, data, 2, metrics={"spread": spread, "first": first_label})
    _, history = by_hand(model, data, 2)
    for report, batches in zip(run.history, history, strict=True):
        spreads = sum(float(np.ptp(scores)) * len(scores) for _, scores, _ in batches)
        assert report.metrics["spread"] == pytest.approx(spreads / 70, rel=1e-6)
        firsts = sum(target[0] * len(target) for *_, target in batches)
        assert report.metrics["first"] == pytest.approx(firsts / 70, rel=1e-12)
        assert list(report.metrics) == ["accuracy", "spread", "first"]


def test_a_metric_called_accuracy_takes_the_place_of_the_own_one(model, data, held_out):
    run = fit(model, data, 1, validation=held_out, metrics={"accuracy": lambda p, t: 0.125})
    assert run.history[0].accuracy == run.history[0].validation.accuracy == 0.125
    assert str(run.history[0]).count(" accuracy ") == 1


def test_the_line_of_an_epoch(held_out):
    validation = train.Evaluation(0.25, 4, 3, {"f1": 0.5})
    report = train.Report(7, 12, 1.5, {"accuracy": 0.75, "tiny": 2e-7}, validation, 3.14)
    assert str(report) == (
        "epoch  7/12  loss 1.5000  accuracy 0.7500  tiny 2.000e-07  "
        "val_loss 0.2500  val_accuracy 0.7500  val_f1 0.5000  3.1 s"
    )
    assert str(train.Report(7, None, 1.5, {}, None, 0.0)) == "epoch 7  loss 1.5000  0.0 s"


def test_training_learns(model, data):
    history = fit(model, data, 30).history
    assert history[-1].loss < 0.5 * history[0].loss
    assert history[-1].accuracy > 0.9


def test_the_best_epoch_is_kept(model, data, held_out):
    shifted = (held_out.targets + (np.arange(23) % 2)) % 3  # half of them wrong: it will overfit
    held_out = Dataset(held_out.inputs, shifted)
    run = fit(model, data, 12, validation=held_out, keep_best=True)
    losses = [report.validation.loss for report in run.history]
    assert run.best.number == 1 + int(np.argmin(losses))
    assert 1 < run.best.number < 12
    best = fcnn.evaluate(model, softmax_cross_entropy, run.best.params, held_out)
    assert best.loss == min(losses)
    assert tree.digest(run.best.params) != tree.digest(run.params)
    assert fit(model, data, 1, validation=held_out).best is None


def test_fit_starts_from_params(model, data):
    params, _ = model.init(fcnn.key(99), (8, 8, 1))
    one, two = fit(model, data, 1, params=params), fit(model, data, 1)
    assert tree.digest(one.params) != tree.digest(two.params)
    state = train.init(model, ADAM, data, KEY, params=params)
    assert state.params == params
    epochs = train.epochs(model, softmax_cross_entropy, ADAM, data, state, batch_size=BATCH)
    assert next(epochs).state == one.state


def test_the_run_is_a_function_of_its_key(model, data):
    assert fit(model, data, 2).state == fit(model, data, 2).state
    assert fit(model, data, 2).params != fit(model, data, 2, key=fcnn.key(4)).params


def test_every_epoch_sees_every_example_once_in_a_new_order():
    n = 10
    x = np.arange(n, dtype=np.float32)[:, None]
    data, seen = Dataset(x, x), []

    def record(key, x):
        seen.append(x.ravel().tolist())
        return x

    model, sgd = fcnn.dense(1), optim.sgd(0.0)
    state = train.init(model, sgd, data, fcnn.key(0))
    states = train.steps(model, mean_squared_error, sgd, data, state, batch_size=4, augment=record)
    places = [(state.epoch, state.seen) for state in itertools.islice(states, 6)]
    assert places == [(0, 4), (0, 8), (1, 0), (1, 4), (1, 8), (2, 0)]
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = [list(itertools.chain(*part)) for part in (seen[:3], seen[3:])]
    assert sorted(first) == sorted(second) == list(range(n))
    assert first != second


def test_drop_last_leaves_a_small_batch_out(model, data):
    run = fit(model, data, 2, drop_last=True)
    assert run.state.step == 8
    assert run.state.totals["loss"][1] == 64


def test_steps_do_not_change_what_they_are_given(model, data):
    state = train.init(model, ADAM, data, KEY)
    before = pickle.dumps((state, data))
    states = train.steps(model, softmax_cross_entropy, ADAM, data, state)
    next(itertools.islice(states, 4, None))
    assert pickle.dumps((state, data)) == before


def test_float64_data_make_a_float64_run(data):
    model = fcnn.serial(fcnn.flatten, fcnn.dense(3))
    wide = Dataset(data.inputs.astype(np.float64), data.targets)
    run = fit(model, wide, 1)
    assert {leaf.dtype for leaf in tree.leaves(run.params)} == {np.dtype(np.float64)}
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    assert fit(model, wide, 1, params=params).params[1].weight.dtype == np.float64


def test_a_run_prints_and_has_a_table(model, data, held_out):
    run = fit(model, data, 2, validation=held_out)
    assert repr(run).startswith("Run(2 epochs, 10 steps: epoch 2/2  loss ")
    table = run._repr_html_()
    assert table.count("<tr>") == 3
    assert "<th>val_accuracy</th>" in table
    assert f"<td>{run.history[0].loss:.4f}</td>" in table
    assert "array" not in repr(run.state)
