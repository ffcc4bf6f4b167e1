"""`walk`: every leaf layer of a model in execution order, with its path and shapes.

A combinator says which layers it is made of and how the input reaches them by registering a
function with `combinator`; a layer says what it costs and what it sees with `facts`. Neither
is needed to run a model: they serve reports, exporters and names of params.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

from fcnn._layer import Layer, as_shape, is_shape
from fcnn.prng import abstract_key

Sizes: TypeAlias = tuple[int, ...]
Steps: TypeAlias = tuple[int | Fraction, ...]
Field: TypeAlias = tuple[Steps, Steps] | None
"""The receptive field along each axis, and how far apart neighbouring ones stand; or unknown.

Behind a layer that upsamples, both may be fractions of an element of the input.
"""

Wiring: TypeAlias = Literal["chain", "branches", "items"]
"""What a combinator's layers read: the one before, the same input, or an item of the input."""


class Attribute(str):
    """A step of the way to a layer's params that is a field of a node."""

    __slots__ = ()


class Part(NamedTuple):
    """A layer of a combinator.

    Attributes:
        step: what the layer is called in a path.
        layer: the layer.
        place: the way from the combinator's params to the layer's; ``()`` if they are the same.
        item: with the wiring "items", which item of the input it reads.
    """

    step: str
    layer: Layer
    place: tuple[int | str, ...]
    item: int | str = 0


class Combinator(NamedTuple):
    """How a constructor's layers are found, what they read, and in which mode they run."""

    wiring: Wiring
    parts: Callable[[Layer], Sequence[Part]]
    eval_only: bool = False


class Visit(NamedTuple):
    """A layer of a model, as `walk` finds it.

    Attributes:
        path: its place, by which errors name it: ``serial[1].residual[0]``.
        layer: the layer.
        in_shape: the shape of one example of its input.
        out_shape: the shape of one example of its output.
        params_path: where its params stand in the model's, as in `fcnn.tree.paths`; for a
            shared layer's later places, where ``()`` stands for those of its first.
        depth: the number of combinators around it.
        receptive_field: how much of the model's input an output sees at most along each axis,
            as rows and columns of an image; None if a layer on the way does not say.
    """

    path: str
    layer: Layer
    in_shape: Any
    out_shape: Any
    params_path: str
    depth: int
    receptive_field: Sizes | None


class Facts(NamedTuple):
    """What a layer says of itself for reports; see `facts`."""

    multiply_adds: Callable[[Layer, Any, Any], int] | None = None
    window: Callable[[Layer], tuple[Sizes, Steps]] | None = None


_COMBINATORS: dict[Any, Combinator] = {}
_NAMES: dict[Any, Callable[[Layer], str]] = {}
_FACTS: dict[Any, Facts] = {}


def combinator(
    constructor: Any, wiring: Wiring, *, eval_only: bool = False
) -> Callable[[Any], Any]:
    """Register ``parts(layer) -> [Part, ...]`` of a constructor whose layers are made of layers.

    With ``eval_only`` the parts run as in evaluation, in training too.
    """

    def register(parts: Callable[[Layer], Sequence[Part]]) -> Any:
        _COMBINATORS[constructor] = Combinator(wiring, parts, eval_only)
        return parts

    return register


def combinator_of(layer: Layer) -> Combinator | None:
    """Return how a layer is made of layers; None if it is not."""
    return _COMBINATORS.get(layer.spec.constructor)


def parts_of(layer: Layer) -> Sequence[Part]:
    """Return the layers of a combinator; none of other layers."""
    made = combinator_of(layer)
    return () if made is None else made.parts(layer)


def is_leaf(layer: Layer) -> bool:
    """Return whether there are no layers in a layer: ``add()`` and ``serial()`` are leaves too."""
    return not parts_of(layer)


def naming(constructor: Any, name_of: Callable[[Layer], str]) -> None:
    """Register how a layer that gives another one a name says the name."""
    _NAMES[constructor] = name_of


def step_of(combinator: str, i: int | str, layer: Layer) -> str:
    """Return how a combinator's ``i``-th layer is called in a path: ``serial[2]``, or its name."""
    name_of = _NAMES.get(layer.spec.constructor)
    return f"{combinator}[{i}]" if name_of is None else name_of(layer)


