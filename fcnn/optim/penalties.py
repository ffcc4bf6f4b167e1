"""Penalties on the params: a number that grows with them, and its gradient.

A penalty is two pure functions::

    apply(params) -> value
    vjp(params)   -> (value, pullback),   pullback(dvalue) -> dparams

`add_penalty` adds its gradient to those of the loss, in the head of an optimizer's chain, so that
it works with `fcnn.fit`, shards and any executor; the loss that is reported is then that of the
data alone, as with weight decay. In a loop of one's own, ``value + penalty(params)`` is the whole
objective, and `penalized` its value and gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._ops.values import called, number
from fcnn._typing import Array, Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import Init, Update, transform
from fcnn.optim._leaves import transformed
from fcnn.optim._states import EmptyState, expect
from fcnn.optim.masks import Mask, chosen

P = ParamSpec("P")
PenaltyPair: TypeAlias = tuple[
    Callable[[Any], float], Callable[[Any], tuple[float, Callable[[float], Any]]]
]


@attrs.frozen(eq=False, repr=False, slots=False)
class Penalty(Value):
    """A pair ``(apply, vjp)`` of functions of params; calling it applies it.

    >>> import numpy as np
    >>> from fcnn.optim import l2_penalty
    >>> penalty = l2_penalty(0.5)
    >>> penalty((np.array([3.0, 4.0]),))
    6.25
    """

    apply: Callable[[Tree], float]
    vjp: Callable[[Any], tuple[float, Callable[[float], Any]]]
    spec: Spec

    def __call__(self, params: Tree) -> float:
        """Return the penalty."""
        return self.apply(params)


def penalty(constructor: Callable[P, PenaltyPair]) -> Callable[P, Penalty]:
    """Make a function that returns ``apply, vjp`` of params return a `Penalty`.

    >>> from fcnn.optim import penalty
    >>> @penalty
    ... def linear(factor):
    ...     def vjp(params):
    ...         return factor * params[0], lambda dvalue: (factor * dvalue,)
    ...     return lambda params: factor * params[0], vjp
    >>> linear(2.0)((3.0,))
    6.0
    """
    return remember(constructor, lambda made, spec: Penalty(*made, spec), "Penalty")


def _of_elements(
    strength: float,
    mask: Mask | None,
    term: Callable[[Array], float],
    slope: Callable[[Array], Array],
) -> PenaltyPair:
    """Return the penalty ``strength · Σ term(weight)`` over the weights in a mask."""
    factor = _check.number(strength, "strength", 0.0, open_high=True)

    def in_mask(params: Tree) -> list[bool]:
        return [True] * len(tree.leaves(params)) if mask is None else chosen(mask, params)

    def flagged(params: Any, here: Callable[[Any], Any]) -> Any:
        """Return ``here(leaf)`` at each weight in the mask, 0 elsewhere; no statistic is one."""
        flags = iter(in_mask(params))

        def of_statistic(leaf: Any) -> Any:
            next(flags)
            return 0 * leaf

        return tree.map(lambda w: here(w) if next(flags) else 0 * w, params, statistic=of_statistic)

    def of_weight(w: Any) -> np.float64:
        return np.float64(term(np.asarray(w)))

    def apply(params: Tree) -> float:
        values: list[float] = []

        def note(w: Any) -> Any:
            values.append(number(called(of_weight, w)))
            return w

        flagged(params, note)
        return factor * sum(values)

    def vjp(params: Any) -> tuple[float, Callable[[float], Any]]:
        def pullback(dvalue: float) -> Any:
            by = factor * number(dvalue)
            return flagged(params, lambda w: by * slope(w))

        return apply(params), pullback

    return apply, vjp


@penalty
def l2_penalty(strength: float, *, mask: Mask | None = None) -> PenaltyPair:
    """Penalise squares: ``strength / 2 · Σ w²``; the gradient is ``strength · w``.

    With plain SGD this is `add_decayed_weights`. Keras's ``regularizers.L2(l2)`` has no half: it
    is ``l2_penalty(2 * l2)``.

    Args:
        strength: from 0.
        mask: the weights it applies to (`fcnn.optim.masked`), `fcnn.optim.matrices` for kernels
            alone; all weights if None. Statistics are never penalised.

    Raises:
        ArgumentError: if ``strength`` is negative or not finite.

    Source: A. E. Hoerl and R. W. Kennard, "Ridge regression", 1970,
    https://doi.org/10.1080/00401706.1970.10488634.

    >>> import numpy as np
    >>> from fcnn.optim import l2_penalty
    >>> value, pullback = l2_penalty(0.5).vjp((np.array([3.0, 4.0]),))
    >>> value, pullback(1.0)
    (6.25, (array([1.5, 2. ]),))
    """

    def squares(w: Array) -> float:
        return float(np.add.reduce(np.square(w, dtype=np.float64), axis=None)) / 2

    return _of_elements(strength, mask, squares, lambda w: w)


@penalty
def l1_penalty(strength: float, *, mask: Mask | None = None) -> PenaltyPair:
    """Penalise sizes: ``strength · Σ |w|``; the gradient is ``strength · sign(w)``, 0 at 0.

    Args:
        strength: from 0.
        mask: as in `l2_penalty`.

    Raises:
        ArgumentError: if ``strength`` is negative or not finite.

    Source: R. Tibshirani, "Regression shrinkage and selection via the lasso", 1996,
    https://doi.org/10.1111/j.2517-6161.1996.tb02080.x.

    >>> import numpy as np
    >>> from fcnn.optim import l1_penalty
    >>> value, pullback = l1_penalty(0.5).vjp((np.array([3.0, -4.0]),))
    >>> value, pullback(1.0)
    (3.5, (array([ 0.5, -0.5]),))
    """

    def sizes(w: Array) -> float:
        return float(np.add.reduce(np.abs(w), axis=None, dtype=np.float64))

    return _of_elements(strength, mask, sizes, np.sign)


def check_penalty(given: Any) -> None:
    """Refuse what is not a penalty.

    Raises:
        ArgumentError: with what there is.
    """
    if not callable(getattr(given, "vjp", None)) or hasattr(given, "init"):
        raise ArgumentError(f"expected a penalty, got {given!r}; use l1_penalty or l2_penalty")


@transform
def add_penalty(penalty: Penalty) -> tuple[Init, Update]:
    """Add the gradient of a penalty: ``u + dpenalty(p)``.

    At the head of a chain it is as if the penalty were part of the loss.

    Raises:
        ArgumentError: if it is no penalty.

    >>> from fcnn import optim
    >>> lasso = optim.chain(optim.add_penalty(optim.l1_penalty(0.5)), optim.scale_by_adam())
    >>> lasso
    chain(add_penalty(l1_penalty(0.5)), scale_by_adam())
    >>> t = optim.add_penalty(optim.l2_penalty(0.5))
    >>> t.update((1.0,), t.init((4.0,)), (4.0,))[0]
    (3.0,)
    """
    check_penalty(penalty)

    def update(updates: Tree, state: Any, params: Tree) -> tuple[Tree, Any]:
        expect(state, EmptyState)
        slopes = penalty.vjp(params)[1](1.0)
        return transformed(lambda p, slope, u: u + slope, updates, params, slopes), state

    return lambda params: EmptyState(), update


def penalized(
    function: Callable[..., tuple[Any, Any]], penalty: Penalty
) -> Callable[..., tuple[Any, Any]]:
    """Add a penalty to what `fcnn.value_and_grad` returns: to the value and to the gradients.

    ``penalized(f, penalty)(params, ...)`` is ``f(params, ...)`` with ``penalty(params)`` added to
    the value (to the first part of it, where ``f`` returns a prediction beside it) and its
    gradient to the gradients.

    Raises:
        ArgumentError: if it is no penalty, or ``function`` no function.

    >>> import numpy as np, fcnn
    >>> from fcnn import optim
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error)
    >>> ridge = optim.penalized(f, optim.l2_penalty(0.1, mask=optim.matrices))
    >>> x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    >>> ridge(params, x, y)[0] > f(params, x, y)[0]
    True
    """
    check_penalty(penalty)
    if not callable(function):
        raise ArgumentError(f"expected a function, as of fcnn.value_and_grad, got {function!r}")

    def with_penalty(params: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        value, grads = function(params, *args, **kwargs)
        more, pullback = penalty.vjp(params)
        both = transformed(lambda p, slope, g: g + slope, grads, params, pullback(1.0))
        return ((value[0] + more, *value[1:]) if isinstance(value, tuple) else value + more), both

    return with_penalty
