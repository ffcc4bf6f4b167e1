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

# Reading a file: `_load` opens it, matches its modules with the model's layers, converts arrays:
#
#   _load          load
#   _open          which reader opens which file
#   _torch         PyTorch's files
#   _pickles       the pickles in them, read without executing anything
#   _safetensors   ``.safetensors``
#   _keras         Keras's files
#   _keras_config  their layers in the order in which they run
#   _hdf5, _hdf5_values, _hdf5_types
#                  HDF5 without the C library
#   _flax          Flax's msgpack
#   _onnx          ONNX graphs
#   _stored        arrays that are read on demand
#   _modules       arrays as modules of another framework
#   _targets       the layers of a model that need params
#   _match         layers and modules in pairs
#   _search        which module belongs to which layer
#   _facts         hyper-parameters of the file against the model's
#   _orders        flattened features where channels come first
#   _rules         the registry: which arrays are the params of a layer
#   _layers        the rules of fcnn's layers
#   _save          save

from fcnn.weights import _layers as _layers  # the rules of fcnn's own layers
from fcnn.weights._load import Loaded, load
from fcnn.weights._rules import Slot, Target, rule
from fcnn.weights._save import save

__all__ = ["Loaded", "Slot", "Target", "load", "rule", "save"]
