"""Names of classes and constructors in files, and what they stand for.

A file says ``fcnn.ConvParams`` or ``mylayers.scale``. A name is looked up in fcnn and in the
modules that the caller names, and must stand for something that may be in a file: a class of
nodes, a record, a value, a constructor of values. Other functions are never called.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from fcnn._record import is_record
from fcnn._value import Value, is_constructor
from fcnn.errors import TreeError
from fcnn.tree._children import is_namedtuple

_KINDS: dict[str, Callable[[Any], bool]] = {
    "node": lambda found: (
        isinstance(found, type) and (hasattr(found, "__node_fields__") or is_namedtuple(found))
    ),
    "record": is_record,
    "name": lambda found: isinstance(found, Value),
    "call": is_constructor,
    "function": callable,
}


def name_of(thing: Any) -> str:
    """Return the name by which a class or function is found again, the public one if it has one."""
    module, name = thing.__module__, thing.__qualname__
    if module.split(".")[0] == "fcnn":
        fcnn: Any = sys.modules["fcnn"]  # the row above this one
        spaces: list[Any] = [fcnn]
        if "." in module:
            spaces.append(getattr(fcnn, module.split(".")[1], None))
        for space in spaces:
            if name in getattr(space, "__all__", ()) and getattr(space, name) is thing:
                return f"{space.__name__}.{name}"
    if "<locals>" in name:
        raise TreeError(
            f"expected a class or function at the top level of a module, got {module}.{name}; "
            f"move it there, so that it can be found when the file is read"
        )
    return f"{module}.{name}"


def find(kind: str, name: str, modules: Collection[str] = ()) -> Any:
    """Return what a name in a file stands for.

    Raises:
        TreeError: if it is not in fcnn or the modules, or nothing of this kind.
    """
    hint = f"pass modules=[{name.rpartition('.')[0]!r}] if you trust that module"
    allowed = {"fcnn", *modules}
    if not any(name.startswith(f"{module}.") for module in allowed):
        raise TreeError(f"expected a {kind} of fcnn, got {name!r}; {hint}")
    if kind == "function" and not any(name.startswith(f"{module}.") for module in modules):
        raise TreeError(f"expected no function, got {name!r}; {hint}")
    found = _look_up(name)
    if found is None or not _KINDS[kind](found):
        raise TreeError(f"expected a {kind} by the name {name!r}, found {found!r:.60}")
    return found


def _look_up(name: str) -> Any:
    """Return the attribute of a module that a dotted name leads to; None if there is none."""
    parts = name.split(".")
    inner = parts[1:] if parts[0] == "__main__" else parts
    if not all(part.isidentifier() and not part.startswith("__") for part in inner):
        return None
    for end in range(len(parts) - 1, 0, -1):
        module = _module(".".join(parts[:end]))
        if module is None:
            continue
        found = module
        for part in parts[end:]:
            found = getattr(found, part, None)
            if isinstance(found, ModuleType):  # which a trusted module imports, such as os
                return None
        return found
    return None


def _module(name: str) -> Any:
    if name in sys.modules:
        return sys.modules[name]
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
