"""The layer contract, and the context in which a layer runs.

A layer is a triple of pure functions::

    init(key, shape)            -> (params, out_shape)
    apply(params, x, ctx=EVAL)  -> y
    vjp(params, x, ctx=EVAL)    -> (y, pullback),   pullback(dy) -> (dparams, dx)

``shape`` is the shape of one example; ``x`` and ``y`` have a batch axis in front.
For the function y = f(params, x), ``pullback`` is the transpose of f's Jacobian:
it turns the gradient of a loss with respect to y into the gradients with respect
to params and x, without the Jacobian ever being formed.

Source of the names and of the idea that reverse mode is pullbacks composed
backwards: A. Griewank and A. Walther, "Evaluating derivatives", 2nd ed., 2008,
https://doi.org/10.1137/1.9780898717761; JAX's ``stax``,
https://docs.jax.dev/en/latest/jax.example_libraries.stax.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn, ParamSpec, Protocol, TypeAlias

import attrs
import numpy as np

from fcnn._typing import Array, ModelPullback, Shape, Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import DTypeError, FcnnError, ShapeError
from fcnn.prng import Key, fold_in

P = ParamSpec("P")


@attrs.frozen
class Context:
    """How a layer is being run.

    Attributes:
        train: whether this is training; read by dropout and batch norm alone.
        key: where randomness comes from; read by dropout alone.
        input_grad: False tells a pullback that nobody will read its ``dx``; it
            may then return None for it.

    >>> from fcnn import Context
    >>> Context()
    Context(train=False, key=None, input_grad=True)
    """

    train: bool = False
    key: Key | None = None
    input_grad: bool = True

    def child(self, i: int, *, input_grad: bool = True) -> Context:
        """The context of a combinator's ``i``-th layer: a sub-key of its own."""
        if self.key is None:
            if self.input_grad is input_grad:
                return self
            return Context(self.train, None, input_grad)
        return Context(self.train, fold_in(self.key, i), input_grad)


EVAL = Context()
"""The context of evaluation: no dropout, stored batch-norm statistics."""


def training(key: Key | None = None) -> Context:
    """The context of a training step whose randomness comes from ``key``.

    >>> from fcnn import key, training
    >>> training(key(0)).train
    True
    """
    return Context(train=True, key=key)


class Init(Protocol):
    """``init(key, shape) -> (params, out_shape)``."""

    def __call__(self, key: Key, shape: Shape, /) -> tuple[Tree, Shape]: ...


class Apply(Protocol):
    """``apply(params, x, ctx=EVAL) -> y``."""

    def __call__(self, params: Any, x: Array, /, ctx: Context = EVAL) -> Array: ...


class Vjp(Protocol):
    """``vjp(params, x, ctx=EVAL) -> (y, pullback)``."""

    def __call__(
        self, params: Any, x: Array, /, ctx: Context = EVAL
    ) -> tuple[Array, ModelPullback]: ...


Triple: TypeAlias = tuple[Init, Apply, Vjp]


class Fusible(NamedTuple):
    """A triple that can also do the work of layers behind it, in the same passes over memory.

    ``fuse(followers)`` returns apply and vjp of this layer and those together, or None; the
    followers have no params, so both take those of this layer. ``fold(followers)`` returns an
    apply, or None, that gives the same within rounding in evaluation alone, and takes the
    tuple of the params of all. Both are `serial`'s business: whoever looks at the model
    sees the layers one by one.
    """

    init: Init
    apply: Apply
    vjp: Vjp
    fuse: Callable[[tuple[Layer, ...]], tuple[Apply, Vjp] | None] = lambda followers: None
    fold: Callable[[tuple[Layer, ...]], Apply | None] = lambda followers: None


@attrs.frozen(eq=False, repr=False, slots=False)
class Layer(Value):
    """A triple ``(init, apply, vjp)`` that knows the call that made it.

    It unpacks into its functions, prints as its call, compares and hashes by it,
    and pickles.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> model
    serial(conv2d(8, 3), relu, flatten, dense(10))
    >>> init, apply, vjp = model
    >>> params, out_shape = init(fcnn.key(0), (28, 28, 1))
    >>> out_shape
    (10,)
    """

    init: Init
    apply: Apply
    vjp: Vjp
    spec: Spec
    fuse: Callable[[tuple[Layer, ...]], Layer | None]
    fold: Callable[[tuple[Layer, ...]], Apply | None]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.init, self.apply, self.vjp))


def layer(constructor: Callable[P, Triple | Fusible]) -> Callable[P, Layer]:
    """Make a function that returns ``init, apply, vjp`` return a `Layer`.

    The three functions come back checked: an input that is not a float array, or
    a ``dy`` that has not the shape of ``y``, is refused, and an error from inside
    names the call that made the layer.

    >>> import fcnn
    >>> @fcnn.layer
    ... def scale(factor):
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return factor * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return factor * x, lambda dy: ((), factor * dy)
    ...     return init, apply, vjp
    >>> fcnn.serial(scale(2.0), fcnn.relu)
    serial(scale(2.0), relu)
    """
    return remember(constructor, _checked)


def _checked(triple: Triple | Fusible, spec: Spec) -> Layer:
    whole = triple if isinstance(triple, Fusible) else Fusible(*triple)
    init, apply, vjp = whole[:3]

    def fuse(followers: tuple[Layer, ...]) -> Layer | None:
        pair = whole.fuse(followers)
        return None if pair is None else _checked((init, *pair), spec)

    def checked_init(key: Key, shape: Shape, /) -> tuple[Tree, Shape]:
        try:
            return init(key, tuple(shape))
        except FcnnError as error:
            raise error.called(repr(spec)) from None

    def checked_apply(params: Tree, x: Array, /, ctx: Context = EVAL) -> Array:
        try:
            _check_array(x)
            return apply(params, x, ctx)
        except FcnnError as error:
            raise error.called(repr(spec)) from None

    def checked_vjp(params: Tree, x: Array, /, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        try:
            _check_array(x)
            y, pullback = vjp(params, x, ctx)
        except FcnnError as error:
            raise error.called(repr(spec)) from None
        shape = y.shape

        def checked_pullback(dy: Array) -> tuple[Tree, Any]:
            if dy.shape != shape:
                raise ShapeError(
                    f"the pullback wants dy of y's shape {shape}, and {dy.shape} came",
                    call=repr(spec),
                )
            return pullback(dy)

        return y, checked_pullback

    return Layer(checked_init, checked_apply, checked_vjp, spec, fuse, whole.fold)


def _check_array(x: Any) -> None:
    if not isinstance(x, np.ndarray):
        raise DTypeError(
            f"wanted a NumPy array of float32 or float64, and a {type(x).__name__} came: "
            f"np.asarray(x, np.float32) makes one"
        )
    if x.dtype.char not in "fd":
        raise DTypeError(
            f"wanted float32 or float64, and an array of {x.dtype} came: "
            f"x.astype(np.float32) casts it"
        )


def check_dtype(x: Array, parameter: Array) -> None:
    """Refuse an input whose precision is not that of the parameters."""
    if x.dtype != parameter.dtype:
        raise DTypeError(
            f"the input is {x.dtype} and the parameters are {parameter.dtype}: cast one, "
            f"x.astype(np.{parameter.dtype}) or fcnn.tree.astype(params, np.{x.dtype})"
        )


def relocate(error: Exception, step: str, culprit: Layer) -> NoReturn:
    """Raise ``error`` again, saying that it came from ``culprit`` at ``step`` of a combinator."""
    if isinstance(error, FcnnError):
        raise error.within(step) from None
    error.add_note(f"in {step} {culprit!r}")
    raise error
