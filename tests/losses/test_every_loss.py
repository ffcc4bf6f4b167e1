"""Every loss through every law, against PyTorch, and in shards."""

import itertools
import pickle

import numpy as np
import pytest

import fcnn
from fcnn import losses
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.losses import (
    added,
    cosine_distance,
    cross_entropy,
    dice,
    hinge,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
    multiclass_hinge,
    scaled,
    sigmoid_cross_entropy,
    sigmoid_dice,
    sigmoid_focal,
    softmax_cross_entropy,
    softmax_dice,
    softmax_focal,
    softmax_kl_divergence,
    weighted,
)
from fcnn.testing import check_loss

RNG = np.random.default_rng(5)
SCORES = RNG.normal(size=(3, 4)) * 2
LABELS = np.array([1, 3, 0])
PIXELS = RNG.normal(size=(3, 2, 2, 4)) * 2
PIXEL_LABELS = RNG.integers(0, 4, (3, 2, 2))
HOLES = np.where(RNG.random((3, 2, 2)) < 0.4, 255, PIXEL_LABELS)
SOFT = RNG.dirichlet(np.ones(4), 3)
PROBABILITIES = RNG.dirichlet(np.ones(4), 3)
ONES = RNG.integers(0, 2, (3, 4))
REALS = RNG.normal(size=(3, 4)) * 2
CLASS_WEIGHTS = (0.5, 2.0, 1.0, 3.0)
EXAMPLE_WEIGHTS = np.array([2.0, 0.5, 1.0])
MASKS = RNG.uniform(size=(3, 2, 2, 4))

CASES = [
    (softmax_cross_entropy, PIXELS, PIXEL_LABELS),
    (losses.categorical_cross_entropy, RNG.dirichlet(np.ones(4), (3, 2)), PIXEL_LABELS[:, 0]),
    (cross_entropy(), SCORES, LABELS),
    (cross_entropy(class_weights=CLASS_WEIGHTS, label_smoothing=0.1), SCORES, LABELS),
    (cross_entropy(class_weights=CLASS_WEIGHTS, label_smoothing=0.1), SCORES, SOFT),
    (cross_entropy(class_weights=CLASS_WEIGHTS, ignore_index=255), PIXELS, HOLES),
    (cross_entropy(label_smoothing=0.2, ignore_index=-100), SCORES, np.array([1, -100, 2])),
    (mean_absolute_error, SCORES, REALS),
    (huber(0.7), SCORES, REALS),
    (cosine_distance(), SCORES, REALS),
    (hinge(), SCORES, 2 * ONES - 1),
    (hinge(margin=0.5, power=2), SCORES, ONES),
    (multiclass_hinge(), SCORES, LABELS),
    (multiclass_hinge(margin=0.5, power=2), PIXELS, PIXEL_LABELS),
    (sigmoid_focal(), SCORES, ONES),
    (sigmoid_focal(0.5, None), SCORES, ONES),
    (softmax_focal(), SCORES, LABELS),
    (softmax_focal(0.5, class_weights=CLASS_WEIGHTS), PIXELS, PIXEL_LABELS),
    (kl_divergence, PROBABILITIES, SOFT),
    (softmax_kl_divergence, SCORES, SOFT),
    (dice(), MASKS, PIXEL_LABELS),
    (dice(0.0), MASKS, ONES.reshape(3, 2, 2, 1) * np.ones(4)),
    (sigmoid_dice(), PIXELS, MASKS),
    (softmax_dice(0.5), PIXELS, PIXEL_LABELS),
    (weighted(mean_squared_error), SCORES, (REALS, EXAMPLE_WEIGHTS)),
    (weighted(softmax_cross_entropy), PIXELS, (PIXEL_LABELS, EXAMPLE_WEIGHTS)),
    (
        weighted(cross_entropy(class_weights=CLASS_WEIGHTS, ignore_index=255)),
        PIXELS,
        (HOLES, EXAMPLE_WEIGHTS),
    ),
    (added(mean_squared_error, scaled(huber(), 0.5)), SCORES, REALS),
    (added(cross_entropy(ignore_index=255), multiclass_hinge()), PIXELS, PIXEL_LABELS),
    (scaled(cross_entropy(class_weights=CLASS_WEIGHTS), 0.5), SCORES, LABELS),
    (
        losses.combine({"a": (cross_entropy(class_weights=CLASS_WEIGHTS), 1.0),
                        "b": (mean_squared_error, 0.5)}),
        {"a": SCORES, "b": REALS},
        {"a": LABELS, "b": SCORES},
    ),
]  # fmt: skip
every = pytest.mark.parametrize(("loss", "prediction", "target"), CASES, ids=lambda x: str(x)[:60])
ARRAYS = [case for case in CASES if isinstance(case[1], np.ndarray)]


