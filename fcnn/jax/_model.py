"""`model`: a layer as a JAX function, differentiated by its VJP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Layer
from fcnn.jax._register import from_jax, jax, without_observations


def model(layer: Layer, *, ctx: Context = EVAL) -> Callable[[Any, Any], Any]:
    """Return ``(params, x) -> y`` as a function that JAX jits and differentiates once.

    NumPy computes it, in a callback of the host; ``jax.grad`` calls the layer's VJP. Gradients of
    running statistics are zeros. Derivatives of derivatives, and forward mode, raise.

    Args:
        layer: the model.
        ctx: the context, `fcnn.EVAL` or ``fcnn.training(key)``.

    Raises:
        ImportError: if JAX is missing.

    >>> import fcnn, fcnn.jax, jax, numpy as np
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (3,))
    >>> net = fcnn.jax.model(fcnn.dense(2))
    >>> loss = lambda params, x: (net(params, x) ** 2).sum()
    >>> grads = jax.jit(jax.grad(loss))(fcnn.jax.to_jax(params), np.ones((4, 3), np.float32))
    >>> grads.weight.shape
    (3, 2)
    """
    library = jax()

    def apply(params: Any, x: Any) -> Any:
        return layer.apply(from_jax(params), from_jax(x), ctx)

    def pull(params: Any, x: Any, dy: Any) -> Any:
        _, pullback = layer.vjp(from_jax(params), from_jax(x), ctx)
        dparams, dx = pullback(from_jax(dy))
        return without_observations(dparams), dx

    @library.custom_vjp  # type: ignore[untyped-decorator]
    def function(params: Any, x: Any) -> Any:
        return library.pure_callback(apply, _shapes(apply, params, x), params, x)

    def forward(params: Any, x: Any) -> Any:
        return function(params, x), (params, x)

    def backward(kept: Any, dy: Any) -> Any:
        like = library.tree.map(_shape, kept)
        return library.pure_callback(pull, like, *kept, dy)

    def _shape(leaf: Any) -> Any:
        return library.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    def _shapes(call: Any, *args: Any) -> Any:
        """Return shapes and dtypes of the output, by a call with zeros of two examples."""
        count = library.tree.leaves(args[1])[0].shape[0]
        zeros = library.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), args[0])
        few = library.tree.map(lambda leaf: np.zeros((2, *leaf.shape[1:]), leaf.dtype), args[1])
        found = call(zeros, few)
        return library.tree.map(
            lambda leaf: library.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype), found
        )

    function.defvjp(forward, backward)

    def checked(params: Any, x: Any) -> Any:
        from fcnn.jax._register import register

        register(params)
        return function(params, library.tree.map(library.numpy.asarray, x))

    return checked
