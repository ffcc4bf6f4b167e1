"""Metrics of parts: merged in any grouping they are the metric of the whole."""

import pickle

import numpy as np
import pytest

from fcnn import metrics, tree
from fcnn.errors import (
    ArgumentError,
    DataError,
    FcnnError,
    LabelError,
    NonFiniteError,
    ShapeError,
)
from fcnn.metrics import streaming

RNG = np.random.default_rng(4)
N = 23
LABELS = RNG.integers(0, 4, N)
P = RNG.dirichlet(np.ones(4), N)
YES = RNG.integers(0, 2, (N, 3))
SCORES = RNG.integers(0, 9, (N, 3)) / 8
REALS = RNG.normal(size=(N, 2)) + 1e3
GUESSES = REALS + RNG.normal(size=(N, 2))


def own(prediction, target):
    return float(np.abs(prediction - target).max())


CASES = [
    (streaming(metrics.accuracy), P, LABELS),
    (streaming(metrics.accuracy, threshold=0.4), SCORES, YES),
    (streaming(metrics.exact_match), SCORES, YES),
    (streaming(metrics.top_k_accuracy, k=2), P, LABELS),
    (streaming(metrics.confusion_matrix), P.argmax(axis=1), LABELS),
    (streaming(metrics.precision, average="macro", classes=4), P, LABELS),
    (streaming(metrics.recall, threshold=0.5), SCORES, YES),
    (streaming(metrics.f1), P, LABELS),
    (streaming(metrics.f1, threshold=0.5), SCORES[:, 0], YES[:, 0]),
    (streaming(metrics.matthews), P.argmax(axis=1), LABELS),
    (streaming(metrics.iou, classes=4), P, LABELS),
    (streaming(metrics.mean_iou, ignore_index=2), P, LABELS),
    (streaming(metrics.classification_report), P, LABELS),
    (streaming(metrics.roc_auc), P, LABELS),
    (streaming(metrics.average_precision, average=None), SCORES, YES),
    (streaming(metrics.log_loss), P, LABELS),
    (streaming(metrics.brier_score), P, LABELS),
    (streaming(metrics.calibration_error, bins=5), P, LABELS),
    (streaming(metrics.mean_squared_error), GUESSES, REALS),
    (streaming(metrics.root_mean_squared_error), GUESSES, REALS),
    (streaming(metrics.mean_absolute_error), GUESSES, REALS),
    (streaming(metrics.median_absolute_error), GUESSES, REALS),
    (streaming(metrics.r2), GUESSES, REALS),
    (streaming(metrics.explained_variance), GUESSES[:, 0], REALS[:, 0]),
    (streaming(own), GUESSES, REALS),
]
every = pytest.mark.parametrize(("s", "prediction", "target"), CASES, ids=lambda x: str(x)[:50])


def close(found, expected):
    if isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-9, equal_nan=True)


def test_the_table_has_every_metric():
    assert {case[0].spec.args[0].__name__ for case in CASES} == {
        *set(metrics.__all__) - {"Streaming", "streaming"},
        "own",
    }


@every
def test_parts_make_the_whole(s, prediction, target):
    metric, options = s.spec.args[0], dict(s.spec.kwargs)
    whole = metric(prediction, target, **options)
    cuts = [slice(0, 9), slice(9, 14), slice(14, 23)]
    a, b, c = [s.update(s.init(), prediction[cut], target[cut]) for cut in cuts]
    close(s.result(s.merge(s.merge(a, b), c)), whole)
    close(s.result(s.merge(a, s.merge(b, c))), whole)
    close(s.result(s.merge(s.init(), s.merge(a, s.merge(b, s.merge(c, s.init()))))), whole)
    state = s.init()
    for cut in cuts:
        state = s.update(state, prediction[cut], target[cut])
    close(s.result(state), whole)
    alone = s.update(s.init(), prediction, target)
    np.testing.assert_array_equal(s.result(alone), whole)
    np.testing.assert_array_equal(s(prediction, target), whole)


@every
def test_states_are_values(s, prediction, target):
    given = prediction.copy(), target.copy()
    state = s.update(s.init(), prediction[:9].copy(), target[:9].copy())
    before = tree.digest(state)
    late = prediction[9:].copy(), target[9:].copy()
    later = s.update(state, *late)
    for array in late:
        array[:] = 1  # the caller's arrays are the caller's
    s.merge(state, later)
    s.result(later)
    assert tree.digest(state) == before
    close(s.result(later), s.result(s.update(s.init(), prediction, target)))
    for leaf in tree.leaves(later):
        assert not isinstance(leaf, np.ndarray) or not leaf.flags.writeable
    np.testing.assert_array_equal(prediction, given[0])
    np.testing.assert_array_equal(target, given[1])
    assert tree.digest(pickle.loads(pickle.dumps(state))) == before
    assert prediction.flags.writeable


