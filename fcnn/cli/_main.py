"""`main`: choose the command, run it, and turn what goes wrong into one sentence and a status."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from fcnn.cli._parser import Parser, UsageError, near
from fcnn.cli._text import flush, paint, say_error
from fcnn.errors import FcnnError

COMMANDS = {
    "train": "train a model on images, digits by default",
    "evaluate": "measure a trained model",
    "predict": "classify image files",
    "report": "write the page of a run: curves, mistakes, filters",
    "compare": "tabulate several runs",
    "sweep": "train once for each of several settings and seeds",
    "reproduce": "compute a run again and compare the bits",
    "summary": "print a model's table: outputs, params, multiply-adds",
    "export": "write a trained model as ONNX",
    "check": "check a layer against the laws of fcnn.testing.check_layer",
    "data": "fetch, verify or find the whole data sets",
}
DONE, NO, WRONG, STOPPED, CLOSED = 0, 1, 2, 130, 141
_HEAD = """\
usage: fcnn COMMAND [options]

Convolutional neural networks in plain NumPy.

"""
_TAIL = """
"fcnn COMMAND --help" tells the options of a command and gives examples.

exit status: 0 done; 1 the answer is no (a broken law, other bits); 2 wrong
arguments, or files that cannot be used; 130 stopped by Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    >>> from fcnn.cli import main
    >>> main(["summary", "lenet5", "(28, 28, 1)"])  # doctest: +ELLIPSIS
    layer ...
    0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else ""
    try:
        status = _run(name, words[1:])
        flush()
        return status
    except UsageError as error:
        say_error(error.prog, str(error), error.usage)
        return WRONG
    except SystemExit as done:  # of --help
        return done.code if isinstance(done.code, int) else DONE
    except BrokenPipeError:
        # What the interpreter flushes at its end would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except KeyboardInterrupt:
        say_error(f"fcnn {name}", "stopped")
        return STOPPED
    except (FcnnError, OSError, ImportError) as error:
        say_error(f"fcnn {name}", _sentence(error))
        return WRONG


def _run(name: str, rest: list[str]) -> int:
    if name in ("", "-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {paint(f'{each:<{width}}', 'bold')}  {COMMANDS[each]}" for each in COMMANDS]
        sys.stdout.write(_HEAD + "commands:\n" + "\n".join(lines) + "\n" + _TAIL)
        return WRONG if name == "" else DONE
    if name == "--version":
        sys.stdout.write(f"fcnn {sys.modules['fcnn'].__version__}\n")
        return DONE
    if name not in COMMANDS:
        raise UsageError(
            f"expected a command, got {name!r}{near(name, COMMANDS)}", "fcnn", "fcnn --help"
        )
    command: Any = importlib.import_module(f"fcnn.cli._{name}")
    parser = Parser(name, COMMANDS[name], command.EXAMPLES)
    command.add(parser)
    given = parser.parse_args(rest)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say_error("warning", str(message))
        status: int = command.run(given)
    return status


def _sentence(error: BaseException) -> str:
    """Return the error in one sentence, an OSError with its file."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {(error.strerror or str(error)).lower()}"
    return " ".join(str(error).split()) or type(error).__name__
