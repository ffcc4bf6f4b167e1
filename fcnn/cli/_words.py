"""Words of the command line that name a call: ``adamw``, ``"sgd(momentum=0.9)"``."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Sequence
from typing import Any

from fcnn.cli._parser import near
from fcnn.errors import ArgumentError
from fcnn.testing._named import value_of


def parsed(text: str, names: Sequence[str], what: str) -> tuple[str, ast.Call]:
    """Return the name and the call that a word stands for; nothing of Python is evaluated.

    Raises:
        ArgumentError: with the name that was meant, if it is none of ``names``.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        node = ast.Constant(None)
    return as_call(node, names, what, text)


def as_call(node: ast.expr, names: Sequence[str], what: str, text: str) -> tuple[str, ast.Call]:
    """Return the name and the call of a parsed word; see `parsed`."""
    if isinstance(node, ast.Name):
        node = ast.Call(node, [], [])
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ArgumentError(f"expected {what}, or a call of one, got {text!r}")
    name = node.func.id
    if name not in names:
        hint = near(name, names) or f"; there are {', '.join(names)}"
        raise ArgumentError(f"expected {what}, got {name!r}{hint}")
    return name, node


def called(call: ast.Call, module: str) -> Any:
    """Return what a call of a name in a module returns.

    Raises:
        ArgumentError: if its arguments do not fit.
    """
    return value_of(call, importlib.import_module(module))


def with_default(call: ast.Call, name: str, value: Any) -> ast.Call:
    """Return the call with one more keyword, unless it has that or arguments by position."""
    if call.args or any(each.arg == name for each in call.keywords):
        return call
    return ast.Call(call.func, [], [ast.keyword(name, ast.Constant(value)), *call.keywords])
