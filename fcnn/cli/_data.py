"""``fcnn data``: the whole data sets, fetched, verified, or found."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fcnn.cli._parser import Parser, one_of, positive
from fcnn.cli._text import paint, say, tabulated
from fcnn.errors import DataError

ACTIONS = ("fetch", "verify", "where")
NAMES = ("mnist", "fashion-mnist")
EXAMPLES = """\
  fcnn data where
  fcnn data fetch mnist --folder ~/data
  FCNN_DATA=~/data fcnn data verify
"""


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("action", type=one_of(ACTIONS), help="fetch, verify or where")
    parser.add_argument(
        "names", metavar="NAME", nargs="*", type=one_of(NAMES), help="mnist, fashion-mnist, or both"
    )
    parser.add_argument(
        "--folder", help="where the sets are kept; what FCNN_DATA names, or ~/.cache/fcnn"
    )
    parser.add_argument("--mirror", metavar="URL", help="fetch from here")
    parser.add_argument(
        "--timeout", type=positive, default=300.0, metavar="S", help="seconds; 300 by default"
    )


def run(given: argparse.Namespace) -> int:
    """Do it; return 1 if a file is missing or damaged."""
    folder = Path(given.folder or os.environ.get("FCNN_DATA") or "~/.cache/fcnn").expanduser()
    names = given.names or NAMES
    if given.action == "fetch":
        from fcnn.data import download

        for name in names:
            say(
                f"{name}: {download(folder, name=name, mirror=given.mirror, timeout=given.timeout)}"
            )
        if os.environ.get("FCNN_DATA") != str(folder):
            say(f"To have it read, set the environment variable: export FCNN_DATA={folder}")
        return 0
    if given.action == "where":
        return _where(names)
    if given.folder is None and not os.environ.get("FCNN_DATA"):
        return _verify_embedded(names)
    return _verify(folder, names)


def _verify_embedded(names: tuple[str, ...]) -> int:
    from fcnn.cli._sources import KNOWN

    for name in names:
        KNOWN[name]("train", 1)  # raises DataError where the checksum is another
        say(f"{name}: the part in the package is {paint('right', 'green')}")
    say("", "For whole sets set FCNN_DATA, or pass --folder.")
    return 0


def _where(names: tuple[str, ...]) -> int:
    from fcnn.data import available

    named = os.environ.get("FCNN_DATA")
    rows = [("set", "train", "test", "where")]
    for name in names:
        where = str(Path(named).expanduser() / name) if named else "in the package"
        try:
            counts = [f"{available(name, split):,}" for split in ("train", "test")]
        except DataError:
            counts, where = ["–", "–"], f"not in {where}"
        rows.append((name, counts[0], counts[1], where))
    table = [(row[0], row[1], row[2]) for row in rows]
    lines = tabulated(table).splitlines()
    width = max(map(len, lines))
    say(*(f"{line:<{width}}  {row[3]}" for line, row in zip(lines, rows, strict=True)))
    if not named:
        say("", "FCNN_DATA is not set; 'fcnn data fetch' fetches the whole sets.")
    return 0


def _verify(folder: Path, names: tuple[str, ...]) -> int:
    from fcnn.data import _catalogue, read_idx
    from fcnn.data._folder import find

    status = 0
    rows = []
    for name in names:
        for stem, file in _catalogue.source(name).files.items():
            path = find(folder / name, stem)
            if path is None:
                result = "missing"
            else:
                try:
                    read_idx(path, sha256=file.sha256, max_bytes=file.size)
                    result = "right"
                except DataError:
                    result = "damaged"
            status = status or int(result != "right")
            rows.append((f"{name}/{stem}", result))
    for line, (_, result) in zip(tabulated(rows, 2).splitlines(), rows, strict=True):
        say(line.removesuffix(result) + paint(result, "green" if result == "right" else "red"))
    say(f"in {folder}")
    return status
