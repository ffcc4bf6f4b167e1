"""Checks of what the functions at the top take: model, loss, data, key, params and metrics.

Each raises one sentence with the remedy, before anything is computed.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fcnn import _batch, tree
from fcnn._call import check_call
from fcnn._layer import Layer, is_shape, shapes_of
from fcnn._typing import Tree
from fcnn._value import Value
from fcnn.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    FcnnError,
    MissingKeyError,
    ShapeError,
    TreeError,
)
from fcnn.prng import Key, abstract_key

P = ParamSpec("P")
R = TypeVar("R")

_REMEDIES = {
    "lr": "pass it to the optimizer: fcnn.optim.adam(learning_rate)",
    "learning_rate": "pass it to the optimizer: fcnn.optim.adam(learning_rate)",
    "validation_data": "use validation=fcnn.data.Dataset(inputs, targets)",
    "val_data": "use validation=fcnn.data.Dataset(inputs, targets)",
    "validation_split": "cut a part off: data[n:] to learn from, validation=data[:n]",
    "callbacks": "write the loop over fcnn.train.epochs",
    "verbose": "use log=None for silence",
    "shuffle": "leave it out: each epoch goes through the data in an order of its own",
    "seed": "use key=fcnn.key(0)",
    "rng": "use key=fcnn.key(0)",
    "random_state": "use key=fcnn.key(0)",
    "initial_epoch": "pass state=run.state of the earlier run",
    "workers": "use executor=fcnn.parallel.threads()",
    "num_workers": "use executor=fcnn.parallel.threads()",
    "n_jobs": "use executor=fcnn.parallel.threads()",
    "x": "wrap the arrays: fcnn.data.Dataset(inputs, targets)",
    "y": "wrap the arrays: fcnn.data.Dataset(inputs, targets)",
    "batch_size": "use shard_size; it changes no result",
}
"""What to do about an argument of other libraries."""

_SURPLUS = (
    "name the others; inputs and targets are one argument, fcnn.data.Dataset(inputs, targets)"
)

_OTHER_NAMES = {
    "mse": "mean_squared_error",
    "l2": "mean_squared_error",
    "mae": "mean_absolute_error",
    "l1": "mean_absolute_error",
    "kldiv": "softmax_kl_divergence (of logits) or kl_divergence",
    "kldivergence": "softmax_kl_divergence (of logits) or kl_divergence",
    "bce": "sigmoid_cross_entropy (of logits) or binary_cross_entropy",
    "binarycrossentropy": "sigmoid_cross_entropy (of logits) or binary_cross_entropy",
    "bcewithlogits": "sigmoid_cross_entropy",
    "ce": "softmax_cross_entropy",
    "nll": "softmax_cross_entropy",
    "crossentropy": "softmax_cross_entropy",
    "categoricalcrossentropy": "softmax_cross_entropy (of logits) or categorical_cross_entropy",
    "sparsecategoricalcrossentropy": "softmax_cross_entropy",
}
"""What other libraries call a loss in a string, and what it is called here."""


def hinting(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that is called with arguments of other libraries say what to write."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def hinted(*args: P.args, **kwargs: P.kwargs) -> R:
        check_call(function.__name__, signature, args, kwargs, _REMEDIES, _SURPLUS)
        return function(*args, **kwargs)

    return hinted


def check_model(model: Any) -> None:
    """Refuse what is not a layer.

    Raises:
        ArgumentError: with what to do.
    """
    if isinstance(model, Layer):
        return
    if isinstance(model, Value):
        hint = "; the model comes first"
    elif getattr(model, "__qualname__", "").startswith("Layer."):
        hint = "; pass the layer itself, not one of its functions"
    elif callable(model):
        hint = "; call the constructor"
    elif isinstance(model, tuple) and not any(isinstance(each, Layer) for each in model):
        hint = "; the model comes first"
    elif isinstance(model, list | tuple) and all(isinstance(each, Layer) for each in model):
        hint = "; join layers with fcnn.serial(...)"
    else:
        hint = ""
    raise ArgumentError(f"expected a layer as the model, got {kind_of(model)}{hint}")


def check_loss(loss: Any) -> None:
    """Refuse what has not the ``apply`` and ``vjp`` of a loss.

    Raises:
        ArgumentError: with the loss's name here, or what to do.
    """
    if isinstance(loss, Layer):
        hint = "the arguments are (model, loss, ...)"
    elif hasattr(loss, "step"):
        hint = "the arguments are (model, loss, optimizer, data)"
    elif callable(getattr(loss, "apply", None)) and callable(getattr(loss, "vjp", None)):
        return
    elif isinstance(loss, str):
        plain = loss.lower().replace("_", "").replace("-", "").replace(" ", "").removesuffix("loss")
        full = {name.replace("_", ""): name for name in _names_of_losses()}
        name = _OTHER_NAMES.get(plain) or full.get(plain)
        hint = f"use fcnn.losses.{name}" if name else "fcnn.losses has them"
    elif isinstance(loss, tuple | dict):
        hint = "the arguments are (model, loss, params, data)"
    elif callable(loss):
        hint = "call its constructor, or make a loss of a function with fcnn.losses.loss"
    else:
        hint = "fcnn.losses has them"
    raise ArgumentError(f"expected a loss, got {kind_of(loss)}; {hint}")


def _names_of_losses() -> set[str]:
    values = " or ".join(_OTHER_NAMES.values()).replace(" (of logits)", "")
    return set(values.split(" or "))


def check_data(data: Any, what: str = "the data") -> None:
    """Refuse what is not `fcnn.data.Examples`, at least one.

    Raises:
        ArgumentError: with how to make one.
        DataError: if it is empty.
    """
    is_data = hasattr(data, "inputs") and hasattr(data, "targets")
    if not (is_data or all(hasattr(data, n) for n in ("classes", "__len__", "__getitem__"))):
        if isinstance(data, tuple | list) and len(data) == 2:
            hint = f"; wrap the {type(data).__name__}: fcnn.data.Dataset(inputs, targets)"
        elif isinstance(data, float | int):
            hint = "; cut a part off: data[n:] to learn from, data[:n] to validate on"
        elif callable(data):
            hint = "; call it"
        else:
            hint = "; make one with fcnn.data.Dataset(inputs, targets)"
        raise ArgumentError(f"expected a Dataset as {what}, got {kind_of(data)}{hint}")
    if len(data) == 0:
        raise DataError(f"expected at least one example in {what}, got an empty data set")


def kind_of(thing: Any) -> str:
    """Return how an error names what it got: short, and without addresses."""
    if isinstance(thing, float | int | str | Value):
        return repr(thing)
    if isinstance(thing, np.ndarray):
        return f"an array of shape {thing.shape}"
    if thing is None:
        return "None"
    name = getattr(thing, "__name__", None)
    if name is not None:
        return f"the class {name}" if isinstance(thing, type) else f"the function {name}"
    kind = type(thing).__name__
    return f"a {kind} of {len(thing)}" if isinstance(thing, tuple | list | dict) else f"a {kind}"


def check_key(key: Any) -> None:
    """Refuse what is not a key.

    Raises:
        MissingKeyError: if it is None.
        ArgumentError: if it is something else.
    """
    if isinstance(key, Key):
        return
    if key is None:
        raise MissingKeyError("expected a key, got None; use fcnn.key(0)")
    number = key if type(key) is int and key >= 0 else 0
    raise ArgumentError(f"expected a key, got {kind_of(key)}; use fcnn.key({number})")


def check_inputs(inputs: Any) -> None:
    """Refuse what is not an array or a tuple or dict of arrays, with at least one example.

    Raises:
        DTypeError: with what to do.
        DataError: if there is no example.
        ShapeError: if the arrays differ in their number of examples.
    """
    if hasattr(inputs, "inputs"):
        raise DTypeError(f"expected arrays, got {kind_of(inputs)}; pass data.inputs")
    if not isinstance(inputs, np.ndarray | tuple | dict | _batch.LazyRows):
        raise DTypeError(
            f"expected an array or a tuple or dict of arrays, got {kind_of(inputs)}; "
            f"convert with np.asarray(x, np.float32)"
        )
    if _batch.length(inputs) == 0:
        raise DataError("expected at least one example, got none")


def check_params(model: Layer, params: Tree, inputs: Tree) -> None:
    """Refuse params that have not the structure and the shapes that the model's init gives.

    Raises:
        TreeError: with the path.
    """
    if isinstance(params, tuple) and len(params) == 2 and params[1] and is_shape(params[1]):
        raise TreeError("expected params, got (params, out_shape); params, _ = model.init(...)")
    expected, _ = model.init(abstract_key(), _batch.example_shape(inputs))
    tree.map(lambda _, given: given, expected, params)


def check_bare(params: Tree) -> None:
    """Refuse what holds params among other things, as a `Run` or a `State` does.

    Raises:
        TreeError: with what to pass instead.
    """
    if hasattr(params, "params"):
        kind = type(params).__name__
        raise TreeError(f"expected params, got a {kind}; pass {kind.lower()}.params")


def explain(error: Exception, model: Layer, params: Tree, inputs: Tree) -> None:
    """After an error of a model, raise a clearer one where there is one.

    Raises:
        TreeError: if the params are not the model's.
        ShapeError: if the inputs are one example without a batch axis.
    """
    if isinstance(error, ShapeError):
        if "batch axis" in error.message:
            return
        try:
            model.init(abstract_key(), shapes_of(inputs))
        except FcnnError:
            return
        message = f"{error.message}; for one example add the batch axis: x[np.newaxis]"
        raise ShapeError(message, error.path, error.call) from None
    if not isinstance(error, FcnnError):
        with contextlib.suppress(ShapeError, DTypeError):
            check_params(model, params, inputs)


def check_metrics(metrics: Any) -> dict[str, Callable[[Tree, Tree], Any]]:
    """Return the metrics as a dict of functions; an empty one for None.

    Raises:
        ArgumentError: if they are something else.
    """
    if metrics is None:
        return {}
    example = 'metrics={"accuracy": fcnn.metrics.accuracy}'
    if not isinstance(metrics, Mapping):
        raise ArgumentError(f"expected a dict of metrics, got {kind_of(metrics)}; write {example}")
    for name, metric in metrics.items():
        if not isinstance(name, str) or name in ("loss", ""):
            raise ArgumentError(f"expected a metric's name other than 'loss', got {name!r}")
        if not callable(metric):
            raise ArgumentError(
                f"expected a function (prediction, target) for metric {name!r}, "
                f"got {kind_of(metric)}"
            )
    return dict(metrics)


def check_function(function: Any, what: str, signature: str) -> None:
    """Refuse what is neither None nor callable.

    Raises:
        ArgumentError: with the signature.
    """
    if function is not None and not callable(function):
        hint = f"; {what}=None is silent" if isinstance(function, bool) else ""
        raise ArgumentError(
            f"expected a function {signature} or None for {what}, got {kind_of(function)}{hint}"
        )
