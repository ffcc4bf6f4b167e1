"""Text for a terminal: its width, tables, paint where it is wanted, errors."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

_CODES = {"bold": "1", "red": "1;31", "green": "32"}


def columns() -> int:
    """Return the width of the terminal, 80 at most and 40 at least."""
    return min(80, max(40, shutil.get_terminal_size((80, 24)).columns))


def paint(text: str, colour: str, stream: Any = None) -> str:
    """Return the text in a colour, where the stream is a terminal that shows it.

    The environment variables NO_COLOR, if it is not empty, and TERM=dumb forbid it.
    """
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not _is_terminal(stream):
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def say(*lines: str) -> None:
    """Write lines to standard output at once, each wrapped."""
    for line in lines:
        sys.stdout.write((wrapped(line) if line else "") + "\n")
    flush()


def say_error(prog: str, message: str, usage: str = "") -> None:
    """Write an error to standard error, and where to read more."""
    text = wrapped(f"{prog}: {message}")
    text = paint(f"{prog}:", "red", sys.stderr) + text.removeprefix(f"{prog}:")
    if usage:
        text += f"\nTry {usage!r}."
    flush()
    sys.stderr.write(text + "\n")


def wrapped(line: str) -> str:
    """Return a line broken where it is wider than the terminal."""
    return textwrap.fill(line, columns(), break_long_words=False, break_on_hyphens=False)


def flush() -> None:
    """Flush standard output, which a pipe would hold back."""
    sys.stdout.flush()


def tabulated(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return rows as columns, the first ``left`` of them aligned to the left.

    >>> from fcnn.cli._text import tabulated
    >>> print(tabulated([("run", "loss"), ("first", "0.5")]))
    run    loss
    first   0.5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
