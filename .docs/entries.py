"""A public name as reStructuredText: its directive, its signature and its docstring."""

import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from typing import Any

import public
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

from fcnn._value import Value

SETTINGS = Config(napoleon_use_ivar=True, napoleon_google_docstring=True)


def rest(doc: str) -> str:
    """Return a docstring with its sections as fields of Sphinx."""
    found = str(GoogleDocstring(doc, SETTINGS))  # type: ignore[arg-type]
    # A name that ends in an underscore would be a link, and be shown without it.
    return re.sub(r"^(:\w+ \w+)_:", r"\1\_:", found, flags=re.MULTILINE)


def first_line(thing: Any) -> str:
    """Return the first sentence of a docstring as one line."""
    paragraph = " ".join(public.docstring(thing).split("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", paragraph)[0].replace("::", ".")


class _Text(str):
    """A text that prints without quotes in a signature."""

    __repr__ = str.__str__


def _default(value: Any) -> Any:
    if inspect.isroutine(value) or (inspect.isclass(value) and value.__module__ == "builtins"):
        return _Text(value.__name__)
    if inspect.isclass(value):
        return _Text(f"np.{value.__name__}" if value.__module__ == "numpy" else value.__name__)
    shown = repr(value)
    return _Text({"NOTHING": "...", "Key(seed=0, path=())": "key(0)"}.get(shown, shown))


def _annotation(value: Any) -> Any:
    return _Text(value) if isinstance(value, str) else value


def signature(function: Callable[..., Any]) -> str:
    """Return a signature that Sphinx can read, with annotations as they are written."""
    found = inspect.signature(function)
    parameters = [
        each.replace(
            annotation=_annotation(each.annotation),
            default=each.default if each.default is each.empty else _default(each.default),
        )
        for each in found.parameters.values()
    ]
    returns = _annotation(found.return_annotation)
    return str(found.replace(parameters=parameters, return_annotation=returns))


def entry(name: str, thing: Any) -> str:
    """Return the directive of one name, with everything below it."""
    if inspect.isclass(thing) and typing.get_origin(thing) is None:
        return _class(name, thing)
    doc = rest(public.docstring(thing))
    if isinstance(thing, Value):
        return _directive("data", [name], doc, type=type(thing).__name__)
    if inspect.isroutine(thing):
        each = typing.get_overloads(inspect.unwrap(thing)) or [thing]
        return _directive("function", [name + signature(one) for one in each], doc)
    if not type(thing).__module__.startswith("fcnn"):
        return _directive("type", [name], doc)
    return _directive("data", [name], doc, type=type(thing).__name__, value=repr(thing))


def _class(name: str, cls: type) -> str:
    is_called = typing.Protocol not in cls.__bases__ and any(
        "__init__" in vars(base) for base in cls.__mro__ if base.__module__.startswith("fcnn")
    )
    call = signature(cls).removesuffix(" -> None") if is_called else ""
    body = [rest(public.docstring(cls)), *_members(cls)]
    bases = [base for base in cls.__bases__ if base.__name__.endswith("Error")]
    if bases:
        body.insert(0, f"Is a {' and a '.join(f'`{base.__name__}`' for base in bases)}.\n")
    kind = "exception" if issubclass(cls, Exception) else "class"
    return _directive(kind, [name + call], "\n\n".join(body))


def _members(cls: type) -> Iterator[str]:
    """Yield methods and properties; the class's own docstring tells of its fields."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            returns = inspect.signature(member.fget).return_annotation  # type: ignore[arg-type]
            yield _directive("property", [name], rest(inspect.getdoc(member) or ""), type=returns)
        elif inspect.isfunction(function):
            text = re.sub(r"^\((self|cls)(, )?", "(", signature(function))
            options = {"classmethod": ""} if isinstance(member, classmethod) else {}
            yield _directive("method", [name + text], rest(inspect.getdoc(member) or ""), **options)


def _directive(kind: str, calls: list[str], body: str, **options: str) -> str:
    head = f".. py:{kind}:: " + f"\n{' ' * len(f'.. py:{kind}:: ')}".join(calls)
    lines = [f"   :{name}: {value}".rstrip() for name, value in options.items()]
    return "\n".join([head, *lines, "", textwrap.indent(body, "   "), ""])
