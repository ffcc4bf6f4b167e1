"""`jvp`: forward mode, exact, from the triples alone.

The tangent of the output of y = f(params, x) is J_params dparams + J_x dx. A chain of layers
passes tangents on, layers side by side each compute their own, which their join, a layer too,
puts together. A single layer's product is that of its kind (`kinds`), or the first of the
`candidates` that agrees with the pullback.

All of it is computed in float64: the comparison then has twelve digits.

Source: A. Griewank and A. Walther, "Evaluating derivatives", 2nd ed., 2008, chapter 3,
https://doi.org/10.1137/1.9780898717761.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._derivatives import candidates, kinds
from fcnn._derivatives.candidates import Candidate, Point
from fcnn._derivatives.certificate import agree, floats, random_like
from fcnn._derivatives.signatures import Jvp
from fcnn._derivatives.wiring import Wires, wires_of
from fcnn._doors import check_model
from fcnn._layer import EVAL, Context, Layer, core, refuse_context
from fcnn._typing import Tree
from fcnn.errors import FcnnError
from fcnn.layers._joins import total_of
from fcnn.prng import Key


def jvp(model: Layer) -> Jvp:
    """Return the function that gives a model's output and its tangent, in forward mode.

    ``dy = J_params dparams + J_x dx``, the derivative of the output as params and input move
    along their tangents. Exact, for any layer, a user's too: what a layer makes of a tangent is
    computed from its ``apply`` and ``vjp`` and, unless the layer's kind is known, verified by the
    pullback, ``<r, dy> = <pullback(r), (dparams, dx)>`` for random r. In float64 and without
    fused kernels, it costs 5 to 15 times ``apply``. A layer that is neither affine, elementwise,
    a selection nor a normalisation is slow: one pullback for each element of an example's
    output, or, where examples mix or params are not affine, of the batch's.

    Args:
        model: a layer.

    Returns:
        ``f(params, x, dparams, dx, ctx=EVAL) -> (y, dy)``. The tangents are trees like params
        and x; None stands for zero. Statistics have no tangent: what stands in their place,
        and in that of whole numbers, is not read.

    Raises:
        ArgumentError: if model is no layer.
        TreeError: from ``f``, if a tangent has another structure or shape.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.dense(3), fcnn.tanh)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> x, dx = np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)
    >>> y, dy = fcnn.jvp(model)(params, x, None, dx)
    >>> bool(np.allclose(dy, params[0].weight.sum(axis=0)))
    True
    """
    check_model(model)

    def f(params: Tree, x: Any, dparams: Tree, dx: Any, ctx: Context = EVAL) -> tuple[Any, Any]:
        if type(ctx) is not Context:
            refuse_context(ctx)
        for value, tangent in ((params, dparams), (x, dx)):
            if tangent is not None:
                tree.map(lambda *_: 0, value, tangent)
        wide = [tree.astype(each, np.float64) for each in (params, x, dparams, dx)]
        y, dy = forward(model, wide[0], wide[1], ctx.at((), True), wide[2], wide[3])
        y_like = model.apply(params, x, ctx)
        dy = tree.zeros_like(y) if dy is None else dy
        return y_like, tree.map(lambda a, b: b.astype(a.dtype), y_like, dy)

    return f


def forward(
    layer: Layer, params: Any, x: Any, ctx: Context, dparams: Any, dx: Any
) -> tuple[Any, Any]:
    """Return the output and its tangent; a tangent of None is zero."""
    if isinstance(x, np.ndarray) and x.dtype.kind != "f":
        dx = None
    dparams = dparams if floats(params) else None
    wires = wires_of(layer)
    if wires is not None:
        y, dy = _through(wires, params, x, ctx, dparams, dx)
        if wires.is_known or _Certificate(point(layer, params, x, ctx)).holds(dy, dparams, dx):
            return y, dy
    return of_leaf(layer, params, x, ctx, dparams, dx)


def _through(
    wires: Wires, params: Any, x: Any, ctx: Context, dparams: Any, dx: Any
) -> tuple[Any, Any]:
    own, contexts = wires.own(params), wires.contexts(ctx)
    tangents = [None] * len(own) if dparams is None else wires.own(dparams)
    each = list(zip(wires.parts, own, contexts, tangents, strict=True))
    if wires.wiring == "chain":
        for part, its, context, tangent in each:
            x, dx = forward(part.layer, its, x, context, tangent, dx)
        return x, dx
    pairs = [
        forward(part.layer, its, seen, context, tangent, dseen)
        for (part, its, context, tangent), seen, dseen in zip(
            each, wires.read(x), wires.read(dx), strict=True
        )
    ]
    y: Any = wires.apart([y for y, _ in pairs])
    dy = wires.tangent([y for y, _ in pairs], [dy for _, dy in pairs])
    return (y, dy) if wires.join is None else forward(wires.join, (), y, ctx, None, dy)


def of_leaf(
    layer: Layer, params: Any, x: Any, ctx: Context, dparams: Any, dx: Any
) -> tuple[Any, Any]:
    """Return what a single layer makes of its arguments and their tangents."""
    known = kinds.product(layer, params, x, ctx, dparams, dx)
    if known is not None:
        return known
    at = point(layer, params, x, ctx)
    if dparams is None and dx is None:
        return at.y, None
    certificate = _Certificate(at)
    tangents = []
    if dx is not None:
        tangents.append(certificate.first(candidates.of_input(at, dx), None, dx))
    if dparams is not None:
        tangents.append(certificate.first(candidates.of_params(at, dparams), dparams, None))
    return at.y, total_of(tangents)


def point(layer: Layer, params: Any, x: Any, ctx: Context) -> Point:
    """Return where a layer is, for the candidates."""
    y, pullback = core(layer.vjp)(params, x, ctx)
    return Point(layer, params, x, ctx, y, pullback)


class _Certificate:
    """A random dy with its pullback, against which tangents of the output are tried."""

    def __init__(self, at: Point) -> None:
        self._at = at

    @functools.cached_property
    def _drawn(self) -> tuple[Any, Any, Any]:
        dy = random_like(self._at.y, Key(0))
        return dy, *self._at.pullback(dy)

    def holds(self, u: Any, dparams: Any, dx: Any) -> bool:
        """Return whether u is the tangent of the output."""
        u = tree.zeros_like(self._at.y) if u is None else u
        dy, grads, pulled = self._drawn
        return agree(dy, u, _read(grads, dparams, pulled, dx), _read(dparams, dparams, dx, dx))

    def first(self, found: Sequence[Candidate], dparams: Any, dx: Any) -> Any:
        """Return the first candidate that holds, or else what every row pulled back gives."""
        for candidate in found:
            try:
                with np.errstate(all="ignore"):
                    u = candidate()
                    holds = self.holds(u, dparams, dx)
            except (FcnnError, ValueError, ArithmeticError, IndexError):
                continue  # the layer does not take what its kind would
            if holds:
                return u
        return candidates.row_by_row(self._at, dparams, dx)


def _read(grads: Any, dparams: Any, pulled: Any, dx: Any) -> Tree:
    """Return the gradients, or tangents, of what has a tangent."""
    return () if dparams is None else grads, () if dx is None else pulled
