"""Arguments of a command: errors of the form `expected X, got Y`, with a near option."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from fcnn.cli._text import columns


class UsageError(Exception):
    """Arguments are wrong: the sentence, the program and how to see its usage."""

    def __init__(self, message: str, prog: str, usage: str) -> None:
        super().__init__(message)
        self.prog, self.usage = prog, usage


def near(word: str, among: Iterable[str]) -> str:
    """Return ``"; did you mean ...?"``, or nothing if no word is like it.

    >>> from fcnn.cli._parser import near
    >>> near("trian", ["train", "check"]), near("xyz", ["train"])
    ('; did you mean train?', '')
    """
    found = difflib.get_close_matches(word, list(among), 1)
    return f"; did you mean {found[0]}?" if found else ""


def one_of(choices: Iterable[str]) -> Callable[[str], str]:
    """Return a type of argument that is one of some words."""
    words = tuple(choices)

    def read(text: str) -> str:
        if text in words:
            return text
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(words)}, got {text!r}{near(text, words)}"
        )

    return read


def whole(least: int) -> Callable[[str], int]:
    """Return a type of argument that is a whole number."""

    def read(text: str) -> int:
        if re.fullmatch(r"[+-]?\d{1,18}", text) and int(text) >= least:
            return int(text)
        raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text!r}")

    return read


def positive(text: str) -> float:
    """Read a finite number above 0."""
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")


class Parser(argparse.ArgumentParser):
    """The arguments of one command of ``fcnn``."""

    def __init__(self, name: str, about: str, examples: str = "", prog: str = "fcnn") -> None:
        super().__init__(
            prog=f"{prog} {name}",
            description=about[:1].upper() + about[1:] + ".",
            epilog=f"examples:\n{examples}" if examples else None,
            formatter_class=_formatter,
            allow_abbrev=False,  # an option that is added later would change what a script means
        )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        """Parse all the arguments, and suggest the option that was meant."""
        given, rest = self.parse_known_args(args)
        if rest:
            word = rest[0].partition("=")[0]
            options = [each for action in self._actions for each in action.option_strings]
            kind = "an option" if word.startswith("-") else "no more arguments"
            self.error(f"expected {kind}, got {word!r}{near(word, options)}")
        return given

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` in the words of the other errors."""
        message = re.sub(r"^argument ([^:]+): ", r"\1: ", message)
        message = re.sub(
            r"^the following arguments are required: (.*)$", r"expected \1, got nothing", message
        )
        raise UsageError(message, self.prog, f"{self.prog} --help")


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=columns())
