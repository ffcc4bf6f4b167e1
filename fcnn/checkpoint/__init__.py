"""Trees in files: params, optimizer states and whole runs, written at once or not at all.

A file holds a JSON description of the tree, its arrays by name, and what the caller said of
them. Nothing in it is code: classes and constructors are looked up by name.
"""

# The files:
#
#   _save         save, load, load_model, load_info
#   _encode       trees and values as JSON and arrays
#   _decode       and back
#   _names        names of classes in files, and what they stand for
#   _leaf_names   names of arrays in files: ``conv1.weight``
#   _like         a tree of a file in the place of one that is like it
#   _npz          ``.npz`` files
#   _safetensors  ``.safetensors`` files
#   _write        files that are written at once or not at all
#   _environment  what decides the bits of a run besides its program

from fcnn._record import record
from fcnn.checkpoint._environment import environment
from fcnn.checkpoint._save import is_storable as is_storable
from fcnn.checkpoint._save import load as load
from fcnn.checkpoint._save import load_info as load_info
from fcnn.checkpoint._save import load_model as load_model
from fcnn.checkpoint._save import save as save

__all__ = ["environment", "record"]
