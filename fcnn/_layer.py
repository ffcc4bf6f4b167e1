"""The layer contract, and the context in which a layer runs.

A layer is a triple of pure functions::

    init(key, shape)            -> (params, out_shape)
    apply(params, x, ctx=EVAL)  -> y
    vjp(params, x, ctx=EVAL)    -> (y, pullback),   pullback(dy) -> (dparams, dx)

``shape`` is the shape of one example; ``x`` and ``y`` have a batch axis in front. Where x or
y is a tuple or dict of arrays, its shape is such a tuple or dict of shapes. For the function
y = f(params, x), ``pullback`` is the transpose of f's Jacobian: it turns the gradient of a
loss with respect to y into the gradients with respect to params and x, without forming the
Jacobian.

Source of the names and of reverse mode as pullbacks composed backwards: A. Griewank and
A. Walther, "Evaluating derivatives", 2nd ed., 2008,
https://doi.org/10.1137/1.9780898717761; JAX's ``stax``,
https://docs.jax.dev/en/latest/jax.example_libraries.stax.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NoReturn, ParamSpec, Protocol, TypeAlias, overload

import attrs
import numpy as np

from fcnn import tree
from fcnn._signatures import LayerApply, LayerInit, LayerVjp
from fcnn._typing import Array, ModelPullback, Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError, DTypeError, FcnnError, ShapeError
from fcnn.prng import Key, fold_in
from fcnn.tree._children import shape_of, walk

P = ParamSpec("P")


@attrs.frozen
class Context:
    """How a layer is being run.

    Attributes:
        train: whether this is training; read by dropout and batch norm.
        key: the source of randomness; read by dropout.
        input_grad: whether the pullback's ``dx`` is used; where it is not, a pullback may
            return None for it.
        fuse: whether `serial` may run neighbouring layers as one kernel (`fcnn.fusion`).

    >>> from fcnn import Context
    >>> Context()
    Context(train=False, key=None, input_grad=True, fuse=True)
    """

    train: bool = False
    key: Key | None = None
    input_grad: bool = True
    fuse: bool = True

    def child(self, i: int) -> Context:
        """Return the context of a combinator's ``i``-th layer: with a sub-key of its own."""
        if self.key is None:
            return self
        return Context(self.train, fold_in(self.key, i), self.input_grad, self.fuse)

    def at(self, place: Iterable[int], input_grad: bool) -> Context:
        """Return the context of a layer that is nested in several combinators."""
        key = self.key
        if key is None:
            if self.input_grad is input_grad:
                return self
        else:
            for i in place:
                key = fold_in(key, i)
        return Context(self.train, key, input_grad, self.fuse)


EVAL = Context()
"""The context of evaluation: no dropout, stored batch-norm statistics."""


def training(key: Key | None = None) -> Context:
    """Return the context of a training step whose randomness comes from ``key``.

    >>> from fcnn import key, training
    >>> training(key(0)).train
    True
    """
    return Context(train=True, key=key)


class Init(Protocol):
    """``init(key, shape) -> (params, out_shape)``."""

    def __call__(self, key: Key, shape: Any, /) -> tuple[Tree, Any]: ...


class Apply(Protocol):
    """``apply(params, x, ctx=EVAL) -> y``."""

    def __call__(self, params: Any, x: Any, /, ctx: Context = EVAL) -> Any: ...


class Vjp(Protocol):
    """``vjp(params, x, ctx=EVAL) -> (y, pullback)``."""

    def __call__(
        self, params: Any, x: Any, /, ctx: Context = EVAL
    ) -> tuple[Any, ModelPullback]: ...


Triple: TypeAlias = tuple[Init, Apply, Vjp]
"""``(init, apply, vjp)``: what a function decorated with `fcnn.layer` returns."""

Inputs: TypeAlias = Literal["floats", "integers", "any"]


