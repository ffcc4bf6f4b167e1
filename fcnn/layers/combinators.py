"""Combinators of layers one after the other: `serial` and `repeat`; names, and shared params.

What a chain computes is in `fcnn.layers._chain`; layers side by side are in
`fcnn.layers.branches`.

Every combinator of several layers has the tuple of its layers' params as its own, gives each
layer a sub-key of its own, and names it in errors by its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from fcnn._check import whole
from fcnn._layer import Layer, Triple, layer
from fcnn._sharing import SHARED
from fcnn._walk import Part, combinator, facts, naming, step_of
from fcnn.errors import ArgumentError
from fcnn.layers._chain import Chain
from fcnn.layers._children import check_layers, check_steps


@layer(inputs="any")
def serial(*layers: Layer) -> Triple:
    """Compose layers: ``y = f_k(... f_2(f_1(x)))``.

    Neighbours that a rule of `fcnn.fusion` covers run as one kernel, across nested serials
    too. ``serial()`` is the identity. ``model[0]``, ``model[:4]``, ``len(model)`` and
    ``model.layers`` give the layers; unpacking gives the triple.

    Raises:
        ArgumentError: if something that is not a layer is among the layers.
        FcnnError: whatever a layer raises, with the path to it.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(4, 5), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> params, out_shape = model.init(fcnn.key(0), (28, 28, 1))
    >>> len(params), out_shape
    (4, (10,))
    >>> model.init(fcnn.key(0), (4, 28, 1))
    Traceback (most recent call last):
    fcnn.errors.ShapeError: serial[0] conv2d(4, 5): expected a window no larger than its image, ...
    """
    check_layers("serial", layers)
    parts = _parts(layers)
    check_steps(parts)
    return Chain(parts).triple


def _parts(layers: Sequence[Layer]) -> list[Part]:
    return [Part(step_of("serial", i, each), each, (i,)) for i, each in enumerate(layers)]


@combinator(serial, wiring="chain")
def _serial_parts(model: Layer) -> list[Part]:
    return _parts(model.layers)


facts(serial, multiply_adds=0, window=(1, 1))  # without layers: the identity


@layer(inputs="any")
def repeat(layer: Layer, n: int) -> Triple:
    """Compose n copies of a layer, each with params of its own: ``serial(layer, ..., layer)``.

    Raises:
        ArgumentError: if what it repeats is no layer, or ``n`` no whole number of at least 0.

    >>> import fcnn
    >>> block = fcnn.residual(fcnn.conv2d(4, 3, padding="same"), fcnn.relu)
    >>> params, _ = fcnn.repeat(block, 3).init(fcnn.key(0), (8, 8, 4))
    >>> len(params)
    3
    """
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to repeat, got {layer!r}")
    return Chain(_repeated(layer, whole(n, "n", 0))).triple


def _repeated(layer: Layer, n: int) -> list[Part]:
    return [Part(f"repeat[{i}]", layer, (i,)) for i in range(n)]


@combinator(repeat, wiring="chain")
def _repeat_parts(model: Layer) -> list[Part]:
    return _repeated(**model.spec.arguments)


facts(repeat, multiply_adds=0, window=(1, 1))  # none of a layer: the identity


@layer(inputs="any")
def named(name: str, layer: Layer) -> Triple:
    """Give a layer a name by which paths and errors call it.

    It computes what the layer computes, with the same params and the same random numbers.

    Raises:
        ArgumentError: if the name is no identifier, or what it names no layer.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.named("conv1", fcnn.conv2d(4, 3)), fcnn.relu)
    >>> [visit.path for visit in fcnn.walk(model, (8, 8, 1))]
    ['conv1', 'serial[1]']
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(f"expected a name of letters, digits and _, got {name!r}")
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to name, got {layer!r}")
    return layer.init, layer.apply, layer.vjp


naming(named, lambda layer: str(layer.spec.arguments["name"]))


@combinator(named, wiring="chain")
def _named_parts(layer: Layer) -> list[Part]:
    return [Part("", layer.spec.arguments["layer"], ())]


@layer(inputs="any")
def shared(layer: Layer, *, name: str = "") -> Triple:
    """Use one set of params wherever this layer stands in a model.

    Its first place in the model holds the params; the other places hold ``()``. The gradients
    of all places are added there, and the observations of its statistics averaged. Shared
    layers that are equal are the same layer: give a ``name`` to keep two apart.

    >>> import fcnn
    >>> tied = fcnn.shared(fcnn.dense(4))
    >>> params, _ = fcnn.serial(tied, fcnn.relu, tied).init(fcnn.key(0), (4,))
    >>> [type(each).__name__ for each in params]
    ['DenseParams', 'tuple', 'tuple']
    """
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to share, got {layer!r}")
    return layer.init, layer.apply, layer.vjp


SHARED.add(shared)


@combinator(shared, wiring="chain")
def _shared_parts(layer: Layer) -> list[Part]:
    return [Part("", layer.spec.arguments["layer"], ())]
