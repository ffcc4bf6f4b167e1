"""Muon: momentum of matrices, made orthogonal; Adam for the other weights."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._ops.gemm import product
from fcnn._ops.values import called
from fcnn._typing import Array, Tree
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._rows import refill
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.combine import chain
from fcnn.optim.masks import Mask, chosen, matrices, restrict
from fcnn.optim.moments import mean, scale_by_adam
from fcnn.optim.optimizers import Rate, decay_of
from fcnn.optim.transforms import positive, scale_by_learning_rate

A, B, C = 3.4445, -4.775, 2.0315
"""Of x → A x + B x³ + C x⁵, which has the steepest slope at 0 of those that stay near 1."""


@tree.node
class ScaleByMuonState:
    """The state of `scale_by_muon`.

    Attributes:
        mu: the moving average of the gradients, a tree like the params.
    """

    mu: Any = attrs.field(converter=kept)


@transform
def scale_by_muon(
    momentum: float = 0.95,
    *,
    nesterov: bool = True,
    ns_steps: int = 5,
    eps: float = 1e-7,
    consistent_rms: float | None = None,
    mask: Mask | None = None,
) -> tuple[Init, Update]:
    """Make the momentum of each matrix nearly orthogonal: all directions get equal steps (Muon).

    ``μ = momentum · μ + (1 - momentum) u``, and with Nesterov ``d = momentum · μ + (1 -
    momentum) u``, else ``d = μ``. With the singular values of d, ``d = U S Vᵀ``, the update is
    about ``U Vᵀ``, times ``sqrt(max(1, columns / rows))``. It is computed by products: from
    ``X = d / ‖d‖``, ``ns_steps`` times ``X = a X + (b G + c G²) X`` with ``G = X Xᵀ``, which
    brings all singular values that are not tiny to between 0.7 and 1.2.

    A kernel of more than two axes is the matrix of its last axis, the filters, against all
    others; an array of one axis is a matrix of one row.

    Args:
        momentum: the weight of the old average of the gradients.
        nesterov: whether to look one step ahead.
        ns_steps: the number of Newton-Schulz iterations.
        eps: the least norm that is divided by.
        consistent_rms: instead of the factor above, scale by ``consistent_rms ·
            sqrt(max(rows, columns))``, which gives all updates that root mean square; 0.2 is
            that of Adam, so that learning rates for Adam fit.
        mask: the weights it applies to; None is those with two axes or more.

    Raises:
        ArgumentError: if an argument is out of its range.

    Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon; ``consistent_rms``: J. Liu et al., "Muon is
    scalable for LLM training", 2025, https://arxiv.org/abs/2502.16982.

    >>> import numpy as np
    >>> from fcnn import optim
    >>> t, zeros = optim.scale_by_muon(), (np.zeros((2, 2)),)
    >>> updates, _ = t.update((np.array([[0.0, 100.0], [-20.0, 0.0]]),), t.init(zeros), zeros)
    >>> np.round(updates[0], 2) + 0.0
    array([[ 0.  ,  0.72],
           [-0.8 ,  0.  ]])
    """
    momentum = _check.number(momentum, "momentum", 0.0, 1.0, open_high=True)
    ns_steps = _check.whole(ns_steps, "ns_steps")
    eps = positive(eps, "eps")
    if consistent_rms is not None:
        consistent_rms = positive(consistent_rms, "consistent_rms")

    def at(p: Array, u: Array, m: Array, decay: Array, rest: Array) -> tuple[Array, Array]:
        m = mean(m, u, decay, rest)
        direction = mean(m, u, decay, rest) if nesterov else m
        if not direction.size:
            return direction.copy(), m
        matrix = direction.reshape(-1, direction.shape[-1])
        rows, columns = matrix.shape
        if consistent_rms is None:
            factor = math.sqrt(max(1.0, columns / max(rows, 1)))
        else:
            factor = consistent_rms * math.sqrt(max(rows, columns))
        new = called(orthogonal, matrix, ns_steps, eps).reshape(u.shape)
        return new * np.array(factor, u.dtype), m

    def begin(state: Any) -> Stage:
        expect(state, ScaleByMuonState)
        return Stage(at, ScaleByMuonState, (state.mu,), (momentum, 1 - momentum))

    def init(params: Tree) -> ScaleByMuonState:
        return ScaleByMuonState(tree.zeros_like(params))

    return restrict(init, leafwise(begin), matrices if mask is None else mask)


def orthogonal(matrix: Array, steps: int, eps: float) -> Array:
    """Return the matrix with its singular values near 1, by Newton-Schulz iterations.

    The side that is shorter is that of the products: a tall matrix is transposed.
    """
    rows, columns = matrix.shape
    x = np.ascontiguousarray(matrix.T if rows > columns else matrix)
    x = x / np.array(max(tree.norm(x), eps), x.dtype)
    n = len(x)
    a, b, c = (np.array(number, x.dtype) for number in (A, B, C))
    gram, square = np.empty((n, n), x.dtype), np.empty((n, n), x.dtype)
    moved = np.empty_like(x)
    for _ in range(steps):
        product(x, np.ascontiguousarray(x.T), gram)
        product(gram, gram, square)
        gram *= b
        square *= c
        gram += square
        product(gram, x, moved)
        x *= a
        x += moved
    made: Array = x.T if rows > columns else x
    return made


@optimizer
def muon(
    learning_rate: Rate,
    *,
    adam_learning_rate: Rate | None = None,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_steps: int = 5,
    consistent_rms: float | None = None,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Transform:
    """Descend by Muon (Jordan et al., 2024) for matrices and kernels, by Adam for the rest.

    `scale_by_muon` as in ``torch.optim.Muon``, which computes it in bfloat16; here it is
    computed in the dtype of the params. The source advises Adam for the last layer too, and for
    embeddings: leave them out of the mask, for example by `fcnn.optim.by_path`, and give Adam a
    rate of its own.

    Args:
        learning_rate: a number or a schedule, for Muon and, unless it has its own, for Adam.
        adam_learning_rate: a number or a schedule for the weights outside the mask.
        momentum: the weight of Muon's old average of the gradients.
        nesterov: whether Muon looks one step ahead.
        ns_steps: the number of Newton-Schulz iterations.
        consistent_rms: see `scale_by_muon`; with 0.2 one learning rate fits both.
        weight_decay: how much of Muon's weights is added to their direction.
        mask: the weights that Muon moves and that decay, while Adam moves the others; None is
            those with two axes or more.
        b1: Adam's weight of the old average of the gradients.
        b2: Adam's weight of the old average of their squares.
        eps: is added to the root of the latter.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> from fcnn import optim
    >>> optim.muon(0.02, adam_learning_rate=0.001)
    muon(0.02, adam_learning_rate=0.001)
    """
    of_muon: Mask = matrices if mask is None else mask
    direction = scale_by_muon(
        momentum,
        nesterov=nesterov,
        ns_steps=ns_steps,
        consistent_rms=consistent_rms,
        mask=of_muon,
    )

    def others(params: Tree) -> Tree:
        rest: Tree = refill(params, iter([not flag for flag in chosen(of_muon, params)]))
        return rest

    parts = [direction, scale_by_adam(b1=b1, b2=b2, eps=eps, mask=others)]
    if weight_decay:
        parts += decay_of(weight_decay, of_muon)
    if adam_learning_rate is None:
        return chain(*parts, scale_by_learning_rate(learning_rate))
    rate = scale_by_learning_rate(learning_rate, mask=of_muon)
    return chain(*parts, rate, scale_by_learning_rate(adam_learning_rate, mask=others))