@attrs.frozen(eq=False, repr=False, slots=False)
class Layer(Value):
    """A triple ``(init, apply, vjp)`` that knows the call that made it.

    It prints as its call, compares and hashes by it, and pickles. Unpacking gives the three
    functions; the layers of a `serial` are ``model.layers``, ``model[0]``, ``model[:4]`` (a
    serial) and ``len(model)``.

    What ``vjp`` returns cannot be changed from outside: y is read-only, and no gradient
    shares memory with dy.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> model
    serial(conv2d(8, 3), relu, flatten, dense(10))
    >>> init, apply, vjp = model
    >>> params, out_shape = init(fcnn.key(0), (28, 28, 1))
    >>> out_shape
    (10,)
    >>> model[:2], model[-1], len(model)
    (serial(conv2d(8, 3), relu), dense(10), 4)
    """

    init: LayerInit
    apply: LayerApply
    vjp: LayerVjp
    spec: Spec

    def __iter__(self) -> Iterator[Any]:
        return iter((self.init, self.apply, self.vjp))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that a combinator was called with, in order; empty for other layers."""
        return tuple([each for each in self.spec.args if isinstance(each, Layer)])

    def __len__(self) -> int:
        return len(self.layers)

    def __contains__(self, layer: object) -> bool:
        return layer in self.layers

    def __bool__(self) -> bool:
        return True

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a call, and say what to write."""
        raise TypeError(
            f"expected {self!r} without a call, got {len(args) + len(kwargs)} argument(s); a layer "
            f"is a value: write relu, not relu(), and model.apply(params, x), not model(x)"
        )

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Layer: ...
    def __getitem__(self, index: int | slice) -> Layer:
        if not isinstance(index, slice):
            return self.layers[index]
        if self.spec.name != "serial":
            raise TypeError(f"expected a serial to take a slice of, got {self!r}")
        made: Layer = self.spec.constructor(*self.layers[index])
        return made


@overload
def layer(constructor: Callable[P, Triple], /) -> Callable[P, Layer]: ...
@overload
def layer(*, inputs: Inputs) -> Callable[[Callable[P, Triple]], Callable[P, Layer]]: ...
def layer(constructor: Callable[P, Triple] | None = None, /, *, inputs: Inputs = "floats") -> Any:
    """Make a function that returns ``init, apply, vjp`` return a `Layer`.

    The three functions come back checked: an input of another kind, or a ``dy`` that has
    not the shape of ``y``, is refused, and an error from inside names the call that made
    the layer.

    Args:
        constructor: the function; each of its arguments is part of the layer's value.
        inputs: what the layer takes: ``"floats"``, one array of float32 or float64;
            ``"integers"``, one array of whole numbers, for an embedding; ``"any"``, whatever
            its own layers take, a tuple or dict of arrays too.

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
    if inputs not in _CHECKS:
        raise ArgumentError(f'expected inputs "floats", "integers" or "any", got {inputs!r}')
    check = _CHECKS[inputs]

    def decorate(constructor: Callable[P, Triple]) -> Callable[P, Layer]:
        return remember(constructor, lambda triple, spec: _checked(triple, spec, check), "Layer")

    return decorate if constructor is None else decorate(constructor)


def core(function: Any) -> Any:
    """Return what stands behind a layer's ``vjp`` for use within a model.

    The same function, but for the protection of what it returns: its y may be written to, and
    its gradients may share memory with dy.
    """
    return getattr(function, "__wrapped__", function)


def for_last_call(pullback: Any) -> Any:
    """Return a pullback for a call that is its only or its last one.

    That of a chain then gives up what each layer keeps as soon as the layer's gradient is known.
    """
    return getattr(pullback, "last", pullback)


def _checked(triple: Triple, spec: Spec, check: Callable[[Any], None]) -> Layer:
    init, apply, vjp = triple

    def checked_init(key: Key, shape: Any, /) -> tuple[Tree, Any]:
        try:
            if not isinstance(key, Key):
                raise ArgumentError(f"expected a key, got {key!r}; use fcnn.key(0)")
            return init(key, as_shape(shape))
        except FcnnError as error:
            raise error.called(repr(made)) from None

    def checked_apply(params: Tree, x: Any, /, ctx: Context = EVAL) -> Any:
        try:
            if type(ctx) is not Context:
                refuse_context(ctx)
            check(x)
            return apply(params, x, ctx)
        except FcnnError as error:
            raise error.called(repr(made)) from None

    def checked_vjp(params: Tree, x: Any, /, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        try:
            if type(ctx) is not Context:
                refuse_context(ctx)
            check(x)
            y, pullback = vjp(params, x, ctx)
        except FcnnError as error:
            raise error.called(repr(made)) from None
        shape = y.shape if isinstance(y, np.ndarray) else shapes_of(y)
        checked: Any = _checked_pullback(pullback, shape, made)
        if hasattr(pullback, "last"):
            checked.last = _checked_pullback(pullback.last, shape, made)
        return y, checked

    def protected_vjp(params: Tree, x: Any, /, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        y, pullback = checked_vjp(params, x, ctx)

        def protected_pullback(dy: Any) -> tuple[Tree, Any]:
            dparams, dx = pullback(dy)
            memory = {id(_owner(leaf)) for leaf in tree.leaves(dy)}

            def apart(leaf: Any) -> Any:
                if id(_owner(leaf)) not in memory:
                    return leaf
                return leaf.copy("K") if isinstance(leaf, np.ndarray) else np.array(leaf)

            return tree.map(apart, dparams, statistic=_itself), tree.map(apart, dx)

        return tree.map(_read_only, y), protected_pullback

    protected_vjp.__wrapped__ = checked_vjp  # type: ignore[attr-defined]
    checked_init.__qualname__, checked_apply.__qualname__ = "Layer.init", "Layer.apply"
    protected_vjp.__qualname__ = checked_vjp.__qualname__ = "Layer.vjp"
    made = Layer(checked_init, checked_apply, protected_vjp, spec)
    return made


def _checked_pullback(pullback: ModelPullback, shape: Any, of: Layer) -> ModelPullback:
    def checked_pullback(dy: Any) -> tuple[Tree, Any]:
        if (dy.shape if isinstance(dy, np.ndarray) else shapes_of(dy)) != shape:
            raise ShapeError(
                f"expected dy of y's shape {shape}, got {shapes_of(dy)}", call=repr(of)
            )
        return pullback(dy)

    return checked_pullback


def refuse_context(ctx: Any) -> NoReturn:
    """Refuse what is passed in place of a context."""
    raise ArgumentError(
        f"expected a Context, got {type(ctx).__name__}; pass fcnn.training(key) in training, "
        f"and nothing in evaluation"
    )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.setflags(write=False)
    return view


def _itself(leaf: Any) -> Any:
    return leaf


def _owner(array: Any) -> Any:
    """Return what owns the memory: NumPy's ``base`` of a view, or the base of that."""
    base = getattr(array, "base", None)
    while base is not None:
        array, base = base, getattr(base, "base", None)
    return array


