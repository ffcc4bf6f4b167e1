"""What the layers in a model show: their outputs, filters, receptive fields, and Grad-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn import tree
from fcnn._derivatives.wiring import Wires, wires_of
from fcnn._doors import check_model
from fcnn._layer import EVAL, Context, Layer
from fcnn._sharing import Ties
from fcnn._typing import Array, Shape, Tree
from fcnn._walk import Sizes, step_of, walk
from fcnn.errors import ArgumentError, ShapeError
from fcnn.explain._targets import Target, check, resolved, unit


def feature_maps(model: Layer, params: Tree, x: Any) -> dict[str, Any]:
    """Return the output of every layer, by its path as in `fcnn.walk`.

    A wrapper of layers that computes more than they do is taken as one layer.

    Raises:
        ArgumentError: if an argument is something else.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.named("first", fcnn.conv2d(4, 3)), fcnn.relu, fcnn.flatten)
    >>> params, _ = model.init(fcnn.key(0), (8, 8, 1))
    >>> maps = fcnn.explain.feature_maps(model, params, np.zeros((2, 8, 8, 1), np.float32))
    >>> {path: each.shape for path, each in maps.items()}
    {'first': (2, 6, 6, 4), 'serial[1]': (2, 6, 6, 4), 'serial[2]': (2, 144)}
    """
    check(model, params, x)
    found: dict[str, Any] = {}
    _run(model, params, x, EVAL, "", found)
    return found


def _run(layer: Layer, params: Any, x: Any, ctx: Context, path: str, found: dict[str, Any]) -> Any:
    wires = wires_of(layer)
    if wires is None:
        found[path] = y = layer.apply(params, x, ctx)
        return y
    if not wires.is_known:
        return _run_wrapper(layer, wires, params, x, ctx, path, found)
    outputs, seen = [], wires.read(x)
    rows = zip(wires.parts, wires.own(params), wires.contexts(ctx), seen, strict=True)
    for part, own, context, its in rows:
        place = ".".join(each for each in (path, part.step) if each)
        x = _run(part.layer, own, x if wires.wiring == "chain" else its, context, place, found)
        outputs.append(x)
    if wires.wiring == "chain":
        return x
    y = wires.apart(outputs)
    return y if wires.join is None else wires.join.apply((), y, ctx)


def _run_wrapper(
    layer: Layer, wires: Wires, params: Any, x: Any, ctx: Context, path: str, found: dict[str, Any]
) -> Any:
    """Show the layer in a wrapper if the wrapper's output is that layer's, or else the wrapper."""
    y = layer.apply(params, x, ctx)
    inner: dict[str, Any] = {}
    (part,), (own,), (context,) = wires.parts, wires.own(params), wires.contexts(ctx)
    place = ".".join(each for each in (path, part.step) if each)
    same = tree.allclose(_run(part.layer, own, x, context, place, inner), y)
    found |= inner if same else {path: y}
    return y


def grad_cam(
    model: Layer, params: Tree, x: Array, layer: int | str, *, target: Target = None
) -> Array:
    """Return where a layer's features speak for the target.

    ``relu(Σ over channels c of a_c · A_c)``, with A the layer's output and a_c the mean over the
    places of ``∂ score / ∂A_c``.

    Args:
        model: a `fcnn.serial`.
        params: its parameters.
        x: a batch.
        layer: which of its layers, by its number or by its step in a path: ``"serial[4]"``, or
            the name that `fcnn.named` gave it. Usually the last before the image is lost.
        target: which output; None for the highest score.

    Returns:
        one number for each place of the layer's output, ``(n, h, w)`` for images.

    Raises:
        ArgumentError: if the model is no serial, or has no such layer.
        ShapeError: if the layer's output has no places.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> params, _ = model.init(fcnn.key(0), (8, 8, 1))
    >>> fcnn.explain.grad_cam(model, params, np.ones((2, 8, 8, 1), np.float32), 1).shape
    (2, 6, 6)

    Source: R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", 2016, https://arxiv.org/abs/1610.02391.
    """
    check(model, params, x)
    end = _index(model, layer) + 1
    own: Any = Ties(model).restore(params)
    head, tail = model[:end], model[end:]
    maps = head.apply(Ties(head).prune(own[:end]), x)
    if not isinstance(maps, np.ndarray) or maps.ndim < 3:
        shape = getattr(maps, "shape", type(maps).__name__)
        raise ShapeError(
            f"expected feature maps (n, ..., channels) of layer {layer!r}, got {shape}"
        )
    y, pullback = tail.vjp(Ties(tail).prune(own[end:]), maps)
    dmaps = pullback(unit(y, resolved(target, y)))[1]
    places = tuple(range(1, maps.ndim - 1))
    weights = dmaps.mean(axis=places, keepdims=True)
    cam: Array = np.maximum((weights * maps).sum(axis=-1), 0)
    return cam


def _index(model: Layer, layer: int | str) -> int:
    """Return the number of a serial's layer."""
    if model.spec.name != "serial":
        raise ArgumentError(f"expected a serial as the model, got {model!r:.60}")
    steps = [step_of("serial", i, each) for i, each in enumerate(model.layers)]
    if isinstance(layer, str) and layer in steps:
        return steps.index(layer)
    if isinstance(layer, int) and -len(steps) <= layer < len(steps):
        return layer % len(steps)
    raise ArgumentError(f"expected one of {steps} or its number, got {layer!r}")


