"""Losses: how far a prediction is from its target, averaged over the examples.

A loss is two pure functions::

    apply(prediction, target) -> value
    vjp(prediction, target)   -> (value, pullback),   pullback(dvalue) -> dprediction

Each is the mean over the examples of the batch (the first axis) of its own formula; where
examples have weights, the weighted mean (see `Loss`). For
training, prefer the losses of logits, ``softmax_cross_entropy`` and ``sigmoid_cross_entropy``:
they are exact where a softmax or sigmoid and a logarithm one after the other are not.

NaN and infinity go where PyTorch puts them: a NaN logit gives a NaN loss.

Source of the stable forms: I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", 2016,
sections 4.1 and 6.2.2, https://www.deeplearningbook.org.
"""

# The files:
#
#   _loss           the contract, means over parts of a batch, checks of prediction and target
#   _elementwise    squared error, binary cross-entropies
#   _classes        cross-entropies of one class an example
#   _cross_entropy  the same with class weights, smoothing and labels left out
#   _divergence     Kullback-Leibler
#   _focal          cross-entropy in which what is nearly right counts less
#   _margin         hinge
#   _overlap        Dice
#   _regression     absolute, Huber, cosine
#   _weighted       weights of examples
#   _combined       losses of losses

from fcnn.losses._classes import categorical_cross_entropy, softmax_cross_entropy
from fcnn.losses._combined import added, combine
from fcnn.losses._cross_entropy import cross_entropy
from fcnn.losses._divergence import kl_divergence, softmax_kl_divergence
from fcnn.losses._elementwise import (
    binary_cross_entropy,
    mean_squared_error,
    sigmoid_cross_entropy,
)
from fcnn.losses._focal import sigmoid_focal, softmax_focal
from fcnn.losses._loss import Loss, loss, scaled
from fcnn.losses._margin import hinge, multiclass_hinge
from fcnn.losses._overlap import dice, sigmoid_dice, softmax_dice
from fcnn.losses._regression import cosine_distance, huber, mean_absolute_error
from fcnn.losses._weighted import weighted

__all__ = [
    "Loss",
    "added",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "combine",
    "cosine_distance",
    "cross_entropy",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "loss",
    "mean_absolute_error",
    "mean_squared_error",
    "multiclass_hinge",
    "scaled",
    "sigmoid_cross_entropy",
    "sigmoid_dice",
    "sigmoid_focal",
    "softmax_cross_entropy",
    "softmax_dice",
    "softmax_focal",
    "softmax_kl_divergence",
    "weighted",
]
