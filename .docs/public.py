"""The public names of fcnn, and where each is written."""

import builtins
import functools
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import fcnn
from fcnn._value import Value


def names(space: ModuleType) -> dict[str, Any]:
    """Return the public names of a namespace that are no namespaces, and what they name."""
    things = {name: getattr(space, name) for name in sorted(space.__all__, key=str.lower)}
    return {name: thing for name, thing in things.items() if not inspect.ismodule(thing)}


def spaces(space: ModuleType = fcnn) -> Iterator[ModuleType]:
    """Yield a namespace and those in it."""
    yield space
    for name in sorted(space.__all__):
        thing = getattr(space, name)
        if inspect.ismodule(thing):
            yield from spaces(thing)


@functools.cache
def paths() -> tuple[str, ...]:
    """Return the path of every public name, those of the package first."""
    return tuple(f"{space.__name__}.{name}" for space in spaces() for name in names(space))


def find(target: str) -> list[str]:
    """Return the paths that a name may mean: one in `fcnn` or `fcnn.typing` hides the others."""
    for place in ("fcnn", "fcnn.typing"):
        if f"{place}.{target}" in paths():
            return [f"{place}.{target}"]
    return [path for path in paths() if path.endswith(f".{target}")]


def is_elsewhere(target: str) -> bool:
    """Return whether a name is built in, or a dotted one of another library."""
    root, _, rest = target.partition(".")
    if not rest or root == "fcnn":
        return hasattr(builtins, target)
    return importlib.util.find_spec(root) is not None


# Classes of params that several families share, and where they are described.
MOVED = {
    "fcnn.layers._sliding": "fcnn.layers.conv",
    "fcnn.layers._example_norm": "fcnn.layers.layer_norm",
    "fcnn._freezing": "fcnn.layers.frozen",
}


def home(thing: Any) -> str:
    """Return the module that something is written in."""
    if isinstance(thing, Value):
        return thing.spec.constructor.__module__
    found = getattr(inspect.unwrap(thing) if callable(thing) else thing, "__module__", "fcnn")
    return MOVED.get(found, found)


def docstring(thing: Any) -> str:
    """Return what is written in a function, class or value, or below another name."""
    if (
        isinstance(thing, Value)
        or inspect.isroutine(thing)
        or inspect.isclass(thing)
        or inspect.ismodule(thing)
    ):
        return inspect.getdoc(thing) or ""
    for name in ("fcnn._typing", "fcnn._layer"):
        module = importlib.import_module(name)
        for (scope, variable), lines in ModuleAnalyzer.for_module(name).find_attr_docs().items():
            if not scope and getattr(module, variable) is thing:
                return "\n".join(lines)
    raise LookupError(f"expected a string below the definition of {thing!r}, found none")