def facts(
    constructor: Any,
    *,
    multiply_adds: Callable[[Layer, Any, Any], int] | int | None = None,
    window: Callable[[Layer], tuple[Sizes, Steps]] | Sizes | None = None,
) -> None:
    """Register what the layers of a constructor cost and see; reports print "–" without.

    Args:
        constructor: the decorated constructor, or the layer itself where it takes no arguments.
        multiply_adds: ``(layer, in_shape, out_shape) -> int`` an example, or a number.
        window: ``layer -> ((rows, columns), (row stride, column stride))`` of the input that
            an output sees, dilation included, for images of any rank: of a sequence
            ``((length,), (stride,))``; a layer that doubles the rows has the row stride
            ``Fraction(1, 2)``. Or ``(1, 1)`` for an elementwise layer, whatever the rank.

    >>> import fcnn
    >>> @fcnn.layer
    ... def double():
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x, lambda dy: ((), 2 * dy)
    ...     return init, apply, vjp
    >>> fcnn.facts(double, multiply_adds=lambda layer, i, o: i[0], window=(1, 1))
    """
    cost, sees = multiply_adds, window
    made_by = constructor.spec.constructor if isinstance(constructor, Layer) else constructor
    _FACTS[made_by] = Facts(
        (lambda *_: cost) if isinstance(cost, int) else cost,
        (lambda _: (sees, (1,) * len(sees))) if isinstance(sees, tuple) else sees,
    )


def facts_of(layer: Layer) -> Facts:
    """Return what a layer says of itself."""
    return _FACTS.get(layer.spec.constructor, Facts())


def out_shape(layer: Layer, shape: Any) -> Any:
    """Return the shape of a layer's output without drawing a weight."""
    return layer.init(abstract_key(), shape)[1]


def walk(model: Layer, shape: Any, *, combinators: bool = False) -> Iterator[Visit]:
    """Yield the leaf layers of a model in execution order, with their paths and shapes.

    No weight is drawn.

    Args:
        model: a layer.
        shape: the shape of one example; a tuple or dict of shapes where the input is one.
        combinators: also yield each combinator, before its layers.

    Raises:
        ShapeError: if the model does not take such an example.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> for path, layer, in_shape, out_shape, *_ in fcnn.walk(model, (8, 8, 1)):
    ...     print(path, layer, in_shape, out_shape)
    serial[0] conv2d(4, 3) (8, 8, 1) (6, 6, 4)
    serial[1] relu (6, 6, 4) (6, 6, 4)
    serial[2] flatten (6, 6, 4) (144,)
    serial[3] dense(10) (144,) (10,)
    """
    shape = as_shape(shape)
    out_shape(model, shape)  # an error here names the layer's path
    for visit in _walk(model, shape, "", "", 0, _point(_rank(shape))):
        if combinators or is_leaf(visit.layer):
            yield visit


def _walk(
    layer: Layer, shape: Any, path: str, params_path: str, depth: int, field: Field
) -> Generator[Visit, None, Field]:
    """Yield the layer and what is in it; return the receptive field of its output."""
    made = combinator_of(layer)
    after = _seen_through(layer, field, _rank(shape)) if is_leaf(layer) else field
    sees = None if after is None else tuple([math.ceil(size) for size in after[0]])
    yield Visit(path, layer, shape, out_shape(layer, shape), params_path, depth, sees)
    if made is None or is_leaf(layer):
        return after
    is_chain, seen, ends = made.wiring == "chain", field, []
    for step, child, way, item in made.parts(layer):
        place = ".".join(each for each in (path, step) if each)
        below = params_path + "".join(_shown(i) for i in way)
        here = shape[item] if made.wiring == "items" else shape
        seen = yield from _walk(child, here, place, below, depth + 1, seen if is_chain else field)
        ends.append(seen)
        shape = out_shape(child, shape) if is_chain else shape
    return seen if is_chain else _widest(ends)


def _shown(step: int | str) -> str:
    return f".{step}" if isinstance(step, Attribute) else f"[{step!r}]"


def _rank(shape: Any) -> int:
    """The number of axes along which a layer may slide: all but the channels, one at least."""
    return max(1, len(shape) - 1) if is_shape(shape) else 2


def _point(rank: int) -> tuple[Steps, Steps]:
    return (1,) * rank, (1,) * rank


def _seen_through(layer: Layer, field: Field, rank: int) -> Field:
    window = facts_of(layer).window
    if window is None or field is None:
        return None
    sees: tuple[Steps, Steps] = window(layer)
    if _is_point(field):
        field = _point(rank)
    if _is_point(sees):
        sees = _point(len(field[0]))
    (size, apart), (kernel, stride) = field, sees
    if len(kernel) != len(size):
        return None
    seen = tuple([s + (k - 1) * a for s, k, a in zip(size, kernel, apart, strict=True)])
    return seen, tuple([a * s for a, s in zip(apart, stride, strict=True)])


def _is_point(field: tuple[Steps, Steps]) -> bool:
    """Whether this is what an elementwise layer sees, whatever its rank."""
    return set(field[0] + field[1]) == {1}


def _widest(fields: list[Field]) -> Field:
    """Return the receptive field of what joins these."""
    known = [field for field in fields if field is not None]
    if len(known) < len(fields) or len({apart for _, apart in known}) > 1:
        return None
    sizes = zip(*[size for size, _ in known], strict=True)
    return tuple([max(along) for along in sizes]), known[0][1]
