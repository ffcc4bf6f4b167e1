"""JSON and arrays as the trees and values that they describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fcnn.errors import DataError, FcnnError, TreeError

Find = Callable[[str, str], Any]
"""``(kind, name)`` to the class, constructor or value of that name."""

_PLAIN = {"int": int, "bool": bool, "str": str}


def decode(doc: Any, arrays: Mapping[str, np.ndarray], find: Find) -> Any:
    """Return what a document describes.

    Raises:
        DataError: if it is no such document.
        TreeError: from ``find``.
    """
    with _described():
        return _decode(doc, arrays, find)


@contextmanager
def _described() -> Iterator[None]:
    """Turn what a damaged document raises into one error."""
    try:
        yield
    except (DataError, TreeError):
        raise
    except RecursionError:
        raise DataError("expected a tree, got one that is nested too deep") from None
    except (AttributeError, FcnnError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"expected the description of a tree, got {error!r:.80}") from None


def _decode(doc: Any, arrays: Mapping[str, np.ndarray], find: Find) -> Any:
    def inner(child: Any) -> Any:
        return _decode(child, arrays, find)

    if doc is None:
        return None
    tag = next(iter(doc))
    content = doc[tag]
    if tag in _PLAIN:
        if type(content) is not _PLAIN[tag]:
            raise DataError(f"expected {tag}, got {content!r:.40}")
        return content
    match tag:
        case "float":
            return float(content)
        case "array":
            return arrays[content]
        case "scalar":
            return arrays[content][()]
        case "tuple":
            return tuple([inner(child) for child in content])
        case "list":
            return [inner(child) for child in content]
        case "dict":
            return {name: inner(child) for name, child in content}
        case "node":
            return find(tag, content)(*[inner(child) for child in doc["fields"].values()])
        case "record":
            return find(tag, content)(**{k: inner(child) for k, child in doc["fields"].items()})
        case "name" | "function":
            return find(tag, content)
        case "call":
            args = [inner(each) for each in doc["args"]]
            kwargs = {name: inner(each) for name, each in doc["kwargs"].items()}
            return find(tag, content)(*args, **kwargs)
    raise DataError(f"expected the description of a tree, got the tag {tag!r:.40}")


def leaves_of(doc: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return the document of each array, number and text by its path, in order.

    What is called by name (layers, functions) has no leaves.

    Raises:
        DataError: if it is no such document, or an array is missing.
    """
    with _described():
        found = dict(_leaves(doc, ""))
        for leaf in found.values():
            if (tag := next(iter(leaf))) in ("array", "scalar"):
                _ = arrays[leaf[tag]]
        return found


def _leaves(doc: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if doc is None:
        return
    if not isinstance(doc, dict) or not doc:
        raise DataError(f"expected the description of a tree, got {doc!r:.40}")
    tag = next(iter(doc))
    if tag in ("array", "scalar", "int", "float", "bool", "str"):
        yield path, doc
    elif tag in ("tuple", "list"):
        for i, child in enumerate(doc[tag]):
            yield from _leaves(child, f"{path}[{i}]")
    elif tag == "dict":
        for name, child in doc[tag]:
            yield from _leaves(child, f"{path}[{name!r}]")
    elif tag in ("node", "record"):
        for name, child in doc["fields"].items():
            yield from _leaves(child, f"{path}.{name}")
