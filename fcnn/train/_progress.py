"""A progress bar, where someone can see it: on a terminal, or in a notebook."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def bar(total: int, title: str, shown: bool) -> Iterator[Callable[[], object]]:
    """Yield the function that advances a bar by one step; the bar vanishes at the end.

    Nothing is shown if ``shown`` is false, or standard error is neither a terminal nor a
    notebook's.
    """
    kind = _kind() if shown else None
    if kind is None:
        yield lambda: None
    else:
        with kind(total=total, desc=title, leave=False, unit="step") as made:
            yield made.update


def _kind() -> Any:
    """Return tqdm's class of bars for where this runs; None if it would not be seen."""
    if _in_notebook():
        with contextlib.suppress(ImportError):
            importlib.import_module("ipywidgets")  # without it tqdm.notebook warns and fails
            from tqdm.notebook import tqdm as widget

            return widget
    elif not _is_terminal(sys.stderr):
        return None
    from tqdm import tqdm

    return tqdm


def _in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this; IPython is loaded already if so."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return hasattr(get_ipython(), "kernel")


def _is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal; it may be None, closed, or any object with write."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
