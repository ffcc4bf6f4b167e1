"""The Jacobian of a model with a small output, a row a pullback."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np

from fcnn import tree
from fcnn._derivatives.examples import pull_examples
from fcnn._derivatives.signatures import InputJacobian, ParamsJacobian
from fcnn._doors import check_model
from fcnn._layer import EVAL, Context, Layer, refuse_context
from fcnn.errors import ArgumentError
from fcnn.tree import Observation


@overload
def jacobian(model: Layer, *, of: Literal["input"] = "input") -> InputJacobian: ...
@overload
def jacobian(model: Layer, *, of: Literal["params"]) -> ParamsJacobian: ...
def jacobian(model: Layer, *, of: Literal["input", "params"] = "input") -> Any:
    """Return the function that gives the Jacobian of each example's output.

    Row j of the Jacobian is the pullback of the j-th unit vector, which is computed for all
    examples at once: as many backward passes as an example's output has elements.

    Args:
        model: a layer whose output is one array.
        of: whether the input or the params move.

    Returns:
        ``f(params, x, ctx=EVAL) -> J``: for the input, ``(n, *out_shape, *in_shape)``, how
        example i's output depends on its input; for the params, a tree like params whose arrays
        have ``(n, *out_shape)`` in front. In the place of a statistic is an
        `fcnn.tree.Observation` that observed nothing.

    Raises:
        ArgumentError: if model is no layer or ``of`` something else; from ``f``, if the output
            is no array, or in training with batch statistics: they mix the examples.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.dense(3), fcnn.softmax)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> x = np.zeros((4, 2), np.float32)
    >>> fcnn.jacobian(model)(params, x).shape
    (4, 3, 2)
    >>> fcnn.jacobian(model, of="params")(params, x)[0].weight.shape
    (4, 3, 2, 3)
    """
    check_model(model)
    if of not in ("input", "params"):
        raise ArgumentError(f'expected of="input" or of="params", got {of!r}')

    def f(params: Any, x: Any, ctx: Context = EVAL) -> Any:
        if type(ctx) is not Context:
            refuse_context(ctx)
        in_params = of == "params"
        y, pull = pull_examples(model, params, x, ctx.at((), not in_params), in_params)
        if not isinstance(y, np.ndarray):
            raise ArgumentError(f"expected a model of one output array, got {type(y).__name__}")
        rows = []
        for j in range(math.prod(y.shape[1:])):
            dy = np.zeros(y.shape, y.dtype)
            dy.reshape(len(y), -1)[:, j] = 1
            rows.append(pull(dy)[0 if in_params else 1])
        return _stacked(params if in_params else x, rows, y.shape)

    return f


def _stacked(like: Any, rows: list[Any], shape: tuple[int, ...]) -> Any:
    """Return the rows as one tree, each array with the axes of the output in front."""

    def stack(leaf: Any, *grads: Any) -> Any:
        return np.stack(grads, axis=1).reshape(*shape, *grads[0].shape[1:])

    if isinstance(like, np.ndarray):
        return stack(like, *rows)
    leaves, structure = tree.flatten(like)
    marks = tree.statistics(like)
    columns = zip(*[tree.leaves(row) for row in rows], strict=True)
    made = [
        Observation(leaf, 1.0) if mark else stack(leaf, *column)
        for leaf, mark, column in zip(leaves, marks, columns, strict=True)
    ]
    return tree.unflatten(structure, made)
