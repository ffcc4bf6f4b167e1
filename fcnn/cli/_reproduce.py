"""``fcnn reproduce``: a run computed again, and whether its bits are the same."""

from __future__ import annotations

import argparse

from fcnn.cli import _folders, _pool, _settings
from fcnn.cli._parser import Parser, whole
from fcnn.cli._text import say

EXAMPLES = "  fcnn reproduce runs/mnist --epochs 2\n"


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument(
        "--epochs", type=whole(1), metavar="N", help="only the first N; all of them by default"
    )
    parser.add_argument(
        "--workers", type=_pool.count, metavar="N", help="processes; one per core by default"
    )


def run(given: argparse.Namespace) -> int:
    """Print whether the bits agree; return 1 if not."""
    from fcnn.runs import reproduce

    folder = _folders.opened(given.run)
    settings = _folders.settings_of(folder)
    sets = _settings.data_of(settings)
    with _pool.pool(given.workers) as executor:
        found = reproduce(
            folder.path,
            data=sets.train,
            validation=sets.held,
            epochs=given.epochs,
            modules=_folders.modules_of(settings),
            executor=executor,
            log=_line,
        )
    say("", *str(found).splitlines())
    return int(not found.same)


def _line(line: str) -> None:
    """Write of an epoch's line its number, and whether the bits are the same."""
    words = line.removeprefix("epoch").split()
    say(f"epoch {words[0]}: {' '.join(words[-3:] if 'same' in words else words[-2:])}")
