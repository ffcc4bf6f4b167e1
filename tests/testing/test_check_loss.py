"""`check_loss` is checked: a right loss passes, and each of these mutants must not."""

import math

import numpy as np
import pytest

from fcnn.losses import loss
from fcnn.testing import check_loss


@loss
def squares(factor=1.0, share="mean", dtype=None, slip=1.0, kind=float, write=False, power=1):
    """Half the mean square, one of whose parts may be wrong."""

    def apply(prediction, target):
        gap = prediction - target.astype(prediction.dtype)
        each = gap**2 / 2
        return kind(each.mean() if share == "mean" else each.sum())

    def vjp(prediction, target):
        gap = prediction - target.astype(prediction.dtype)
        scale = factor / (gap.size if share == "mean" else 1)

        def pullback(dvalue):
            if write:
                prediction[...] = 0
            d = gap * (math.copysign(abs(dvalue) ** power, dvalue) * scale)
            return d if dtype is None else d.astype(dtype)

        return kind(slip * apply(prediction, target)), pullback

    return apply, vjp


PREDICTION = np.array([[0.1, 0.2], [0.3, 0.9], [0.5, 0.6]])
TARGET = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])


def test_the_loss_that_the_mutants_are_made_of_is_right():
    check_loss(squares(), PREDICTION, TARGET)


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"factor": 1.001}, "gradient"),
        ({"factor": 0.1}, "gradient"),
        ({"share": "sum"}, "mean"),
        ({"dtype": np.float64}, "dtype"),
        ({"slip": 1.0000001}, "vjp"),
        ({"kind": np.float64}, "vjp"),
        ({"write": True}, "purity"),
        ({"power": 2}, "linear"),
    ],
    ids=str,
)
def test_every_mutant_is_caught(options, law):
    with pytest.raises(AssertionError, match=f"breaks the law '{law}'"):
        check_loss(squares(**options), PREDICTION, TARGET)