def test_a_streaming_metric_is_a_value():
    s = streaming(metrics.f1, average="macro", classes=4)
    assert repr(s) == "streaming(f1, average='macro', classes=4)"
    assert pickle.loads(pickle.dumps(s)) == s
    assert s != streaming(metrics.f1, average="micro", classes=4)


def test_classes_that_a_part_has_not_seen():
    s = streaming(metrics.confusion_matrix)
    a, b = s.update(s.init(), [0, 1], [0, 0]), s.update(s.init(), [0, 3], [2, 3])
    for state in (s.merge(a, b), s.merge(b, a)):
        np.testing.assert_array_equal(
            s.result(state), metrics.confusion_matrix([0, 1, 0, 3], [0, 0, 2, 3])
        )


def test_trees_of_predictions():
    def both(prediction, target):
        return metrics.accuracy(prediction["a"], target["a"]) + own(prediction["b"], target["b"])

    prediction, target = {"a": P, "b": GUESSES}, {"a": LABELS, "b": REALS}
    s = streaming(both)
    state = s.init()
    for cut in (slice(0, 9), slice(9, 23)):
        state = s.update(state, *tree.map(lambda x, cut=cut: x[cut], (prediction, target)))
    assert s.result(state) == both(prediction, target)


def test_large_targets_keep_their_variance():
    """With Σ t² and (Σ t)² the variance of numbers about 1e8 would be lost."""
    s = streaming(metrics.r2)
    state = s.init()
    guesses, reals = GUESSES + 1e8, REALS + 1e8
    for i in range(N):
        state = s.update(state, guesses[i : i + 1], reals[i : i + 1])
    assert s.result(state) == pytest.approx(metrics.r2(GUESSES, REALS), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: streaming(3), ArgumentError, "expected a function"),
        (lambda: streaming(metrics.accuracy, k=3), ArgumentError, "options of accuracy"),
        (lambda: streaming(metrics.f1).result(None), DataError, "at least one example"),
        (lambda: metrics.roc_auc([0.1, 0.2], [1, 1]), LabelError, "of two kinds"),
        (lambda: metrics.roc_auc([0.1, 0.2], [1, 2]), LabelError, "of 0 and 1"),
        (lambda: metrics.roc_auc([0.1, np.nan], [1, 0]), NonFiniteError, "example 1"),
        (lambda: metrics.roc_auc(P, LABELS + 1), LabelError, "from 0 to 3"),
        (lambda: metrics.roc_auc(P, LABELS, average="micro"), ArgumentError, "weighted"),
        (lambda: metrics.roc_auc([], []), ShapeError, "at least one example"),
        (lambda: metrics.roc_auc([0.1, 0.2], [1]), ShapeError, r"shape \(2,\), got \(1,\)"),
        (lambda: metrics.average_precision([[np.nan, 0, 1]], [0]), NonFiniteError, "example 0"),
        (lambda: metrics.log_loss(P * 3, LABELS), LabelError, "apply a softmax"),
        (lambda: metrics.log_loss([-0.1], [0]), LabelError, "apply a softmax"),
        (lambda: metrics.log_loss([[np.nan, 1.0]], [0]), NonFiniteError, "example 0"),
        (lambda: metrics.brier_score([0.5], [2]), LabelError, "of 0 and 1"),
        (lambda: metrics.calibration_error(P, LABELS, bins=0), ArgumentError, "bins"),
        (lambda: metrics.r2([[1.0], [2.0]], [1.0, 2.0]), ShapeError, r"prediction\[:, 0\]"),
        (lambda: metrics.r2([np.nan], [1.0]), NonFiniteError, "example 0"),
        (lambda: metrics.r2(["a"], [1.0]), LabelError, "expected numbers"),
        (lambda: metrics.r2([1.0], ["a"]), LabelError, "numbers as targets"),
        (lambda: metrics.mean_absolute_error([], []), ShapeError, "at least one"),
        (lambda: metrics.accuracy(SCORES, YES, threshold="a"), ArgumentError, "threshold"),
        (lambda: metrics.accuracy(SCORES, 2 * YES, threshold=0.5), LabelError, "0 and 1"),
        (lambda: metrics.f1(SCORES, YES[:, 0], threshold=0.5), ShapeError, r"\(23, 3\)"),
        (lambda: metrics.mean_iou([1], [255], ignore_index=255), LabelError, "other than"),
        (lambda: metrics.mean_iou([1, 9], [1, 2], classes=3), LabelError, "from 0 to 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, error: type[FcnnError], words):
    with pytest.raises(error, match=words):
        call()
