"""The laws of layers, losses, optimizers, schedules and initializers, checked.

For fcnn's own tests and for yours: `check_layer`, `check_loss`, `check_optimizer`,
`check_schedule` and `check_initializer` hold a thing to everything that the library relies
on, `check_fusion` compares a model's fused kernels with its layers one by one, and
`check_vjp` compares any pullback with the differences of its function, `check_grads` any
gradient. `strategies` has Hypothesis strategies for shapes, arrays, keys, layers and pipelines.

``python -m fcnn check module:constructor "(28, 28, 1)"`` checks a layer from the shell.
"""

# The laws are small functions that yield what breaks them, on a case:
#
#   _law                what a law is
#   _layer              those of a layer, in order
#   _layer_case         a layer in one mode, and everything that the laws ask of it
#   _layer_form, _layer_gradient, _layer_purity, _layer_mode
#                       shapes and dtypes; gradients; purity; keys and statistics
#   _float32            float32 results against those of float64
#   _points             inputs and params at which a layer is checked
#   _loss, _loss_case, _loss_numbers, _loss_purity
#                       the same of a loss
#   _optimizer, _optimizer_case, _optimizer_moves, _optimizer_purity
#                       and of an optimizer
#   _schedule           of a schedule
#   _initializer        of an initializer
#   _fusion             fused kernels against layers one by one
#   _vjp                a pullback against differences
#   _grads              a gradient against differences
#   _compare            trees compared by bits, difference and structure
#   _value              whether a value pickles, compares and prints
#   _globals, _memory   global generators watched; memory of one's own
#   _named, _table      the layer that a command line names; the table that it prints
#   strategies          for Hypothesis

from fcnn.testing import strategies
from fcnn.testing._fusion import check_fusion
from fcnn.testing._grads import check_grads
from fcnn.testing._initializer import check_initializer
from fcnn.testing._layer import check_layer
from fcnn.testing._loss import check_loss
from fcnn.testing._optimizer import check_optimizer
from fcnn.testing._schedule import check_schedule
from fcnn.testing._vjp import check_vjp

__all__ = [
    "check_fusion",
    "check_grads",
    "check_initializer",
    "check_layer",
    "check_loss",
    "check_optimizer",
    "check_schedule",
    "check_vjp",
    "strategies",
]
