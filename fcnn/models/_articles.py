"""The networks of the five articles, as ``examples/`` trains them."""

from __future__ import annotations

from fcnn._layer import Layer
from fcnn.layers.activations import relu, sigmoid
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv2d
from fcnn.layers.dense import dense
from fcnn.layers.dropout import dropout
from fcnn.layers.pool import max_pool2d
from fcnn.layers.reshape import flatten


def article_000(classes: int = 2) -> Layer:
    """Return the network for zeros and ones: five 3×3 filters with a bias a pixel, sigmoids.

    Its outputs are probabilities, for `fcnn.losses.binary_cross_entropy`.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.article_000(), (28, 28, 1)).params
    341727
    """
    return serial(
        *(conv2d(5, 3, bias="untied"), sigmoid),
        *(flatten, dense(100), sigmoid, dense(classes), sigmoid),
    )


def article_001(classes: int = 10, rate: float = 0.05) -> Layer:
    """Return the network for ten digits: five 3×3 filters, a hidden layer, dropout; logits.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.article_001(), (28, 28, 1)).params
    339160
    """
    return serial(
        *(conv2d(5, 3), relu),
        *(flatten, dense(100), relu, dropout(rate), dense(classes)),
    )


def article_002(classes: int = 10) -> Layer:
    """Return the network of articles 002 and 004 for clothes: one 6×6 filter, a pool; logits.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.article_002(), (28, 28, 1)).params
    1257
    """
    return serial(conv2d(1, 6), relu, max_pool2d(2), flatten, dense(classes))


def article_003(classes: int = 10, *, linear: bool = False) -> Layer:
    """Return the network of two convolutions, the second strided; logits.

    Args:
        classes: the number of classes.
        linear: leave out the rectifiers, as the article's code does and its text does not.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.article_003(), (28, 28, 1)).params
    9586
    """
    between = () if linear else (relu,)
    return serial(
        conv2d(16, 8), *between, conv2d(8, 4, stride=2), *between, flatten, dense(classes)
    )
