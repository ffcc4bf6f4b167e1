"""Pooling by windows, and its adjoints.

A window is reduced along its columns, then along its rows::

    geometry  the checked arguments of a pooling layer, and where its windows stand
    windows   rows and columns of windows as views, in bands of an image
    max       the maximum; its gradient goes to one element
    average   means and sums
    power     the p-norm
    steps     sequences and volumes as one or two pools over images
    adaptive  maxima over windows of different sizes
    whole     means over all spatial axes
"""

from fcnn._ops.pool.average import avg_pool as avg_pool
from fcnn._ops.pool.average import avg_pool_adjoint as avg_pool_adjoint
from fcnn._ops.pool.max import max_pool as max_pool
from fcnn._ops.pool.max import max_pool_adjoint as max_pool_adjoint
from fcnn._ops.pool.steps import avg_pool_padded_vjp as avg_pool_padded_vjp
from fcnn._ops.pool.steps import avg_pool_vjp as avg_pool_vjp
from fcnn._ops.pool.steps import max_pool_vjp as max_pool_vjp
from fcnn._ops.pool.steps import pool_vjp as pool_vjp
