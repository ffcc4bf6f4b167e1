"""A 1-d residual network for heartbeats."""

from __future__ import annotations

from fcnn._layer import Layer
from fcnn.layers.activations import relu
from fcnn.layers.branches import residual
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv1d
from fcnn.layers.dense import dense
from fcnn.layers.pool import max_pool1d
from fcnn.layers.reshape import flatten


def ecg(classes: int = 5, *, filters: int = 32, blocks: int = 5) -> Layer:
    """Return the residual network for single heartbeats, sampled 187 times.

    Each block has two convolutions of length 5 and halves the length by a pool.

    Args:
        classes: the number of classes.
        filters: the number of channels.
        blocks: the number of residual blocks.

    >>> import fcnn
    >>> fcnn.models.ecg().init(fcnn.key(0), (187, 1))[1]
    (5,)

    Source: M. Kachuee et al., "ECG heartbeat classification: a deep transferable
    representation", 2018, https://arxiv.org/abs/1805.00794.
    """

    def conv() -> Layer:
        return conv1d(filters, 5, padding="same")

    block = residual(conv(), relu, conv()), relu, max_pool1d(5, stride=2)
    return serial(
        conv1d(filters, 5),
        *block * blocks,
        *(flatten, dense(32), relu, dense(classes)),
    )
