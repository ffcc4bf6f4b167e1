"""Metrics: how good predictions are, from labels, scores, probabilities or numbers.

Every function takes ``(prediction, target)``, the order of the losses.

- Of classes, from labels or scores: `accuracy`, `top_k_accuracy`, `confusion_matrix`,
  `precision`, `recall`, `f1`, `matthews`, `iou`, `mean_iou`, `classification_report`. A
  prediction is labels ``(n,)``, or scores ``(n, classes)``, of which the highest (the first, if
  several are equal) is the predicted class; a target is labels ``(n,)``. Labels are whole numbers
  from 0. Pixels have axes between: ``(n, h, w, classes)`` and ``(n, h, w)``. ``classes`` is the
  number of classes, or their names; without it, the scores' columns are counted, or else the
  largest label decides.
- Of yes and no, one or several an example, with ``threshold``: `accuracy`, `exact_match`,
  `precision`, `recall`, `f1`. Scores and targets of 0 and 1 have the same shape.
- Of the order of scores: `roc_auc`, `average_precision`.
- Of probabilities: `log_loss`, `brier_score`, `calibration_error`.
- Of numbers: `mean_squared_error`, `root_mean_squared_error`, `mean_absolute_error`,
  `median_absolute_error`, `r2`, `explained_variance`.

NaN among the scores is refused, since it has no place in their order. A ratio whose denominator
is zero (the precision of a class that was never predicted, the recall of one that never occurred)
is 0.0.

For examples that come in parts, such as the shards of several workers, `streaming` makes of each
a state that is updated and merged.

Source of the definitions: M. Sokolova and G. Lapalme, "A systematic analysis of
performance measures for classification tasks", Information Processing & Management
45(4), 2009, https://doi.org/10.1016/j.ipm.2009.03.002.
"""

# The files:
#
#   _inputs         checks: labels, scores, probabilities, yes or no, numbers
#   _counts         accuracy, confusion matrix
#   _ratios         precision, recall, F1, the report of all three
#   _agreement      Matthews correlation, intersection over union
#   _ranking        areas under the ROC and the precision-recall curve
#   _probabilities  log loss, Brier score, calibration error
#   _regression     of numbers
#   _streaming      states that are updated and merged

from fcnn.metrics._agreement import iou, matthews, mean_iou
from fcnn.metrics._counts import accuracy, confusion_matrix, exact_match, top_k_accuracy
from fcnn.metrics._probabilities import brier_score, calibration_error, log_loss
from fcnn.metrics._ranking import average_precision, roc_auc
from fcnn.metrics._ratios import classification_report, f1, precision, recall
from fcnn.metrics._regression import (
    explained_variance,
    mean_absolute_error,
    mean_squared_error,
    median_absolute_error,
    r2,
    root_mean_squared_error,
)
from fcnn.metrics._streaming import Streaming, streaming

__all__ = [
    "Streaming",
    "accuracy",
    "average_precision",
    "brier_score",
    "calibration_error",
    "classification_report",
    "confusion_matrix",
    "exact_match",
    "explained_variance",
    "f1",
    "iou",
    "log_loss",
    "matthews",
    "mean_absolute_error",
    "mean_iou",
    "mean_squared_error",
    "median_absolute_error",
    "precision",
    "r2",
    "recall",
    "roc_auc",
    "root_mean_squared_error",
    "streaming",
    "top_k_accuracy",
]
