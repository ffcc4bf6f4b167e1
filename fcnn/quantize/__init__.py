"""Models in whole numbers of 8 bits, as a microcontroller computes them.

`calibrate` turns a model and its params into one whose layers compute in whole numbers, by the
ranges that its values have on some examples. `apply` computes it in NumPy, and
``fcnn.export.c(..., quantize=)`` writes it in C: both have the same bits up to the last layer, so
that accuracy is measured here and kept there.

>>> import numpy as np, fcnn
>>> model = fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
>>> params, _ = model.init(fcnn.key(0), (8, 8, 1))
>>> images = np.random.default_rng(0).random((16, 8, 8, 1), np.float32)
>>> small = fcnn.quantize.calibrate(model, params, images)
>>> small
Quantized(serial(conv2d(8, 3), relu, flatten, dense(10)), 3224 bytes of weights)
>>> error = fcnn.quantize.apply(small, images) - model.apply(params, images)
>>> bool(np.abs(error).max() < 0.05)
True
"""

from fcnn.export._whole._api import apply, calibrate
from fcnn.export._whole._quantized import Quantized

__all__ = ["Quantized", "apply", "calibrate"]
