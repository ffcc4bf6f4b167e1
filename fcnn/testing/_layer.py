"""The laws that a layer obeys."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import EVAL, Context, Layer, training
from fcnn._typing import Array, Shape, Tree
from fcnn._value import Value
from fcnn.errors import ArgumentError
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import (
    DTYPES,
    KEY,
    gap_between,
    importable,
    misfit,
    normal,
    places,
    rounding,
    value_problem,
)
from fcnn.testing._vjp import check_vjp


@attrs.frozen
class _Case:
    """A layer, a place to look at it, and everything that the laws ask of it."""

    layer: Any
    shape: Shape
    out_shape: Shape
    params: Tree
    x: Array
    ctx: Context
    key: Key
    step: float
    rtol: float

    def at(self, dtype: np.dtype) -> tuple[Tree, Array]:
        """Params and input in a dtype, in memory that nobody else has."""
        params = tree.map(np.array, tree.astype(self.params, dtype))
        return params, self.x.astype(dtype)

    def apply(self, params: Tree, x: Array, ctx: Context | None = None) -> Array:
        _, apply, _ = self.layer
        return np.asarray(apply(params, x, self.ctx if ctx is None else ctx))

    def vjp(self, params: Tree, x: Array, ctx: Context | None = None) -> Any:
        _, _, vjp = self.layer
        return vjp(params, x, self.ctx if ctx is None else ctx)

    def dy(self, y: Array, i: int = 0) -> Array:
        """A gradient at the output, of y's dtype."""
        return normal(fold_in(self.key, 100 + i), np.shape(y)).astype(y.dtype)


def check_layer(
    layer: Layer,
    shape: Shape,
    *,
    key: Key = KEY,
    batch: int = 3,
    ctx: Context | None = None,
    params: Tree = None,
    x: Array | None = None,
    step: float = 1e-7,
    rtol: float = 1e-5,
) -> None:
    """Hold a layer to everything that fcnn relies on in a layer.

    - *init* gives the same bits for the same key, and the shape that apply gives.
    - *vjp*'s y is apply's y, bit for bit.
    - *gradient*: the pullback is the transposed Jacobian, ``<Jᵀ dy, v> = <dy, J v>``
      (see `check_vjp`), also where inputs tie, as they do in the flat parts of an image.
    - *linear*: the pullback is linear in dy; what it returns for a statistic does not
      depend on dy.
    - *structure*: gradients have the structure and the shapes of params and x.
    - *dtype*: float32 gives float32 and float64 gives float64, with nearly the same y.
    - *purity*: nothing that is passed in is changed, and nothing but that counts: the
      same bits come out twice, from read-only arrays too, and nearly the same numbers
      from arrays in another memory layout.
    - *batch*: in evaluation the examples of a batch do not see each other.
    - *input_grad*: without dx, dparams is the same.
    - *value*: the layer pickles, equals its copy, and prints as the call that makes it.

    Args:
        layer: the layer, or a bare ``(init, apply, vjp)``.
        shape: the shape of one example.
        key: where every random number of the check comes from.
        batch: how many examples.
        ctx: the context; both `fcnn.EVAL` and training with a key if None.
        params: where to check; what init makes, moved at random, if None: at zero biases
            and unit scales some mistakes cannot be seen.
        x: where to check; normal draws if None.
        step: as in `check_vjp`.
        rtol: as in `check_vjp`.

    Raises:
        AssertionError: naming the layer, the law and what was seen.

    >>> import fcnn
    >>> from fcnn.testing import check_layer
    >>> check_layer(fcnn.serial(fcnn.conv2d(2, 3), fcnn.relu), (5, 5, 1))
    >>> @fcnn.layer
    ... def double():
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x, lambda dy: ((), 2.002 * dy)
    ...     return init, apply, vjp
    >>> check_layer(double(), (4,))
    Traceback (most recent call last):
    AssertionError: double() breaks the law 'gradient' on (4,) in evaluation: ...
    """
    if batch < 1:
        raise ArgumentError(f"batch must be at least 1, and {batch!r} came")
    init, _, _ = layer
    made, out_shape = init(key, shape)
    repeated, _ = init(key, shape)
    if tree.digest(made) != tree.digest(repeated):
        raise AssertionError(f"{layer!r} breaks the law 'init': one key gave two sets of params")
    if params is None:
        params = _moved(tree.astype(made, np.float64), fold_in(key, 1))
    if x is None:
        x = normal(fold_in(key, 2), (batch, *shape))
    for each in (EVAL, training(fold_in(key, 3))) if ctx is None else (ctx,):
        case = _Case(layer, shape, out_shape, params, x, each, fold_in(key, 4), step, rtol)
        for law, broken in _LAYER_LAWS.items():
            try:
                problem = broken(case)
            except AssertionError as error:
                problem = str(error)
            if problem:
                mode = "training" if each.train else "evaluation"
                raise AssertionError(
                    f"{layer!r} breaks the law {law!r} on {shape} in {mode}: {problem}"
                )