def test_every_constructor_is_in_the_table():
    known = {case[0].spec.name for case in CASES}
    eager = {"binary_cross_entropy", "sigmoid_cross_entropy", "mean_squared_error"}
    assert known | eager == set(losses.__all__) - {"Loss", "loss"}


@every
def test_laws(loss, prediction, target):
    check_loss(loss, prediction, target, calls=20)


@every
def test_each_and_weigh_make_the_mean(loss, prediction, target):
    if loss.each is None:
        assert loss.shards is not None
        return
    values = loss.each(prediction, target)
    weights = np.ones(3) if loss.weigh is None else loss.weigh(target)
    assert values.shape == weights.shape == (3,)
    np.testing.assert_allclose(np.average(values, weights=weights), loss(prediction, target))
    for i in range(3):
        one = loss(prediction[i : i + 1], fcnn.tree.map(lambda t, i=i: t[i : i + 1], target))
        np.testing.assert_allclose(values[i], one)


def torch_cases():
    import torch
    from torch.nn import functional

    def last(f):  # channels last to PyTorch's channels second
        return lambda z, t: f(z.movedim(-1, 1), t)

    def soft_dice(z, t):
        p, pixels = torch.sigmoid(z), (1, 2)
        share = (2 * (p * t).sum(pixels) + 1) / (p.sum(pixels) + t.sum(pixels) + 1)
        return 1 - share.mean()

    def focal(z, t):
        cost = functional.binary_cross_entropy_with_logits(z, t.double(), reduction="none")
        right = torch.where(t > 0, torch.sigmoid(z), 1 - torch.sigmoid(z))
        alpha = torch.where(t > 0, 0.25, 0.75)
        return (alpha * (1 - right) ** 2 * cost).mean()

    def many_focal(z, t):
        log_p = torch.log_softmax(z, 1).gather(1, t[:, None])[:, 0]
        return (torch.tensor(CLASS_WEIGHTS)[t] * (1 - log_p.exp()) ** 1.5 * -log_p).mean()

    w = torch.tensor(CLASS_WEIGHTS, dtype=torch.float64)
    ce = functional.cross_entropy
    return [
        (softmax_cross_entropy, last(ce), PIXELS, PIXEL_LABELS),
        (softmax_cross_entropy, last(lambda z, t: ce(z, t.movedim(-1, 1))), PIXELS,
         RNG.dirichlet(np.ones(4), (3, 2, 2))),
        (cross_entropy(class_weights=CLASS_WEIGHTS, label_smoothing=0.1, ignore_index=255),
         last(lambda z, t: ce(z, t, w, label_smoothing=0.1, ignore_index=255)), PIXELS, HOLES),
        (cross_entropy(class_weights=CLASS_WEIGHTS, label_smoothing=0.1),
         lambda z, t: ce(z, t, w, label_smoothing=0.1), SCORES, SOFT),
        (cross_entropy(class_weights=CLASS_WEIGHTS), lambda z, t: ce(z, t, w), SCORES, LABELS),
        (mean_absolute_error, functional.l1_loss, SCORES, REALS),
        (huber(0.7), lambda z, t: functional.huber_loss(z, t, delta=0.7), SCORES, REALS),
        (scaled(huber(0.5), 2.0), lambda z, t: functional.smooth_l1_loss(z, t, beta=0.5),
         SCORES, REALS),
        (cosine_distance(), lambda z, t: (1 - functional.cosine_similarity(z, t)).mean(),
         SCORES, REALS),
        (multiclass_hinge(), functional.multi_margin_loss, SCORES, LABELS),
        (multiclass_hinge(margin=0.5, power=2),
         lambda z, t: functional.multi_margin_loss(z, t, p=2, margin=0.5), SCORES, LABELS),
        (kl_divergence, lambda p, t: functional.kl_div(p.log(), t, reduction="batchmean"),
         PROBABILITIES, SOFT),
        (softmax_kl_divergence,
         lambda z, t: functional.kl_div(z.log_softmax(1), t, reduction="batchmean"), SCORES, SOFT),
        (sigmoid_focal(), focal, SCORES, ONES),
        (softmax_focal(1.5, class_weights=CLASS_WEIGHTS), many_focal, SCORES, LABELS),
        (sigmoid_dice(), soft_dice, PIXELS, MASKS),
        (softmax_dice(), lambda z, t: soft_dice(
            torch.logit(z.softmax(-1)), functional.one_hot(t, 4)), PIXELS, PIXEL_LABELS),
        (hinge(power=2), lambda z, s: (1 - s * z).clamp(min=0).pow(2).mean(), SCORES, 2 * ONES - 1),
        (weighted(sigmoid_cross_entropy),
         lambda z, t: (functional.binary_cross_entropy_with_logits(
             z, torch.tensor(MASKS[:, 0, 0]), torch.tensor(EXAMPLE_WEIGHTS)[:, None],
             reduction="sum") / 4 / EXAMPLE_WEIGHTS.sum()),
         SCORES, (MASKS[:, 0, 0], EXAMPLE_WEIGHTS)),
    ]  # fmt: skip


