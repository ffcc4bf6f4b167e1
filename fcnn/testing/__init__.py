"""The laws of layers, losses, optimizers, schedules and initializers, checked.

For fcnn's own tests and for yours: `check_layer`, `check_loss`, `check_optimizer`,
`check_schedule` and `check_initializer` hold a thing to everything that the library relies
on, `check_fusion` compares a model's fused kernels with its layers one by one, and
`check_vjp` compares any pullback with the differences of its function, `check_grads` any
gradient. `strategies` has Hypothesis strategies for shapes, arrays, keys, layers and pipelines.

``python -m fcnn check module:constructor "(28, 28, 1)"`` checks a layer from the shell.
"""

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
