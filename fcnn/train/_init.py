"""`init`: the state before the first step."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn import _batch, _doors, tree
from fcnn._batch import first_of
from fcnn._layer import Layer, is_shape
from fcnn._typing import Tree
from fcnn._walk import walk
from fcnn.errors import ArgumentError, ShapeError
from fcnn.optim import Optimizer
from fcnn.optim._contracts import check_optimizer
from fcnn.prng import Key, abstract_key, split
from fcnn.train._state import Setup, State

if TYPE_CHECKING:
    from fcnn.data import Examples


def init(
    model: Layer,
    optimizer: Optimizer,
    data: Examples,
    key: Key,
    *,
    params: Tree | None = None,
) -> State:
    """Return the state before the first step.

    Args:
        model: a layer.
        optimizer: an optimizer.
        data: the examples to learn from; the model is made for their shape, and in float64
            where the inputs are float64.
        key: the source of all randomness of the run.
        params: start from these; drawn from ``key`` if None.

    Raises:
        ArgumentError: if an argument is something else.
        DataError: if there are no data.
        ShapeError: if the model does not take such inputs.
        TreeError: if ``params`` are not the model's.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
    >>> state = fcnn.train.init(fcnn.dense(2), fcnn.optim.sgd(0.1), data, fcnn.key(0))
    >>> state.step, state.params.weight.dtype
    (0, dtype('float64'))
    """
    check_parts(model, optimizer, data)
    _doors.check_key(key)
    example = first_of(data).inputs
    if params is None:
        params = made_for(model, split(key, 4)[0], data)
    else:
        made_for(model, abstract_key(), data)
        _doors.check_bare(params)
        _doors.check_params(model, params, example)
    params = _in_dtype_of(example, params)
    return State(params, optimizer.init(params), key, Setup.of(model, optimizer, data))


def check_parts(model: Any, optimizer: Any, data: Any) -> None:
    """Refuse what is not a model, an optimizer and a data set.

    Raises:
        ArgumentError: with what to do.
        DataError: if there are no data.
    """
    _doors.check_model(model)
    if hasattr(optimizer, "inputs"):
        raise ArgumentError(
            f"expected an optimizer, got {_doors.kind_of(optimizer)}; "
            f"the arguments are (model, loss, optimizer, data)"
        )
    check_optimizer(optimizer)
    _doors.check_data(data)


def made_for(model: Layer, key: Key, data: Examples) -> Tree:
    """Return the params that a model has for such inputs.

    Raises:
        ShapeError: if it does not take them, with a hint if they look channels first.
    """
    shape = _batch.example_shape(first_of(data).inputs)
    try:
        params: Tree = model.init(key, shape)[0]
    except ShapeError as error:
        raise ShapeError(error.message + _hint(shape), error.path, error.call) from None
    if _looks_channels_first(model, shape):
        warnings.warn(
            f"inputs of shape {shape} are read as (h, w, c), channels last; if they are "
            f"channels first, pass np.moveaxis(x, 1, -1)",
            UserWarning,
            stacklevel=4,
        )
    return params


def _hint(shape: Any) -> str:
    if not is_shape(shape):
        return ""
    if len(shape) == 3 and shape[0] in (1, 3):
        return "; images are channels last, (n, h, w, c): np.moveaxis(x, 1, -1)"
    return "; images have a channel axis: x[..., np.newaxis]" if len(shape) == 2 else ""


def _looks_channels_first(model: Layer, shape: Any) -> bool:
    """Return whether a window slides over what may be the channels of a square image."""
    if not (is_shape(shape) and len(shape) == 3 and shape[0] in (1, 3)):
        return False
    field = next(walk(model, shape)).receptive_field
    return shape[1] == shape[2] > 4 and field is not None and field[1] > 1


def _in_dtype_of(inputs: Tree, params: Tree) -> Tree:
    """Return the params in the precision of the inputs, which decide."""
    dtypes = {leaf.dtype for leaf in tree.leaves(inputs) if leaf.dtype.kind == "f"}
    return tree.astype(params, np.result_type(*dtypes)) if dtypes else params
