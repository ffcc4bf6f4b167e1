"""Adagrad and Adadelta: steps divided by all squared gradients so far, or by their average.

In the formulas, u is the update that comes in, and all sums and averages start at zero.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._typing import Array, Tree
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import mean_square
from fcnn.optim.optimizers import Rate, decay_of, descent
from fcnn.optim.transforms import positive


@tree.node
class ScaleByAdagradState:
    """The state of `scale_by_adagrad`.

    Attributes:
        sum_of_squares: the sum of the squared gradients, a tree like the params.
    """

    sum_of_squares: Any = attrs.field(converter=kept)


@tree.node
class ScaleByAdadeltaState:
    """The state of `scale_by_adadelta`.

    Attributes:
        nu: the moving average of the squared gradients, a tree like the params.
        delta: the moving average of the squared updates.
    """

    nu: Any = attrs.field(converter=kept)
    delta: Any = attrs.field(converter=kept)


@transform
def scale_by_adagrad(*, eps: float = 1e-10, mask: Mask | None = None) -> tuple[Init, Update]:
    """Divide by the root of the sum of all squared gradients (Adagrad).

    ``s = s + u²``, and the update is ``u / (sqrt(s) + eps)``.

    Args:
        eps: is added to the root.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``eps`` is not greater than 0.

    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning
    and stochastic optimization", 2011, https://jmlr.org/papers/v12/duchi11a.html.

    >>> from fcnn import optim
    >>> t = optim.scale_by_adagrad()
    >>> updates, state = t.update((3.0,), t.init((0.0,)), (0.0,))
    >>> round(t.update((4.0,), state, (0.0,))[0][0], 6)
    0.8
    """
    eps = positive(eps, "eps")

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAdagradState)
        return Stage(_adagrad, ScaleByAdagradState, (state.sum_of_squares,), (eps,))

    def init(params: Tree) -> ScaleByAdagradState:
        return ScaleByAdagradState(tree.zeros_like(params))

    return restrict(init, leafwise(begin), mask)


def _adagrad(p: Array, u: Array, s: Array, eps: Array) -> tuple[Array, Array]:
    new = u * u
    new += s
    root = np.sqrt(new)
    root += eps
    return np.divide(u, root, out=root), new


@transform
def scale_by_adadelta(
    decay: float = 0.9, *, eps: float = 1e-6, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Multiply by the root of the average squared update over that of the squared gradient.

    ``ν = decay ν + (1 - decay) u²``, the update is ``d = u sqrt((δ + eps) / (ν + eps))``, and
    then ``δ = decay δ + (1 - decay) d²``.

    Args:
        decay: the weight of the old averages.
        eps: is added to both averages.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``decay`` is not in [0, 1), or ``eps`` is not greater than 0.

    Source: M. Zeiler, "ADADELTA: an adaptive learning rate method", 2012,
    https://arxiv.org/abs/1212.5701, algorithm 1.

    >>> from fcnn import optim
    >>> t = optim.scale_by_adadelta(0.75, eps=1.0)
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    1.788854
    """
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)
    eps = positive(eps, "eps")

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAdadeltaState)
        moments = state.nu, state.delta
        return Stage(_adadelta, ScaleByAdadeltaState, moments, (decay, 1 - decay, eps))

    def init(params: Tree) -> ScaleByAdadeltaState:
        zeros = tree.zeros_like(params)
        return ScaleByAdadeltaState(zeros, zeros)

    return restrict(init, leafwise(begin), mask)


def _adadelta(
    p: Array, u: Array, v: Array, d: Array, decay: Array, rest: Array, eps: Array
) -> tuple[Array, Array, Array]:
    scratch = np.empty_like(u)
    v = mean_square(v, u, decay, rest, scratch)
    root = np.sqrt(np.add(v, eps, out=scratch), out=scratch)
    new = np.sqrt(d + eps)
    new /= root
    new *= u
    return new, v, mean_square(d, new, decay, rest, scratch)


@optimizer
def adagrad(
    learning_rate: Rate,
    *,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by Adagrad (Duchi et al., 2011): `scale_by_adagrad`. As ``torch.optim.Adagrad``.

    Args:
        learning_rate: a number or a schedule.
        eps: is added to the root of the sum of the squared gradients.
        weight_decay: how much of the weights is added to the gradients.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.adagrad(0.01)
    adagrad(0.01)
    """
    return descent(learning_rate, *decay_of(weight_decay, mask), scale_by_adagrad(eps=eps))


@optimizer
def adadelta(
    learning_rate: Rate = 1.0,
    *,
    decay: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by Adadelta (Zeiler, 2012): `scale_by_adadelta`. As ``torch.optim.Adadelta``.

    Args:
        learning_rate: a number or a schedule; the source has none, which is 1.
        decay: the weight of the old averages of squared gradients and of squared updates.
        eps: is added to both averages.
        weight_decay: how much of the weights is added to the gradients.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.adadelta()
    adadelta()
    """
    direction = scale_by_adadelta(decay, eps=eps)
    return descent(learning_rate, *decay_of(weight_decay, mask), direction)
