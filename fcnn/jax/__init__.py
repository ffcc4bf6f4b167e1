"""Params and models in JAX: nodes as pytrees, and a layer as a function that JAX differentiates.

Needs JAX: ``pip install 'fcnn[jax]'``.
"""

#   _register  nodes as pytrees, arrays from one library to the other
#   _model     a layer as a JAX function

from fcnn.jax._model import model
from fcnn.jax._register import from_jax, register, to_jax

__all__ = ["from_jax", "model", "register", "to_jax"]