def test_value_and_gradient_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    for loss, theirs, prediction, target in torch_cases():
        at = torch.tensor(prediction, requires_grad=True)
        whole = target[0] if isinstance(target, tuple) else target
        expected = theirs(at, torch.tensor(whole))
        expected.backward()
        value, pullback = loss.vjp(prediction, target)
        np.testing.assert_allclose(value, expected.item(), rtol=1e-11, err_msg=str(loss))
        np.testing.assert_allclose(
            pullback(1.0), at.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=str(loss)
        )


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_goes_where_torch_puts_it(bad):
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    functional = torch.nn.functional
    w = torch.tensor(CLASS_WEIGHTS, dtype=torch.float64)
    scores, reals = SCORES.copy(), REALS.copy()
    scores[0, 2] = bad
    cases = [
        (cross_entropy(class_weights=CLASS_WEIGHTS),
         lambda z, t: functional.cross_entropy(z, t, w), LABELS),
        (cross_entropy(ignore_index=1),
         lambda z, t: functional.cross_entropy(z, t, ignore_index=1), LABELS),
        (mean_absolute_error, functional.l1_loss, reals),
        (huber(), functional.huber_loss, reals),
    ]  # fmt: skip
    if not np.isnan(bad):  # which PyTorch passes over here
        cases.append((multiclass_hinge(), functional.multi_margin_loss, LABELS))
    for loss, theirs, target in cases:
        at = torch.tensor(scores, requires_grad=True)
        expected = theirs(at, torch.tensor(target))
        expected.backward()
        with np.errstate(all="ignore"):
            value, pullback = loss.vjp(scores, target)
            slope = pullback(1.0)
        np.testing.assert_allclose(value, expected.item(), err_msg=str(loss))
        np.testing.assert_allclose(slope, at.grad.numpy(), atol=1e-12, err_msg=str(loss))


def test_hinge_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics", exc_type=ImportError)
    scores, ones = SCORES.ravel(), ONES.ravel()
    assert hinge()(scores, ones) == pytest.approx(sklearn.hinge_loss(2 * ones - 1, scores))


WEIGHTING = [
    (cross_entropy(class_weights=CLASS_WEIGHTS), np.arange(11) % 4),
    (cross_entropy(ignore_index=3), np.minimum(np.arange(11), 3)),
    (weighted(softmax_cross_entropy), (np.arange(11) % 4, np.arange(11.0))),
    (
        added(weighted(cross_entropy(class_weights=CLASS_WEIGHTS)), weighted(softmax_focal())),
        (np.arange(11) % 4, np.arange(11.0)),
    ),
    (scaled(cross_entropy(class_weights=CLASS_WEIGHTS), 0.5), np.arange(11) % 4),
]