def is_shape(shape: Any) -> bool:
    """Return whether this is the shape of one array, not a tuple or dict of shapes.

    ``()`` is the shape of a number.
    """
    return isinstance(shape, tuple) and all(isinstance(n, int | np.integer) for n in shape)


def as_shape(shape: Any) -> Any:
    """Return a shape, or a tuple or dict of shapes, with every list as a tuple.

    Raises:
        ShapeError: if it is neither.
    """
    if isinstance(shape, dict):
        return {name: as_shape(child) for name, child in shape.items()}
    if isinstance(shape, tuple | list):
        if is_shape(tuple(shape)):
            return tuple([int(n) for n in shape])
        return tuple([as_shape(child) for child in shape])
    is_array = isinstance(shape, np.ndarray)
    got = f"an array; pass x.shape[1:] = {shape.shape[1:]}" if is_array else repr(shape)
    raise ShapeError(f"expected the shape of one example, (h, w, c) or the like, got {got}")


def shapes_of(x: Any) -> Any:
    """Return the shape of an array, or the tuple or dict of the shapes of a tree's arrays."""
    return tree.map(shape_of, x)


def check_floats(x: Any) -> None:
    """Refuse what is not an array of float32 or float64."""
    if not isinstance(x, np.ndarray):
        raise DTypeError(
            f"expected a float32 or float64 array, got {type(x).__name__}; "
            f"convert with np.asarray(x, np.float32)"
        )
    if x.dtype.char not in "fd":
        raise DTypeError(
            f"expected a float32 or float64 array, got {x.dtype}; convert with x.astype(np.float32)"
        )


def _check_integers(x: Any) -> None:
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu":
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise DTypeError(f"expected an array of whole numbers, got {kind}")


def _check_any(x: Any) -> None:
    if isinstance(x, np.ndarray):
        return
    if not isinstance(x, tuple | dict):
        check_floats(x)
    for path, leaf, _ in walk(x):
        if not isinstance(leaf, np.ndarray):
            where = f" at {path}" if path else ""
            raise DTypeError(
                f"expected an array or a tuple or dict of arrays, "
                f"got {type(leaf).__name__}{where}; convert with np.asarray(x, np.float32)"
            )


_CHECKS = {"floats": check_floats, "integers": _check_integers, "any": _check_any}


def check_dtype(dtype: np.dtype[Any], expected: np.dtype[Any]) -> None:
    """Refuse an input whose precision is not that of the parameters."""
    if dtype != expected:
        raise DTypeError(
            f"expected an input of the params' dtype {expected}, got {dtype}; cast one: "
            f"x.astype(np.{expected}) or fcnn.tree.astype(params, np.{dtype})"
        )


def relocate(error: Exception, step: str, culprit: Layer | str) -> NoReturn:
    """Raise ``error`` again, saying that it came from ``culprit`` at ``step`` of a combinator."""
    if isinstance(error, FcnnError):
        raise error.within(step) from None
    error.add_note(f"in {step} {culprit!r}" if isinstance(culprit, Layer) else f"in {culprit}")
    raise error
