"""Trees in files: params, optimizer states and whole runs, written at once or not at all.

A file holds a JSON description of the tree, its arrays by name, and what the caller said of
them. Nothing in it is code: classes and constructors are looked up by name.
"""

from fcnn._record import record
from fcnn.checkpoint._environment import environment
from fcnn.checkpoint._save import is_storable as is_storable
from fcnn.checkpoint._save import load as load
from fcnn.checkpoint._save import load_info as load_info
from fcnn.checkpoint._save import load_model as load_model
from fcnn.checkpoint._save import save as save

__all__ = ["environment", "record"]
