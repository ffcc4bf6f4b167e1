"""Losses: how far a prediction is from its target, averaged over the examples.

A loss is two pure functions::

    apply(prediction, target) -> value
    vjp(prediction, target)   -> (value, pullback),   pullback(dvalue) -> dprediction

Each is the mean over the examples of the batch (the first axis) of its own formula. For
training, prefer the losses of logits, ``softmax_cross_entropy`` and ``sigmoid_cross_entropy``:
they are exact where a softmax or sigmoid and a logarithm one after the other are not.

NaN and infinity go where PyTorch puts them: a NaN logit gives a NaN loss.

Source of the stable forms: I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", 2016,
sections 4.1 and 6.2.2, https://www.deeplearningbook.org.
"""

from fcnn.losses._classes import categorical_cross_entropy, softmax_cross_entropy
from fcnn.losses._combined import combine, scaled
from fcnn.losses._elementwise import (
    binary_cross_entropy,
    mean_squared_error,
    sigmoid_cross_entropy,
)
from fcnn.losses._loss import Loss, loss

__all__ = [
    "Loss",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "combine",
    "loss",
    "mean_squared_error",
    "scaled",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]
