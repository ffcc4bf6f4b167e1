"""Every metric is scikit-learn's on random data with ties and absent classes."""

import functools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn import metrics

sklearn = pytest.importorskip("sklearn.metrics", exc_type=ImportError)
seeds = st.integers(0, 10**6)
few = settings(max_examples=20, deadline=None)


def draw(seed, classes, n=None):
    """Probabilities with ties, and labels of which some class may be absent."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30)) if n is None else n
    p = rng.integers(1, 5, (n, classes)).astype(float)
    used = rng.permutation(classes)[: rng.integers(2, classes + 1)]
    return p / p.sum(axis=1, keepdims=True), rng.choice(used, n), rng


@few
@given(seeds)
def test_ranking_of_two_classes(seed):
    _, yes, rng = draw(seed, 2)
    yes[:2] = [0, 1]
    scores = rng.integers(0, 6, len(yes)) / 4 - 1
    assert metrics.roc_auc(scores, yes) == pytest.approx(sklearn.roc_auc_score(yes, scores))
    assert metrics.roc_auc(scores[:, None], yes) == metrics.roc_auc(scores, yes)
    expected = sklearn.average_precision_score(yes, scores)
    assert metrics.average_precision(scores, yes) == pytest.approx(expected)


@few
@given(seeds, st.integers(3, 5))
def test_ranking_of_several_classes(seed, classes):
    p, labels, _ = draw(seed, classes)
    ours = metrics.roc_auc(p, labels, average=None) if len(set(labels)) > 1 else None
    if ours is None:
        return
    precisions = metrics.average_precision(p, labels, average=None)
    for c in range(classes):
        if c in labels:
            yes = labels == c
            assert ours[c] == pytest.approx(sklearn.roc_auc_score(yes, p[:, c]))
            expected = sklearn.average_precision_score(yes, p[:, c])
            assert precisions[c] == pytest.approx(expected)
        else:
            assert np.isnan(ours[c])
            assert np.isnan(precisions[c])
    if len(set(labels)) == classes:
        for average in ("macro", "weighted"):
            expected = sklearn.roc_auc_score(labels, p, multi_class="ovr", average=average)
            assert metrics.roc_auc(p, labels, average=average) == pytest.approx(expected)
            one_hot = labels[:, None] == np.arange(classes)
            expected = sklearn.average_precision_score(one_hot, p, average=average)
            assert metrics.average_precision(p, labels, average=average) == pytest.approx(expected)
            assert metrics.roc_auc(p, one_hot, average=average) == pytest.approx(
                sklearn.roc_auc_score(one_hot, p, average=average)
            )
    else:
        assert metrics.roc_auc(p, labels) == pytest.approx(np.nanmean(ours))


@few
@given(seeds, st.integers(2, 5))
def test_probabilities(seed, classes):
    p, labels, _ = draw(seed, classes)
    every = list(range(classes))
    assert metrics.log_loss(p, labels) == pytest.approx(sklearn.log_loss(labels, p, labels=every))
    expected = sklearn.brier_score_loss(labels, p if classes > 2 else p[:, 1], labels=every)
    assert metrics.brier_score(p, labels) == pytest.approx(expected)
    if classes == 2:
        eleven = functools.partial(metrics.calibration_error, bins=11)  # no p is at an edge
        for metric in (metrics.log_loss, metrics.brier_score, eleven):
            assert metric(p[:, 1], labels) == pytest.approx(metric(p, labels))
            assert metric(p[:, 1:], labels[:, None]) == metric(p[:, 1], labels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_impossible_events(dtype):
    p = np.array([[1, 0], [0, 1]], dtype)
    expected = sklearn.log_loss([1, 1], p, labels=[0, 1])
    assert metrics.log_loss(p, [1, 1]) == pytest.approx(expected)


def test_log_loss_of_rounded_probabilities_is_of_their_shares():
    """As in half precision, or written with three digits; scikit-learn divides by the sum too."""
    p = np.array([[0.2, 0.8], [0.7, 0.3]])
    assert metrics.log_loss(p * 1.0005, [1, 0]) == pytest.approx(metrics.log_loss(p, [1, 0]))


@few
@given(seeds, st.integers(1, 20))
def test_calibration_error_is_what_a_loop_gives(seed, bins):
    p, labels, _ = draw(seed, 4)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.calibration_error(p, labels, bins=bins) == pytest.approx(total, abs=1e-12)


@few
@given(seeds, st.integers(2, 5))
def test_agreement(seed, classes):
    p, labels, rng = draw(seed, classes)
    guess = np.where(rng.random(len(labels)) < 0.5, labels, p.argmax(axis=1))
    expected = sklearn.matthews_corrcoef(labels, guess)
    assert metrics.matthews(guess, labels) == pytest.approx(expected, abs=1e-12)
    assert metrics.matthews(p, labels) == pytest.approx(
        sklearn.matthews_corrcoef(labels, p.argmax(axis=1)), abs=1e-12
    )
    options = {"labels": range(classes), "average": None, "zero_division": 0}
    expected = sklearn.jaccard_score(labels, guess, **options)
    np.testing.assert_allclose(metrics.iou(guess, labels, classes=classes), expected)
    there = [c for c in range(classes) if c in labels or c in guess]
    assert metrics.mean_iou(guess, labels, classes=classes) == pytest.approx(expected[there].mean())


def test_iou_of_pixels_leaves_out_what_is_ignored():
    _, _, rng = draw(3, 3)
    scores, labels = rng.random((2, 4, 5, 3)), rng.integers(0, 3, (2, 4, 5))
    holes = np.where(rng.random(labels.shape) < 0.3, 255, labels)
    kept = holes != 255
    expected = sklearn.jaccard_score(
        holes[kept], scores.argmax(axis=-1)[kept], average="macro", labels=range(3)
    )
    assert metrics.mean_iou(scores, holes, ignore_index=255) == pytest.approx(expected)
    assert metrics.accuracy(scores, labels) == (scores.argmax(axis=-1) == labels).mean()
    assert metrics.matthews(scores, labels) == pytest.approx(
        sklearn.matthews_corrcoef(labels.ravel(), scores.argmax(axis=-1).ravel())
    )


@few
@given(seeds, st.integers(1, 3))
def test_regression(seed, outputs):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 20))
    true = rng.integers(-3, 4, (n, outputs)) + 1e3
    guess = true + rng.integers(-1, 2, true.shape)
    if rng.random() < 0.2:
        true[:, 0] = 5.0
    if outputs == 1:
        true, guess = true[:, 0], guess[:, 0]
    for ours, theirs in [
        ("mean_squared_error", "mean_squared_error"),
        ("root_mean_squared_error", None),
        ("mean_absolute_error", "mean_absolute_error"),
        ("median_absolute_error", "median_absolute_error"),
        ("r2", "r2_score"),
        ("explained_variance", "explained_variance_score"),
    ]:
        if theirs is None:
            expected = np.sqrt(sklearn.mean_squared_error(true, guess))
        else:
            expected = getattr(sklearn, theirs)(true, guess)
        assert getattr(metrics, ours)(guess, true) == pytest.approx(expected, abs=1e-10), ours


@few
@given(seeds, st.floats(0.1, 0.9))
def test_yes_and_no_with_a_threshold(seed, threshold):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 11, (int(rng.integers(1, 20)), 3)) / 10
    yes = rng.integers(0, 2, scores.shape)
    guess = scores > threshold
    assert metrics.exact_match(scores, yes, threshold=threshold) == pytest.approx(
        sklearn.accuracy_score(yes, guess)
    )
    assert metrics.accuracy(scores, yes, threshold=threshold) == pytest.approx(
        1 - sklearn.hamming_loss(yes, guess)
    )
    for name in ("precision", "recall", "f1"):
        ours, theirs = getattr(metrics, name), getattr(sklearn, f"{name}_score")
        for average in (None, "macro", "micro", "weighted"):
            expected = theirs(yes, guess, average=average, zero_division=0)
            found = ours(scores, yes, average=average, threshold=threshold)
            np.testing.assert_allclose(found, expected, err_msg=f"{name} {average}")
        one = ours(scores[:, 0], yes[:, 0], threshold=threshold)
        assert type(one) is float
        expected = theirs(yes[:, 0], guess[:, 0], zero_division=0)
        assert one == pytest.approx(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single label
        expected = sklearn.matthews_corrcoef(yes[:, 0], guess[:, 0])
    found = metrics.matthews(scores[:, :1], yes[:, 0], threshold=threshold)
    assert found == pytest.approx(expected, abs=1e-12)
