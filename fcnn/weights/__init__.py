"""Weights of other frameworks in and out, without the frameworks.

`load` reads what PyTorch, Keras, Flax, tinygrad and ONNX write, `save` writes a PyTorch
state_dict. Which arrays there are the params of which layer is registered by constructor:
`rule` adds a layer of your own.

===========  ====================================  ============  =====================
convention   files                                 affine layer  filters
===========  ====================================  ============  =====================
``"torch"``  ``.pt``, ``.safetensors``, ``.onnx``  weight, bias  ``(out, in, kh, kw)``
``"keras"``  ``.keras``, ``.weights.h5``, ``.h5``  kernel, bias  ``(kh, kw, in, out)``
``"flax"``   ``.msgpack``                          kernel, bias  ``(kh, kw, in, out)``
===========  ====================================  ============  =====================

Batch norm: Keras and Flax store the biased variance of batches, PyTorch and fcnn the unbiased
one, which matters only where training goes on. PyTorch's momentum is the weight of the new value,
fcnn's, Keras's and Flax's that of the old one. Keras's default eps is 1e-3, the others' 1e-5.
"""

from fcnn.weights import _layers as _layers  # the rules of fcnn's own layers
from fcnn.weights._load import Loaded, load
from fcnn.weights._rules import Slot, Target, rule
from fcnn.weights._save import save

__all__ = ["Loaded", "Slot", "Target", "load", "rule", "save"]
