"""Gradient transforms that keep one moment: momentum, a moving average, RMSprop's.

In the formulas, u is the update that comes in and t counts the steps from 1. Moments start at
zero, have the params' dtypes, and stay zero where the params hold statistics. ``mask`` says
which weights a transform applies to (`fcnn.optim.masked`); None is all of them.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._ops.values import computed
from fcnn._typing import Array
from fcnn.optim._contracts import Init, Update, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.transforms import positive


@tree.node
class TraceState:
    """The state of `trace`.

    Attributes:
        trace: the momentum, a tree like the params.
    """

    trace: Any = attrs.field(converter=kept)


@tree.node
class EmaState:
    """The state of `ema`.

    Attributes:
        count: the number of steps taken.
        ema: the moving average, a tree like the params.
    """

    count: int = tree.number()
    ema: Any = attrs.field(converter=kept)


@tree.node
class ScaleByRmsState:
    """The state of `scale_by_rms`.

    Attributes:
        nu: the moving average of the squared gradients, a tree like the params.
    """

    nu: Any = attrs.field(converter=kept)


@transform
def trace(
    decay: float = 0.9, *, nesterov: bool = False, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Accumulate momentum: ``m = u + decay · m``.

    The update is m, or ``u + decay · m`` with Nesterov.

    Args:
        decay: the weight of the old momentum.
        nesterov: whether to look one step ahead.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``decay`` is not in [0, 1).

    Source: I. Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013, https://proceedings.mlr.press/v28/sutskever13.html, in the form of PyTorch
    and Optax, where the learning rate is outside of m.

    >>> from fcnn import optim
    >>> t = optim.trace(0.5)
    >>> _, state = t.update((2.0,), t.init((0.0,)), (0.0,))
    >>> t.update((2.0,), state, (0.0,))[0]
    (3.0,)
    """
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)

    def begin(state: Any) -> Stage:
        expect(state, TraceState)
        at = _ahead if nesterov else _trace
        return Stage(at, TraceState, (state.trace,), (decay,), fresh=nesterov)

    return restrict(lambda params: TraceState(tree.zeros_like(params)), leafwise(begin), mask)


def _trace(p: Array, u: Array, m: Array, decay: Array) -> tuple[Array, Array]:
    m = decay * m
    m += u
    return m, m


def _ahead(p: Array, u: Array, m: Array, decay: Array) -> tuple[Array, Array]:
    m, _ = _trace(p, u, m, decay)
    ahead: Array = decay * m
    ahead += u
    return ahead, m


@transform
def ema(decay: float, *, debias: bool = True, mask: Mask | None = None) -> tuple[Init, Update]:
    """Average updates: ``m = decay · m + (1 - decay) · u``; the update is ``m / (1 - decayᵗ)``.

    For an average of the params, see `fcnn.optim.params_ema`.

    Args:
        decay: the weight of the old average.
        debias: whether to divide by ``1 - decayᵗ``, the sum of the weights.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``decay`` is not in [0, 1).

    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015,
    https://arxiv.org/abs/1412.6980, section 3.

    >>> from fcnn import optim
    >>> t = optim.ema(0.5)
    >>> _, state = t.update((2.0,), t.init((0.0,)), (0.0,))
    >>> state
    EmaState(count=1, ema=(1.0,))
    >>> t.update((8.0,), state, (0.0,))[0]
    (6.0,)
    """
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)

    def begin(state: Any) -> Stage:
        expect(state, EmaState)
        count = state.count + 1
        factor = computed(lambda t: 1 / (1 - decay**t), count) if debias else 1.0
        numbers = decay, 1 - decay, factor
        return Stage(_ema, lambda average: EmaState(count, average), (state.ema,), numbers)

    return restrict(lambda params: EmaState(0, tree.zeros_like(params)), leafwise(begin), mask)


def _ema(p: Array, u: Array, m: Array, decay: Array, rest: Array, factor: Array) -> Any:
    m = mean(m, u, decay, rest)
    return m * factor, m


def mean(old: Array, new: Array, decay: Array, rest: Array) -> Array:
    """Return ``decay · old + rest · new``."""
    average: Array = decay * old
    average += rest * new
    return average


def mean_square(old: Array, new: Array, decay: Array, rest: Array, scratch: Array) -> Array:
    """Return ``decay · old + rest · new²``; writes into ``scratch``."""
    square = np.multiply(new, new, out=scratch)
    square *= rest
    average: Array = decay * old
    average += square
    return average


@transform
def scale_by_rms(
    decay: float = 0.9, *, eps: float = 1e-8, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Divide by the root of the average of the squared gradients (RMSprop).

    ``ν = decay ν + (1 - decay) u²``, and the update is ``u / (sqrt(ν) + eps)``. As
    ``optax.scale_by_rms(decay, eps, eps_in_sqrt=False)``.

    Args:
        decay: the weight of the old average.
        eps: is added to the root.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``decay`` is not in [0, 1), or ``eps`` is not greater than 0.

    Source: T. Tieleman and G. Hinton, "Lecture 6.5: rmsprop", Coursera, 2012,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.

    >>> from fcnn import optim
    >>> t = optim.scale_by_rms(0.75)
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    2.0
    """
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)
    eps = positive(eps, "eps")

    def begin(state: Any) -> Stage:
        expect(state, ScaleByRmsState)
        return Stage(_rms, ScaleByRmsState, (state.nu,), (decay, 1 - decay, eps))

    return restrict(lambda params: ScaleByRmsState(tree.zeros_like(params)), leafwise(begin), mask)


def _rms(p: Array, u: Array, v: Array, decay: Array, rest: Array, eps: Array) -> Any:
    root = np.empty_like(u)
    v = mean_square(v, u, decay, rest, root)
    np.sqrt(v, out=root)
    root += eps
    return np.divide(u, root, out=root), v
