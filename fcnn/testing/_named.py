"""The layer that ``module:expression`` names on a command line.

The expression is a name of the module, or a call of one with literals, names and such calls
as arguments. It is read by `ast` and nothing else of Python is evaluated.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
from types import ModuleType
from typing import Any

from fcnn import layers
from fcnn._layer import Layer, as_shape
from fcnn.errors import ArgumentError, ShapeError


def named_layer(text: str) -> Any:
    """Return the layer, or the bare triple, that ``module:name`` or ``module:name(...)`` names.

    Raises:
        ArgumentError: with what to write, if there is none.
    """
    module_name, colon, expression = text.partition(":")
    if not (module_name and colon and expression):
        raise ArgumentError(f"expected module:name or module:name(arguments), got {text!r}")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise ArgumentError(f"expected a module, got a file; write {dotted}:{expression}")
    module = _imported(module_name)
    try:
        parsed = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise ArgumentError(f"expected a name or a call, got {expression!r}") from None
    if not isinstance(parsed, ast.Name | ast.Call):
        raise ArgumentError(f"expected a name or a call, got {expression!r}")
    return _as_layer(value_of(parsed, module), text)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ArgumentError(
                f"expected a module that Python finds, got {name!r}; run this in its folder, or "
                f"put the folder on PYTHONPATH"
            ) from None
        raise ArgumentError(f"expected a module that imports, got {name!r}: {error}") from error


def value_of(node: ast.expr, module: ModuleType) -> Any:
    """Return what an expression of names, calls and literals stands for."""
    if isinstance(node, ast.Name):
        return _attribute(module, node.id)
    if isinstance(node, ast.Call):
        if any(keyword.arg is None for keyword in node.keywords):
            raise ArgumentError(f"expected plain arguments, got {ast.unparse(node)!r}")
        args = [value_of(each, module) for each in node.args]
        kwargs = {str(each.arg): value_of(each.value, module) for each in node.keywords}
        return _called(value_of(node.func, module), ast.unparse(node), args, kwargs)
    if isinstance(node, ast.Tuple | ast.List):
        items = [value_of(each, module) for each in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ArgumentError(
            f"expected names, calls and literals, got {ast.unparse(node)!r}; "
            f"give what you mean a name in {module.__name__}"
        ) from None


def _attribute(module: ModuleType, name: str) -> Any:
    """Return what the module, or `fcnn.layers`, calls by this name."""
    if hasattr(module, name) and not name.startswith("__"):
        return getattr(module, name)
    if name in layers.__all__:
        return getattr(layers, name)
    near = difflib.get_close_matches(name, [n for n in dir(module) if not n.startswith("_")], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ArgumentError(f"expected a name of {module.__name__}, got {name!r}{hint}")


def _called(function: Any, text: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if not callable(function) or isinstance(function, Layer):
        raise ArgumentError(f"expected a constructor to call, got {function!r} in {text}")
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(f"{text}: {error}; it is {_signature(function)}") from None
    return function(*args, **kwargs)


def _signature(function: Any) -> str:
    return f"{function.__name__}{inspect.signature(function)}"


def _as_layer(found: Any, text: str) -> Any:
    """Return a layer; of a constructor without arguments, what it makes."""
    if inspect.isfunction(found):
        try:
            inspect.signature(found).bind()
        except TypeError:
            raise ArgumentError(
                f"expected a layer, got a constructor that needs arguments, {_signature(found)}; "
                f"write {text}(...)"
            ) from None
        found = found()
    is_triple = isinstance(found, tuple) and len(found) == 3 and all(map(callable, found))
    if isinstance(found, Layer) or is_triple:
        return found
    raise ArgumentError(f"expected a layer or (init, apply, vjp), got {found!r} for {text}")


def read_shape(text: str) -> Any:
    """Return the shape of one example that a text says.

    Raises:
        ShapeError: with what to write, if it says none.
    """
    try:
        shape = ast.literal_eval(text)
        return as_shape((shape,) if isinstance(shape, int) else shape)
    except (ValueError, SyntaxError, TypeError):
        raise ShapeError(
            f'expected the shape of one example, such as "(28, 28, 1)" or "((8, 8, 1), (5,))", '
            f"got {text!r}"
        ) from None
