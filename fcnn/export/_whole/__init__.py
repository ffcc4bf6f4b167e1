"""Models in whole numbers: the plan of their steps, and the steps in NumPy; see `fcnn.quantize`."""
