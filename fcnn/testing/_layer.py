"""The laws that a layer obeys."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Collection, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._check import whole
from fcnn._layer import EVAL, Context, Layer, as_shape, training
from fcnn._typing import Tree
from fcnn.errors import DTypeError
from fcnn.prng import Key, fold_in
from fcnn.testing._globals import kept
from fcnn.testing._law import CALLS, KEY, Finding, Law, enforce, findings
from fcnn.testing._layer_case import Calls, Case
from fcnn.testing._layer_form import (
    dtype_problems,
    init_problems,
    square_problems,
    structure_problems,
    vjp_problems,
)
from fcnn.testing._layer_gradient import (
    batch_problems,
    float32_problems,
    gradient_problems,
    input_grad_problems,
    linear_problems,
)
from fcnn.testing._layer_mode import key_problems, observation_problems
from fcnn.testing._layer_purity import (
    alias_problems,
    call_problems,
    global_problems,
    purity_problems,
)
from fcnn.testing._points import Inputs, moved
from fcnn.testing._value import importable, value_problem


def check_layer(
    layer: Layer,
    shape: Any,
    *,
    key: Key = KEY,
    batch: int = 3,
    ctx: Context | None = None,
    params: Tree = None,
    x: Tree = None,
    step: float = 1e-7,
    rtol: float = 1e-5,
    calls: int = CALLS,
    skip: Collection[str] = (),
) -> None:
    """Hold a layer to everything that fcnn relies on in a layer.

    - *init* gives the same bits for the same key and others for another, float32 params, and
      the shapes that apply gives, also for ``fcnn.prng.abstract_key``.
    - *structure*: y has the shape that init says; gradients have the structure and shapes of
      params and x, `fcnn.tree.Observation` in the place of a statistic.
    - *vjp*: its y is apply's y, bit for bit; the default context is `fcnn.EVAL`.
    - *purity*: nothing that is passed in is changed; the same bits come out again, whatever
      is called in between, from read-only arrays too, and nearly the same numbers from
      arrays in another memory layout.
    - *globals*: no global generator is drawn from, seeded or read; NumPy's settings stay.
    - *aliases*: no gradient shares memory with dy, no result with what a pullback reads.
    - *dtype*: float32 gives float32 and float64 gives float64, all of it finite.
    - *linear*: the pullback is linear in dy.
    - *gradient*: the pullback is the transposed Jacobian, ``<Jᵀ dy, v> = <dy, J v>`` (see
      `check_vjp`), for batches of 1, 2, 5, ``batch`` and more than 16, at large inputs, and
      where inputs tie, as they do in the flat parts of an image.
    - *float32*: y and gradients in float32 are those in float64, but for rounding.
    - *batch*: in evaluation the examples of a batch do not see each other.
    - *square*: on wider images than a square ``shape``, the same.
    - *input_grad*: without dx, y and dparams are the same.
    - *key*: training draws from the context's key alone, and evaluation draws nothing.
    - *observation*: an observation is what the batch showed, and evaluation with it does
      what training did on that batch; in evaluation nothing is observed.
    - *calls*: the last of ``calls`` calls, those of the other laws among them, gives the
      bits of the first.
    - *value*: the layer pickles, equals its copy, and prints as the call that makes it.

    Args:
        layer: the layer, or a bare ``(init, apply, vjp)``.
        shape: the shape of one example; a tuple or dict of shapes where x is one of arrays.
        key: where every random number of the check comes from.
        batch: the batch length of the laws that need but one.
        ctx: the context; both `fcnn.EVAL` and training with a key if None.
        params: where to check; what init makes, moved at random, if None: at zero biases
            and unit scales some mistakes cannot be seen.
        x: where to check, for a layer that does not take all numbers; normal draws if None,
            or zeros and ones for a layer of whole numbers. Other batches repeat its examples,
            moved by about a percent.
        step: as in `check_vjp`.
        rtol: as in `check_vjp`.
        calls: after how many calls the bits must still be the same.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the layer, the law and what was seen.
        ArgumentError: if ``skip`` names no law.
        FcnnError: whatever the layer's init raises for ``shape``.

    >>> import fcnn
    >>> from fcnn.testing import check_layer
    >>> check_layer(fcnn.serial(fcnn.conv2d(2, 3), fcnn.relu), (5, 5, 1))
    >>> @fcnn.layer
    ... def double():
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return 2 * x, lambda dy: ((), 2.002 * dy)
    ...     return init, apply, vjp
    >>> check_layer(double(), (4,))
    Traceback (most recent call last):
    AssertionError: double() breaks the law 'gradient' on (4,) in evaluation: ...
    """
    found = layer_findings(
        layer,
        shape,
        key=key,
        batch=batch,
        ctx=ctx,
        params=params,
        x=x,
        step=step,
        rtol=rtol,
        calls=calls,
        skip=skip,
    )
    enforce(layer, found)


def layer_findings(
    layer: Layer,
    shape: Any,
    *,
    key: Key = KEY,
    batch: int = 3,
    ctx: Context | None = None,
    params: Tree = None,
    x: Tree = None,
    step: float = 1e-7,
    rtol: float = 1e-5,
    calls: int = CALLS,
    skip: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what each law finds; the arguments are those of `check_layer`."""
    whole(batch, "batch")
    shape = as_shape(shape)
    triple = tuple(layer)
    with kept():
        made, out_shape = triple[0](key, shape)
        at = moved(made, fold_in(key, 1)) if params is None else params
        inputs = Inputs(shape, fold_in(key, 2), x)
        inputs = attrs.evolve(inputs, whole_numbers=_takes_whole_numbers(triple, at, inputs))
    contexts = (EVAL, training(fold_in(key, 3))) if ctx is None else (ctx,)
    cases = [
        (
            f"on {shape} in {'training' if each.train else 'evaluation'}",
            Case(
                layer,
                triple,
                shape,
                out_shape,
                made,
                at,
                inputs,
                each,
                fold_in(key, 4),
                key,
                batch,
                step,
                rtol,
                Calls(whole(calls, "calls") // len(contexts)),
            ),
        )
        for each in contexts
    ]
    for _, case in cases:
        with contextlib.suppress(Exception), kept():  # the laws will find what is wrong
            case.calls.first = case.bits(*case.short())
    return findings(LAWS, cases, skip)


def _takes_whole_numbers(triple: Any, params: Tree, inputs: Inputs) -> bool:
    """Whether the layer refuses floats, as an embedding does."""
    if inputs.given is not None:
        return False
    try:
        triple[1](params, inputs(2), EVAL)
    except (DTypeError, IndexError):
        return True
    except Exception:
        return False
    return False


def value_problems(case: Case) -> Iterator[str]:
    """Check that the layer is a value whose copy computes the same bits."""
    yield value_problem(case.layer)
    if isinstance(case.layer, Layer) and importable(case.layer):
        copy = pickle.loads(pickle.dumps(case.layer))
        params, x = case.at(np.float32)
        if tree.digest(copy.apply(params, x, case.ctx)) != tree.digest(case.apply(params, x)):
            yield "its copy by pickle gives different bits"


LAWS = (
    Law("init", "the key decides; float32; shapes are apply's", init_problems),
    Law("structure", "y and gradients have their shapes", structure_problems),
    Law("vjp", "y is apply's, bit for bit", vjp_problems),
    Law("purity", "arguments unchanged, same bits again", purity_problems),
    Law("globals", "no global generator is used", global_problems),
    Law("aliases", "no shared memory", alias_problems),
    Law("dtype", "out as in, and finite", dtype_problems),
    Law("linear", "the pullback is linear in dy", linear_problems),
    Law("gradient", "the transposed Jacobian", gradient_problems),
    Law("float32", "as float64, but for rounding", float32_problems),
    Law("batch", "examples do not see each other", batch_problems),
    Law("square", "images need not be square", square_problems),
    Law("input_grad", "the same without dx", input_grad_problems),
    Law("key", "randomness comes from the key", key_problems),
    Law("observation", "statistics are what the batch showed", observation_problems),
    Law("calls", "the same bits, call after call", call_problems),
    Law("value", "pickles, compares, prints as its call", value_problems),
)