def _moved(params: Tree, key: Key) -> Tree:
    """Params somewhere else; statistics upwards, since one of them may be a variance."""
    numbers = itertools.count()

    def offset(leaf: Any) -> Array:
        return 0.5 * normal(fold_in(key, next(numbers)), np.shape(leaf))

    return tree.map(lambda p: p + offset(p), params, statistic=lambda p: p + np.abs(offset(p)))


def _law_init(case: _Case) -> str:
    y = case.apply(case.params, case.x)
    wanted = (len(case.x), *case.out_shape)
    if y.shape != wanted:
        return f"init says that y has the shape {wanted}, and apply gives {y.shape}"
    return ""


def _law_vjp(case: _Case) -> str:
    for dtype in DTYPES:
        params, x = case.at(dtype)
        apart = tree.digest(case.apply(params, x)) != tree.digest(case.vjp(params, x)[0])
        if apart:
            return f"apply and vjp give different bits for y in {dtype}"
    return ""


def _law_structure(case: _Case) -> str:
    y, pullback = case.vjp(case.params, case.x)
    dparams, dx = pullback(case.dy(y))
    if tree.structure(dparams) != tree.structure(case.params):
        return f"dparams is {tree.structure(dparams)}, params is {tree.structure(case.params)}"
    if problem := misfit(case.params, dparams):
        return f"dparams: {problem}"
    if np.shape(dx) != np.shape(case.x):
        return f"dx has the shape {np.shape(dx)}, and x has {np.shape(case.x)}"
    return ""


def _law_gradient(case: _Case) -> str:
    check_vjp(
        case.apply,
        case.vjp,
        case.params,
        case.x,
        key=case.key,
        step=case.step,
        rtol=case.rtol,
        names=("params", "x"),
    )
    if case.x.ndim < 3:
        return ""

    # Inputs that are equal all over a channel and move together: whichever of them a
    # maximum picks, the derivative is the same, so a tie must be counted exactly once.
    axes = tuple(range(1, case.x.ndim - 1))
    corner: tuple[Any, ...] = (slice(None), *(0 for _ in axes))

    def spread(a: Array) -> Array:
        return np.array(np.broadcast_to(np.expand_dims(a, axes), case.x.shape))

    def vjp(a: Array) -> tuple[Array, Callable[[Array], Sequence[Tree]]]:
        y, pullback = case.vjp(case.params, spread(a))
        return y, lambda dy: (pullback(dy)[1].sum(axis=axes),)

    check_vjp(
        lambda a: case.apply(case.params, spread(a)),
        vjp,
        case.x[corner],
        key=case.key,
        step=case.step,
        rtol=case.rtol,
        names=("an x that is constant over each channel",),
    )
    return ""


def _law_linear(case: _Case) -> str:
    y, pullback = case.vjp(case.params, case.x)
    one, two = case.dy(y), case.dy(y, 1)
    first, together = pullback(one), pullback(2 * one - 3 * two)
    # For a statistic, which does not depend on dy, all of them give the same.
    wanted = tree.map(lambda a, b: 2 * a - 3 * b, first, pullback(two), statistic=lambda a, b: a)
    if (gap := gap_between(together, wanted)) > 1e-9:
        worst = max(
            zip(places(wanted), tree.leaves(together), tree.leaves(wanted), strict=True),
            key=lambda row: float(np.max(np.abs(row[1] - row[2]), initial=0)),
        )
        return (
            f"the pullback is not linear in dy, or what it gives for a statistic depends on "
            f"dy: {worst[0]} is off by {gap:.3g} of the largest gradient"
        )
    return ""


