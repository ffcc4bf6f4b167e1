"""Max and average pooling, and their adjoints."""

from fcnn._ops.pool.average import avg_pool as avg_pool
from fcnn._ops.pool.average import avg_pool_adjoint as avg_pool_adjoint
from fcnn._ops.pool.max import max_pool as max_pool
from fcnn._ops.pool.max import max_pool_adjoint as max_pool_adjoint
