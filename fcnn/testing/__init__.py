"""The laws that a layer and a loss obey, checked: for fcnn's own tests and for yours.

`check_layer` holds a layer to everything that the library relies on, `check_loss` a
loss, and `check_vjp` compares any pullback with the differences of its function.
"""

from fcnn.testing._layer import check_layer
from fcnn.testing._loss import check_loss
from fcnn.testing._vjp import check_vjp

__all__ = ["check_layer", "check_loss", "check_vjp"]