def _law_dtype(case: _Case) -> str:
    ys = []
    for dtype in DTYPES:
        params, x = case.at(dtype)
        y, pullback = case.vjp(params, x)
        grads = pullback(case.dy(y))
        ys.append(case.apply(params, x))
        for path, leaf in zip(["y", *places(grads)], [ys[-1], *tree.leaves(grads)], strict=True):
            came = np.asarray(leaf).dtype
            if came != dtype:
                return f"{dtype} went in, and {path} is {came}"
    if (gap := gap_between(*ys)) > 1e-3:
        return f"y in float32 and in float64 are {gap:.3g} apart"
    return ""


def _law_purity(case: _Case) -> str:
    for dtype in DTYPES:
        params, x = case.at(dtype)
        outputs = []
        for arrays in ("writeable", "writeable", "read-only"):
            dy = case.dy(case.apply(params, x))
            x.flags.writeable = dy.flags.writeable = arrays == "writeable"
            before = [tree.digest(each) for each in (params, x, dy)]
            try:
                applied = case.apply(params, x)
                y, pullback = case.vjp(params, x)
                outputs.append(tree.digest((applied, y, pullback(dy))))
                repeated = tree.digest((applied, y, pullback(dy)))
            except ValueError as error:
                if "read-only" in str(error):
                    return f"it does not work on read-only arrays: {error}"
                raise
            after = [tree.digest(each) for each in (params, x, dy)]
            for name, was, is_now in zip(("params", "x", "dy"), before, after, strict=True):
                if was != is_now:
                    return f"{name} was changed"
            if repeated != outputs[-1]:
                return "a pullback called twice gives different bits, or changes y"
        if len(set(outputs)) > 1:
            return "the same arguments gave different bits"
        problem = _other_layout(case, params, x)
        if problem:
            return problem
    return ""


def _other_layout(case: _Case, params: Tree, x: Array) -> str:
    y, pullback = case.vjp(params, x)
    dy = case.dy(y)
    plain = (y, pullback(dy))
    for name, strided in (("Fortran-ordered", np.asfortranarray), ("strided", _strided)):
        y, pullback = case.vjp(params, strided(x))
        if (gap := gap_between((y, pullback(strided(dy))), plain)) > rounding(x.dtype):
            return f"{name} arrays give results {gap:.3g} apart from contiguous ones"
    return ""


def _strided(array: Array) -> Array:
    """The same numbers, every other element of an array of twice the length, backwards."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::-2] = array
    return wide[..., ::-2]


def _law_batch(case: _Case) -> str:
    if case.ctx.train:
        return ""
    whole = case.apply(case.params, case.x)
    parts = [case.apply(case.params, case.x[i : i + 1]) for i in range(len(case.x))]
    if (gap := gap_between(whole, np.concatenate(parts))) > rounding(whole.dtype):
        return f"y of the batch and y of its examples one by one are {gap:.3g} apart"
    return ""


def _law_input_grad(case: _Case) -> str:
    ctx = attrs.evolve(case.ctx, input_grad=False)
    y, pullback = case.vjp(case.params, case.x)
    bare_y, bare_pullback = case.vjp(case.params, case.x, ctx)
    wanted, came = pullback(case.dy(y))[0], bare_pullback(case.dy(y))[0]
    if tree.digest(y) != tree.digest(bare_y):
        return "without dx, y has different bits"
    if tree.structure(wanted) != tree.structure(came):
        return "without dx, dparams has another structure"
    if (gap := gap_between(wanted, came)) > rounding(y.dtype):
        return f"with and without dx, dparams are {gap:.3g} apart"
    return ""


def _law_value(case: _Case) -> str:
    if not isinstance(case.layer, Value):
        return ""
    if problem := value_problem(case.layer):
        return problem
    if not importable(case.layer):
        return ""
    copy = pickle.loads(pickle.dumps(case.layer))
    y = copy.apply(case.params, case.x, case.ctx)
    if tree.digest(y) != tree.digest(case.apply(case.params, case.x)):
        return "its copy by pickle gives different bits"
    return ""


_LAYER_LAWS: dict[str, Callable[[_Case], str]] = {
    "init": _law_init,
    "vjp": _law_vjp,
    "structure": _law_structure,
    "purity": _law_purity,
    "dtype": _law_dtype,
    "linear": _law_linear,
    "gradient": _law_gradient,
    "batch": _law_batch,
    "input_grad": _law_input_grad,
    "value": _law_value,
}
