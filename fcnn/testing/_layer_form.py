"""Laws of form: what init gives, which shapes and dtypes come out, that vjp repeats apply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._layer import EVAL, as_shape
from fcnn._typing import Tree
from fcnn._value import Value, values_in
from fcnn.initializers import constant
from fcnn.prng import Key, abstract_key, fold_in
from fcnn.testing._compare import DTYPES, finite, is_float, misfit, numbers, places
from fcnn.testing._layer_case import Case
from fcnn.testing._layer_gradient import differences
from fcnn.testing._points import enlarged, moved


def init_problems(case: Case) -> Iterator[str]:
    """Check that init is a function of its key, in float32, and says the shapes."""
    made, out_shape = case.init(case.seed)
    again = case.init(case.seed)
    keys = (fold_in(case.seed, 1), Key((case.seed.seed + 1) % 2**64, case.seed.path))
    others = [case.init(key)[0] for key in keys]
    if tree.digest(made) != tree.digest(again[0]) or out_shape != again[1]:
        yield "one key gave two sets of params"
    for path, leaf in zip(tree.paths(made), tree.leaves(made), strict=True):
        if is_float(leaf) and np.asarray(leaf).dtype != np.float32:
            yield f"params{path} is {np.asarray(leaf).dtype}; init gives float32"
    if not finite(made):
        yield "params hold a number that is not finite"
    if as_shape(out_shape) != out_shape:
        yield f"expected a tuple of whole numbers as out_shape, got {out_shape!r}"
    for other in others:
        rows = zip(tree.paths(made), tree.leaves(made), tree.leaves(other), strict=True)
        for place, leaf, its in rows:
            if tree.digest(leaf) == tree.digest(its) and looks_drawn(leaf, case.layer):
                yield f"params{place} looks drawn, and is the same for two keys"
    abstract, same_shape = case.init(abstract_key())
    if same_shape != out_shape or _form(made) != _form(abstract):
        yield "with fcnn.prng.abstract_key(), init gives params or an out_shape of other shapes"


def _form(params: Tree) -> Any:
    """Return structure, shapes and dtypes."""
    return tree.structure(params), [(a.shape, a.dtype) for a in numbers(params)]


def looks_drawn(leaf: Any, value: Any = None) -> bool:
    """Whether an array looks like random numbers: most differ, and most use all their bits.

    Numbers that an argument of ``value`` gave to `fcnn.initializers.constant` are not drawn.
    """
    array = np.asarray(leaf)
    if array.dtype.kind != "f" or array.size < 2 or len(np.unique(array)) <= array.size / 2:
        return False
    scaled = array.astype(np.float64) * 2**12
    if np.mean(scaled != np.round(scaled)) <= 0.5:
        return False
    return not any(_is_constant(array, each) for each in _values(value))


def _values(value: Any) -> Iterator[Value]:
    return values_in(value if isinstance(value, Value) else ())


def _is_constant(array: Any, value: Value) -> bool:
    if value.spec.constructor is not constant:
        return False
    given = np.asarray(value.spec.arguments["value"], np.float32)
    try:
        return bool(np.array_equal(np.broadcast_to(given, array.shape), array))
    except ValueError:
        return False


def structure_problems(case: Case) -> Iterator[str]:
    """Check that outputs and gradients have their shapes, at every batch length."""
    for n in case.sizes:
        params, x = case.params, case.x(n)
        y, pullback = case.vjp(params, x)
        for name, each in (("apply", case.apply(params, x)), ("vjp", y)):
            if problem := _array_problem(each):
                yield f"{name} gives {problem}"
            elif _batch.example_shape(each) != case.out_shape:
                got = _batch.example_shape(each)
                yield f"init says that y has the shape {case.out_shape}, and {name} gives {got}"
            elif _batch.length(each) != n:
                yield f"{name} of {n} example(s) gives {_batch.length(each)}"
        grads = pullback(case.dy(y))
        if not isinstance(grads, tuple) or len(grads) != 2:
            yield "expected (dparams, dx) from the pullback"
        for name, arg, grad in zip(("dparams", "dx"), (params, x), grads, strict=True):
            if problem := misfit(arg, grad):
                yield f"{name}: {problem}"


def _array_problem(y: Tree) -> str:
    for path, leaf in zip(tree.paths(y), tree.leaves(y), strict=True):
        if not isinstance(leaf, np.ndarray) or not leaf.ndim:
            where = f" at {path}" if path else ""
            return f"{type(leaf).__name__}{where} instead of an array with a batch axis"
    return ""


def vjp_problems(case: Case) -> Iterator[str]:
    """Check that vjp's y is apply's, bit for bit, and that no context means evaluation."""
    for dtype in DTYPES:
        for n in case.sizes:
            params, x = case.at(dtype, n)
            y = tree.digest(case.apply(params, x))
            if y != tree.digest(case.vjp(params, x)[0]):
                yield f"apply and vjp give different bits for y in {dtype} for {n} example(s)"
            without = attrs.evolve(case.ctx, input_grad=False)
            if y != tree.digest(case.apply(params, x, without)):
                yield "input_grad=False changes apply's y"
        if case.ctx == EVAL:
            _, apply, vjp = case.triple
            if {tree.digest(apply(params, x)), tree.digest(vjp(params, x)[0])} != {y}:
                yield "without a context, y is not that of fcnn.EVAL"


def dtype_problems(case: Case) -> Iterator[str]:
    """Check that everything that comes out has the dtype that went in, and is finite."""
    for dtype in DTYPES:
        for n in case.sizes:
            y, *grads = case.run(dtype, n)
            names = [f"y{path}" for path in tree.paths(y)] + places(tuple(grads))
            for name, array in zip(names, numbers((y, *grads)), strict=True):
                if array.dtype.kind == "f" and array.dtype != dtype:
                    yield f"{dtype} went in, and {name} is {array.dtype}"
                if not np.isfinite(array).all():
                    yield f"{name} is not finite in {dtype} for finite inputs"


def square_problems(case: Case) -> Iterator[str]:
    """Check wider images than a square shape, unless init refuses them."""
    wide = enlarged(case.shape)
    if wide == case.shape or case.inputs.given is not None:
        return
    try:
        made, out_shape = case.triple[0](case.seed, wide)
    except Exception:
        return
    other = attrs.evolve(
        case,
        shape=wide,
        out_shape=out_shape,
        made=made,
        params=moved(made, fold_in(case.seed, 1)),
        inputs=attrs.evolve(case.inputs, shape=wide),
    )
    for problems in (structure_problems, vjp_problems):
        for problem in problems(other):
            yield f"on {wide}: {problem}"
    try:
        differences(other, case.batch, directions=1)
    except AssertionError as error:
        yield f"on {wide}: {error}"
