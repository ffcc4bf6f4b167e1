"""Array kernels and their adjoints: no trees, no layers, no contexts."""