def filters(params: Any, *, image: Shape | None = None) -> Array:
    """Return a layer's weights as images, one for each filter.

    Args:
        params: the params of a convolution, ``(kh, kw, c, filters)``, or of a `dense` layer,
            ``(n_in, units)``; or the weight itself.
        image: for a dense layer, the shape that its input had before it was flattened.

    Returns:
        ``(filters, kh, kw, c)``, or ``(units, *image)``.

    Raises:
        ArgumentError: if there is no weight.
        ShapeError: if it is not of such a shape.

    >>> import fcnn
    >>> params, _ = fcnn.conv2d(8, 5).init(fcnn.key(0), (28, 28, 3))
    >>> fcnn.explain.filters(params).shape
    (8, 5, 5, 3)
    >>> params, _ = fcnn.dense(10).init(fcnn.key(0), (784,))
    >>> fcnn.explain.filters(params, image=(28, 28, 1)).shape
    (10, 28, 28, 1)
    """
    weight = getattr(params, "weight", params)
    if not isinstance(weight, np.ndarray):
        kind = type(params).__name__
        raise ArgumentError(f"expected params of one layer, with a weight, got {kind}")
    rows = np.moveaxis(weight, -1, 0)
    if image is not None:
        if weight.ndim != 2 or weight.shape[0] != np.prod(image):
            raise ShapeError(f"expected a weight of {np.prod(image)} inputs, got {weight.shape}")
        return rows.reshape(-1, *image).copy()
    if weight.ndim < 3:
        raise ShapeError(
            f"expected a weight (..., c, filters), got {weight.shape}; "
            f"for a dense layer pass the shape of its images: image=(28, 28, 1)"
        )
    return rows.copy()


def receptive_field(model: Layer, shape: Any) -> dict[str, Sizes | None]:
    """Return how many rows and columns of the input an output of each layer sees, by path.

    None where a layer on the way does not say, or sees everything: `dense`, `flatten`.

    Args:
        model: a layer.
        shape: the shape of one example.

    Raises:
        ArgumentError: if model is no layer.
        ShapeError: if the model does not take such an example.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.max_pool2d(2), fcnn.conv2d(4, 3))
    >>> fcnn.explain.receptive_field(model, (12, 12, 1))
    {'serial[0]': (3, 3), 'serial[1]': (4, 4), 'serial[2]': (8, 8)}

    Source: A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural
    networks", Distill, 2019, https://doi.org/10.23915/distill.00021.
    """
    check_model(model)
    return {visit.path: visit.receptive_field for visit in walk(model, shape)}
