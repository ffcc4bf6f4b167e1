"""Candidates for the product of a layer's Jacobian with a tangent, from its triple alone.

A layer that `fcnn._derivatives.kinds` does not know has no forward rule, but most are of a kind
whose Jacobian J is at hand:

* J is symmetric (elementwise functions, softmax): ``J v = Jᵀ v``, the pullback of v.
* The function is affine (dense, convolutions, averages, whatever moves elements):
  ``J v = f(v) - f(0)``.
* It is affine in each item of a tuple (products): the sum of these over the items.
* Each output is one of the inputs (max pooling): the pullback says which, if no input is two
  outputs; or the function itself, applied to the inputs' ranks, because it commutes with
  increasing functions.
* It normalises, then scales: ``J = diag(scale) M`` with M symmetric, being the Hessian of a
  norm.
* None of these: the rows of J are pulled back one by one, at all positions at once where
  positions do not mix, and at all examples at once where examples do not mix.

A candidate need not be right: `fcnn._derivatives.certificate` tells. Only the last one, with
every row pulled back by itself, is right whatever the layer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import numpy as np

from fcnn import tree
from fcnn._derivatives.certificate import by_memory, inner, laid_out
from fcnn._layer import Context, Layer
from fcnn._typing import Array, Tree

Candidate: TypeAlias = Callable[[], Any]
"""Gives what may be the tangent; may raise where the layer is of another kind."""


@attrs.frozen(eq=False)
class Point:
    """Where a leaf layer is differentiated: its arguments, output and pullback."""

    layer: Layer
    params: Tree
    x: Any
    ctx: Context
    y: Any
    pullback: Callable[[Any], tuple[Any, Any]]

    def apply(self, params: Tree, x: Any) -> Any:
        """Return the layer's output at other arguments, in the same context."""
        return self.layer.apply(params, x, self.ctx)


def of_input(at: Point, dx: Any) -> list[Candidate]:
    """Return candidates for the tangent of the output for the tangent ``dx`` of the input."""
    affine = functools.partial(_affine, at, dx)
    if not (isinstance(at.x, np.ndarray) and isinstance(at.y, np.ndarray)):
        return [affine, functools.partial(_item_by_item, at, dx)]
    selection = [functools.partial(each, at, dx) for each in (_of_apart, _of_selection)]
    found: list[Candidate] = [affine, *selection]
    if at.x.shape == at.y.shape:
        found.insert(0, lambda: at.pullback(dx)[1])
        if hasattr(at.params, "scale"):
            found.append(functools.partial(_of_normalisation, at, dx))
    for lead in reversed(range(1, min(at.x.ndim, at.y.ndim))):
        if at.x.shape[:lead] == at.y.shape[:lead]:
            found.append(functools.partial(_rows_at_once, at, dx, lead))
    return found


def of_params(at: Point, dparams: Tree) -> list[Candidate]:
    """Return candidates for the tangent of the output for the tangent of the params."""

    def affine() -> Any:
        moved = tree.map(lambda p, d: d, at.params, dparams, statistic=lambda p, d: p)
        still = tree.map(np.zeros_like, at.params, statistic=lambda p: p)
        return _minus(at.apply(moved, at.x), at.apply(still, at.x))

    return [affine, lambda: tree.zeros_like(at.y)]


def row_by_row(at: Point, dparams: Tree, dx: Any) -> Any:
    """Return the tangent of the output, ``<row of J, v>`` for each of its elements: exact."""
    leaves, shape = tree.flatten(at.y)
    out = []
    for i, leaf in enumerate(leaves):
        tangent, row = np.zeros(leaf.shape), [np.zeros_like(each) for each in leaves]
        for index in np.ndindex(leaf.shape):
            row[i] = np.zeros_like(leaf)
            row[i][index] = 1
            grads, pulled = at.pullback(tree.unflatten(shape, row))
            tangent[index] = 0 if dparams is None else inner(grads, dparams)
            tangent[index] += 0 if dx is None else inner(pulled, dx)
        out.append(tangent)
    return tree.unflatten(shape, out)


def _affine(at: Point, dx: Any) -> Any:
    return _minus(at.apply(at.params, dx), at.apply(at.params, tree.zeros_like(dx)))


def _minus(a: Tree, b: Tree) -> Any:
    return tree.map(np.subtract, a, b)


def _item_by_item(at: Point, dx: Any) -> Any:
    """Return Σ over the items of f(item -> tangent) - f(item -> 0)."""
    items, shape = tree.flatten(at.x)
    total: Any = tree.zeros_like(at.y)
    for i, tangent in enumerate(tree.leaves(dx)):
        ahead, still = (
            at.apply(at.params, tree.unflatten(shape, [*items[:i], new, *items[i + 1 :]]))
            for new in (tangent, np.zeros_like(tangent))
        )
        total = tree.map(np.add, total, _minus(ahead, still))
    return total


def _of_apart(at: Point, dx: Array) -> Any:
    """Return the tangents of the elements that the outputs are, if no two are the same one.

    The pullback of the outputs' numbers then says at each element which output it is.
    """
    pulled = at.pullback(laid_out(np.arange(1.0, 1 + at.y.size), at.y))[1]
    order = by_memory(pulled)  # a mask is slow across the order of memory
    pulled, tangents = pulled.transpose(order), dx.transpose(order)
    chosen = pulled != 0
    u = np.zeros(at.y.size)
    u[pulled[chosen].astype(np.int64) - 1] = tangents[chosen]
    return laid_out(u, at.y)


def _of_selection(at: Point, dx: Array) -> Any:
    """Return the tangents of the elements that the outputs are; of equal ones, the first."""
    flat = at.x.ravel()
    order = np.lexsort((-np.arange(flat.size), flat))
    ranks = np.empty(flat.size)
    ranks[order] = np.arange(flat.size)
    chosen = np.rint(at.apply(at.params, ranks.reshape(at.x.shape)))
    if not ((chosen >= 0) & (chosen < flat.size)).all():
        return np.full(at.y.shape, np.nan)
    return dx.ravel()[order[chosen.astype(np.int64)]]


def _of_normalisation(at: Point, dx: Array) -> Any:
    params: Any = at.params
    plain = attrs.evolve(params, scale=np.ones_like(params.scale))
    return params.scale * at.layer.vjp(plain, at.x, at.ctx)[1](dx)[1]


def _rows_at_once(at: Point, dx: Array, lead: int) -> Array:
    """Return J v where J is block-diagonal over the first ``lead`` axes."""
    u = np.zeros(at.y.shape)
    axes = tuple(range(lead, dx.ndim))
    for index in np.ndindex(at.y.shape[lead:]):
        dy = np.zeros(at.y.shape)
        dy[(..., *index)] = 1
        u[(..., *index)] = (at.pullback(dy)[1] * dx).sum(axis=axes)
    return u
