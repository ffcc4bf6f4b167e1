"""Layers side by side: branches that read the same input, items that each have their own.

With dy the gradient at the output: in a sum every branch gets dy; in a product each gets dy
times the other outputs; in a concatenation each gets its slice of dy. The dx of branches that
read the same input are added; those of items stay apart.

`add`, `concat` and `multiply` join branches, or, called without any, the items of a tuple:
``serial(itemwise(f, g), concat())``.
"""

from __future__ import annotations

import math

from fcnn._layer import Layer, Triple, layer
from fcnn._walk import Part, combinator, facts
from fcnn.layers._children import check_layers
from fcnn.layers._joins import ADD, CONCAT, MULTIPLY, items_of
from fcnn.layers._side_by_side import SideBySide, joining, parts_by_name, parts_in_order
from fcnn.layers.combinators import serial


@layer(inputs="any")
def add(*branches: Layer) -> Triple:
    """Add what the branches make of the same input: ``y = f_1(x) + ... + f_k(x)``.

    Without branches, add the items of a tuple or dict: ``y = x_1 + ... + x_k``.

    Raises:
        ArgumentError: if a branch is not a layer.
        ShapeError: if the outputs differ in shape, or the input has no items to add.

    >>> import fcnn
    >>> params, out_shape = fcnn.add(fcnn.dense(3), fcnn.dense(3)).init(fcnn.key(0), (2,))
    >>> out_shape
    (3,)
    """
    return joining("add", branches, ADD)


@layer(inputs="any")
def multiply(*branches: Layer) -> Triple:
    """Multiply what the branches make of the same input: ``y = f_1(x) · ... · f_k(x)``.

    Without branches, multiply the items of a tuple or dict. Shapes may differ where NumPy
    broadcasts: a gate ``(n, 1, 1, c)`` scales the channels of ``(n, h, w, c)``.

    Raises:
        ArgumentError: if a branch is not a layer.
        ShapeError: if the outputs do not broadcast, or the input has no items to multiply.

    >>> import fcnn
    >>> gated = fcnn.multiply(fcnn.dense(3), fcnn.serial(fcnn.dense(3), fcnn.sigmoid))
    >>> gated.init(fcnn.key(0), (2,))[1]
    (3,)
    """
    return joining("multiply", branches, MULTIPLY)


@layer(inputs="any")
def concat(*branches: Layer) -> Triple:
    """Concatenate what the branches make of the same input, on the last axis.

    Without branches, concatenate the items of a tuple or dict.

    Raises:
        ArgumentError: if a branch is not a layer.
        ShapeError: if the outputs differ in any axis but the last, or the input has no items.

    >>> import fcnn
    >>> params, out_shape = fcnn.concat(fcnn.dense(3), fcnn.dense(4)).init(fcnn.key(0), (2,))
    >>> out_shape
    (7,)
    >>> fcnn.concat().init(fcnn.key(0), ((3,), (4,)))
    ((), (7,))
    """
    return joining("concat", branches, CONCAT)


@layer(inputs="any")
def residual(*body: Layer, shortcut: Layer | None = None) -> Triple:
    """Add a shortcut around a body: ``y = shortcut(x) + body(x)``.

    The same as ``add(shortcut, serial(*body))``.

    Args:
        *body: layers, one after the other.
        shortcut: what joins the input to the sum; the identity if None.

    Raises:
        ShapeError: if body and shortcut give different shapes.

    >>> import fcnn
    >>> block = fcnn.residual(fcnn.conv2d(8, 3, padding="same"), fcnn.relu)
    >>> block.init(fcnn.key(0), (28, 28, 8))[1]
    (28, 28, 8)

    Source: K. He et al., "Deep residual learning for image recognition", 2015,
    https://arxiv.org/abs/1512.03385.
    """
    around = serial() if shortcut is None else shortcut
    check_layers("residual", (*body, around))
    return SideBySide("residual", parts_in_order("residual", (around, serial(*body))), ADD).triple


@layer(inputs="any")
def fanout(*branches: Layer, **heads: Layer) -> Triple:
    """Give the same input to several layers: ``y = (f_1(x), ..., f_k(x))``.

    With names, y is a dict and so are the params: ``fanout(digit=dense(10), tilt=dense(1))``.

    Raises:
        ArgumentError: if there is no branch, one is not a layer, or only some have names.

    >>> import fcnn
    >>> two = fcnn.fanout(digit=fcnn.dense(10), tilt=fcnn.dense(1))
    >>> two.init(fcnn.key(0), (64,))[1]
    {'digit': (10,), 'tilt': (1,)}
    """
    parts = parts_by_name("fanout", branches, heads)
    return SideBySide("fanout", parts, items_of(parts)).triple


@layer(inputs="any")
def itemwise(*layers: Layer, **named_layers: Layer) -> Triple:
    """Give each item of a tuple or dict to its own layer: ``y_i = f_i(x_i)``.

    With names, x and y are dicts and so are the params.

    Raises:
        ArgumentError: if there is no layer, one is not a layer, or only some have names.
        ShapeError: if the input has other items.

    A model of two inputs:

    >>> import fcnn
    >>> image = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten)
    >>> model = fcnn.serial(fcnn.itemwise(image, fcnn.dense(8)), fcnn.concat(), fcnn.dense(10))
    >>> model.init(fcnn.key(0), ((8, 8, 1), (5,)))[1]
    (10,)
    """
    parts = parts_by_name("itemwise", layers, named_layers)
    return SideBySide("itemwise", parts, items_of(parts), reads_items=True).triple


combinator(add, wiring="branches")(lambda layer: parts_in_order("add", layer.layers))
combinator(multiply, wiring="branches")(lambda layer: parts_in_order("multiply", layer.layers))
combinator(concat, wiring="branches")(lambda layer: parts_in_order("concat", layer.layers))


facts(add, multiply_adds=0)
facts(concat, multiply_adds=0)
facts(multiply, multiply_adds=lambda layer, i, o: (len(i) - 1) * math.prod(o))


@combinator(residual, wiring="branches")
def _residual_parts(layer: Layer) -> list[Part]:
    shortcut = layer.spec.arguments["shortcut"] or serial()
    return parts_in_order("residual", (shortcut, serial(*layer.spec.args)))


@combinator(fanout, wiring="branches")
def _fanout_parts(layer: Layer) -> list[Part]:
    return parts_by_name("fanout", layer.spec.args, dict(layer.spec.kwargs))


@combinator(itemwise, wiring="items")
def _itemwise_parts(layer: Layer) -> list[Part]:
    return parts_by_name("itemwise", layer.spec.args, dict(layer.spec.kwargs))
