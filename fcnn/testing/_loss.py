"""The laws that a loss obeys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.losses import Loss
from fcnn.prng import Key
from fcnn.testing._law import CALLS, KEY, Law, enforce, findings
from fcnn.testing._loss_case import LossCase
from fcnn.testing._loss_numbers import (
    dtype_problems,
    float32_problems,
    gradient_problems,
    linear_problems,
    mean_problems,
    vjp_problems,
)
from fcnn.testing._loss_purity import (
    alias_problems,
    call_problems,
    global_problems,
    purity_problems,
    value_problems,
)


def check_loss(
    loss: Loss,
    prediction: Tree,
    target: Any,
    *,
    key: Key = KEY,
    step: float = 1e-7,
    rtol: float = 1e-5,
    calls: int = CALLS,
    skip: Collection[str] = (),
) -> None:
    """Hold a loss to everything that fcnn relies on in a loss.

    - *vjp*: its value is apply's, bit for bit, and a finite Python float.
    - *purity*: nothing that is passed in is changed; the same bits come out again, whatever
      is called in between, from read-only arrays too, and nearly the same numbers from
      arrays in another memory layout.
    - *globals*: no global generator is drawn from, seeded or read; NumPy's settings stay.
    - *aliases*: dprediction shares no memory with the arguments or with what the pullback reads.
    - *dtype*: dprediction has the prediction's structure, shapes and dtype.
    - *linear*: the pullback is linear in dvalue.
    - *gradient*: ``pullback(1)`` is the derivative (see `check_vjp`), for batches of 1, 2, 5,
      the one given and more than 16, with more than a thousand elements, and at ten times the
      prediction where that holds numbers outside [0, 1].
    - *float32*: value and gradient in float32 are those in float64, but for rounding.
    - *mean*: the loss of a batch is the mean of its examples' losses; without that the
      gradients of shards do not average to the gradient of the batch.
    - *calls*: ``calls`` calls in a row give the same bits.
    - *value*: the loss pickles, equals its copy, and prints as the call that makes it.

    Args:
        loss: the loss.
        prediction: where to check, an array or a tuple or dict of arrays; not at a kink or at
            the edge of what the loss takes. Other batches repeat its examples.
        target: what the loss compares it with.
        key: where the directions come from.
        step: as in `check_vjp`.
        rtol: as in `check_vjp`.
        calls: how often the law *calls* calls.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the loss, the law and what was seen.
        ArgumentError: if ``skip`` names no law.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_cross_entropy
    >>> from fcnn.testing import check_loss
    >>> check_loss(softmax_cross_entropy, np.array([[1.0, 2.0], [0.0, 5.0]]), np.array([0, 1]))
    """
    p = tree.astype(_as_arrays(prediction), np.float64)
    case = LossCase(loss, p, _as_arrays(target), key, step, rtol, calls)
    enforce(loss, findings(LAWS, [("", case)], skip))


def _as_arrays(values: Tree) -> Tree:
    return np.asarray(values) if isinstance(values, list) else tree.map(np.asarray, values)


LAWS = (
    Law("vjp", "a Python float, apply's bit for bit", vjp_problems),
    Law("purity", "arguments unchanged, same bits again", purity_problems),
    Law("globals", "no global generator is used", global_problems),
    Law("aliases", "no shared memory", alias_problems),
    Law("dtype", "dprediction is as the prediction", dtype_problems),
    Law("linear", "the pullback is linear in dvalue", linear_problems),
    Law("gradient", "the derivative", gradient_problems),
    Law("float32", "as float64, but for rounding", float32_problems),
    Law("mean", "the mean of the examples' losses", mean_problems),
    Law("calls", "the same bits, call after call", call_problems),
    Law("value", "pickles, compares, prints as its call", value_problems),
)