class TestShards:
    """The mean of weighted examples is the same whatever the shards."""

    @pytest.mark.parametrize("size", [1, 2, 4, 11])
    @pytest.mark.parametrize(("loss", "target"), WEIGHTING, ids=lambda x: str(x)[:50])
    def test_one_output(self, loss, target, size):
        model = fcnn.dense(4)
        x = RNG.normal(size=(11, 5))
        params = fcnn.tree.astype(model.init(fcnn.key(0), (5,))[0], np.float64)
        value, grads = fcnn.value_and_grad(model, loss)(params, x, target)
        in_shards = fcnn.value_and_grad(model, loss, shard_size=size)
        its_value, its_grads = in_shards(params, x, target)
        assert its_value == pytest.approx(value, rel=1e-13)
        assert fcnn.tree.allclose(its_grads, grads, rtol=1e-12, atol=1e-14)
        with fcnn.parallel.threads(2) as pool:
            same = fcnn.value_and_grad(model, loss, shard_size=size, executor=pool)
            assert fcnn.tree.digest(same(params, x, target)) == fcnn.tree.digest(
                (its_value, its_grads)
            )

    def test_several_outputs(self):
        model = fcnn.fanout(digit=fcnn.dense(4), tilt=fcnn.dense(1))
        loss = losses.combine(
            {
                "digit": (cross_entropy(class_weights=CLASS_WEIGHTS), 2.0),
                "tilt": (weighted(mean_squared_error), 0.5),
            }
        )
        target = {"digit": np.arange(7) % 4, "tilt": (RNG.normal(size=(7, 1)), np.arange(7.0))}
        x = RNG.normal(size=(7, 5))
        params = fcnn.tree.astype(model.init(fcnn.key(0), (5,))[0], np.float64)
        value, grads = fcnn.value_and_grad(model, loss)(params, x, target)
        again = fcnn.value_and_grad(model, loss, shard_size=2)(params, x, target)
        assert again[0] == pytest.approx(value, rel=1e-13)
        assert fcnn.tree.allclose(again[1], grads, rtol=1e-12, atol=1e-14)
        # A plain mean over shards would be another number.
        parts = [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)]
        prediction = model.apply(params, x)
        plain = sum(
            loss(*fcnn.tree.map(lambda a, part=part: a[part], (prediction, target)))
            * (part.stop - part.start) / 7 for part in parts
        )  # fmt: skip
        assert abs(plain - value) > 1e-3

    def test_a_loss_of_shards_pickles(self):
        for loss, target in WEIGHTING:
            pieces = losses._loss.sharded(loss, [fcnn.tree.map(lambda t: t[:5], target)])
            assert pickle.loads(pickle.dumps(pieces)) == pieces


class TestNothingCounts:
    def test_a_batch_without_a_label_has_no_loss_and_no_gradient(self):
        loss = cross_entropy(ignore_index=255)
        value, pullback = loss.vjp(SCORES, np.full(3, 255))
        assert value == 0
        assert not pullback(1.0).any()
        value, pullback = weighted(mean_squared_error).vjp(SCORES, (REALS, np.zeros(3)))
        assert value == 0
        assert not pullback(1.0).any()

    def test_pixels_that_are_left_out_may_be_anything(self):
        scores = SCORES.copy()
        scores[1] = [np.finfo(float).max, 0, -7, 1e200]
        loss = cross_entropy(ignore_index=-1)
        value, pullback = loss.vjp(scores, np.array([1, -1, 0]))
        expected, its = softmax_cross_entropy.vjp(SCORES[[0, 2]], LABELS[[0, 2]])
        assert value == pytest.approx(expected)
        np.testing.assert_allclose(pullback(1.0)[[0, 2]], its(1.0), rtol=1e-13)
        assert not pullback(1.0)[1].any()


