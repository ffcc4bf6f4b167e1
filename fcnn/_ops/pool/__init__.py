"""Pooling by windows, and its adjoints."""

from fcnn._ops.pool.average import avg_pool as avg_pool
from fcnn._ops.pool.average import avg_pool_adjoint as avg_pool_adjoint
from fcnn._ops.pool.max import max_pool as max_pool
from fcnn._ops.pool.max import max_pool_adjoint as max_pool_adjoint
from fcnn._ops.pool.steps import avg_pool_padded_vjp as avg_pool_padded_vjp
from fcnn._ops.pool.steps import avg_pool_vjp as avg_pool_vjp
from fcnn._ops.pool.steps import max_pool_vjp as max_pool_vjp
from fcnn._ops.pool.steps import pool_vjp as pool_vjp
