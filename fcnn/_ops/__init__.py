"""Array kernels and their adjoints: no trees, no layers, no contexts."""

from fcnn._ops import memory as memory