def test_a_cosine_of_nothing():
    value, pullback = cosine_distance().vjp(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
    assert value == 1
    np.testing.assert_allclose(pullback(1.0), [[-0.6e8, -0.8e8]])
    assert cosine_distance()(np.array([[1e30, 0]], np.float32), np.array([[1.0, 0]])) == 0
    # Below eps the norm is eps, so that the cosine is linear in the prediction.
    value, pullback = cosine_distance(eps=0.5).vjp(np.array([[0.1, 0.2]]), np.array([[3.0, 4.0]]))
    assert value == pytest.approx(1 - (0.1 * 0.6 + 0.2 * 0.8) / 0.5)
    np.testing.assert_allclose(pullback(1.0), [[-1.2, -1.6]])


@pytest.mark.parametrize(
    "loss",
    [
        huber(),
        mean_absolute_error,
        hinge(),
        multiclass_hinge(),
        cosine_distance(),
        sigmoid_focal(),
        softmax_focal(0.5),
    ],
    ids=str,
)
def test_the_largest_float32_are_finite(loss):
    most = np.finfo(np.float32).max / 4
    p = np.array([[most, -most], [-most, most], [0, most]], np.float32)
    elementwise = loss.spec.name not in ("multiclass_hinge", "softmax_focal")
    for target in itertools.product([0, 1], repeat=3):
        t = np.stack([target, target], 1).astype(np.float32) if elementwise else np.array(target)
        value, pullback = loss.vjp(p, t)
        assert np.isfinite(value)
        assert np.isfinite(pullback(1.0)).all()
        assert pullback(1.0).dtype == np.float32


class TestDoors:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: cross_entropy(class_weights=[1.0, -1.0]), "for each class as class_weights"),
            (lambda: cross_entropy(class_weights=2.0), "for each class as class_weights"),
            (lambda: cross_entropy(label_smoothing=1.5), "label_smoothing"),
            (lambda: cross_entropy(ignore_index=0.5), "ignore_index"),
            (lambda: huber(0.0), "greater than 0 for delta"),
            (lambda: hinge(power=3), "1 or 2 for power"),
            (lambda: sigmoid_focal(-1.0), "gamma"),
            (lambda: sigmoid_focal(alpha=2.0), "alpha"),
            (lambda: softmax_focal(class_weights=["a"]), "class_weights"),
            (lambda: dice(-1.0), "smooth"),
            (lambda: cosine_distance(eps=0.0), "eps"),
            (lambda: weighted(0.1), "expected a loss for weighted"),
            (lambda: weighted(losses.combine(((huber(), 1.0),))), "weight the parts"),
            (lambda: added(), "at least one loss"),
            (lambda: added(huber(), 2.0), "expected a loss for added"),
        ],
    )
    def test_arguments(self, make, words):
        with pytest.raises(ArgumentError, match=words):
            make()

    @pytest.mark.parametrize(
        ("loss", "prediction", "target", "error", "words"),
        [
            (cross_entropy(class_weights=[1, 2]), SCORES, LABELS, ShapeError, "of 2 classes"),
            (cross_entropy(), SCORES, ONES, LabelError, "one-hot labels of floats"),
            (cross_entropy(ignore_index=9), SCORES, LABELS + 1, LabelError, "from 0 to 3"),
            (softmax_cross_entropy, PIXELS, LABELS, ShapeError, r"\(3, 2, 2\) labels .*flatten"),
            (hinge(), SCORES, 2 * ONES, LabelError, "-1 and 1, or of 0 and 1"),
            (hinge(), SCORES, ONES - (LABELS == 1)[:, None], LabelError, "of 0 and 1"),
            (multiclass_hinge(), SCORES, SOFT, LabelError, "one-hot or soft"),
            (sigmoid_focal(), SCORES, SOFT, LabelError, "0 and 1"),
            (softmax_focal(class_weights=[1]), SCORES, LABELS, ShapeError, "of 1 classes"),
            (kl_divergence, PROBABILITIES, -SOFT, LabelError, "probabilities as targets"),
            (kl_divergence, SOFT[0], SOFT[0], ShapeError, "classes"),
            (dice(), SCORES, ONES, ShapeError, r"\(n, \.\.\., classes\)"),
            (dice(), MASKS, 2 * MASKS, LabelError, r"\[0, 1\]"),
            (weighted(huber()), SCORES, REALS, LabelError, r"\(target, weights\)"),
            (weighted(huber()), SCORES, (REALS, np.ones(2)), ShapeError, "one an example"),
            (weighted(huber()), SCORES, (REALS, np.ones((3, 4))), ShapeError, "one an example"),
            (weighted(huber()), SCORES, (REALS, -np.ones(3)), LabelError, "finite weights from 0"),
        ],
    )
    def test_calls(self, loss, prediction, target, error, words):
        for call in (loss, loss.vjp):
            with pytest.raises(error, match=words):
                call(prediction, target)

    def test_a_label_out_of_range_in_shards(self):
        loss = cross_entropy(class_weights=CLASS_WEIGHTS)
        model = fcnn.dense(4)
        params, _ = model.init(fcnn.key(0), (4,))
        step = fcnn.value_and_grad(model, loss, shard_size=1)
        with pytest.raises(LabelError, match="from 0 to 3"):
            step(params, SCORES.astype(np.float32), LABELS + 2)


def test_a_run_learns_with_weights_beside_its_targets():
    x = RNG.normal(size=(64, 3)).astype(np.float32)
    labels = (x[:, 0] > 0).astype(np.int64)
    data = fcnn.data.Dataset(x, (labels, np.where(labels, 2.0, 1.0)))
    run = fcnn.fit(fcnn.dense(2), weighted(softmax_cross_entropy), fcnn.optim.adam(0.1), data,
                   key=fcnn.key(0), epochs=3, batch_size=32, shard_size=8, log=None)  # fmt: skip
    assert run.history[-1].loss < run.history[0].loss


def test_focal_of_a_class_that_is_nearly_certain_keeps_its_digits():
    """1 - p is 0 in float64 there."""
    _, pullback = softmax_focal(0.0).vjp(np.array([[40.0, 0.0]]), np.array([0]))
    np.testing.assert_allclose(pullback(1.0), [[-np.exp(-40), np.exp(-40)]], rtol=1e-12)


def test_kl_of_targets_that_do_not_sum_to_one():
    z, t = np.array([[0.0, 0.0]]), np.array([[1.5, 0.5]])
    np.testing.assert_allclose(softmax_kl_divergence.vjp(z, t)[1](1.0), [[-0.5, 0.5]])
