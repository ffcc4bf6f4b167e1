"""``fcnn data``: the whole data sets, fetched, verified, or found."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from fcnn.cli._known import KNOWN, PUBLISHED, files_of
from fcnn.cli._parser import Parser, one_of, positive
from fcnn.cli._text import paint, say, tabulated
from fcnn.errors import DataError

ACTIONS = ("fetch", "verify", "where")
EMBEDDED = ("mnist", "fashion-mnist")
NAMES = (*EMBEDDED, *PUBLISHED)
EXAMPLES = """\
  fcnn data where
  fcnn data fetch cifar-10
  fcnn data fetch mnist --folder ~/data
  FCNN_DATA=~/data fcnn data verify
"""


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("action", type=one_of(ACTIONS), help="fetch, verify or where")
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        type=one_of(NAMES),
        help=f"{', '.join(NAMES)}; by default the first two, and for verify and where all",
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
    named = given.folder or os.environ.get("FCNN_DATA")
    folder = Path(named).expanduser() if named else None
    names = tuple(given.names)
    if given.action == "fetch":
        return _fetch(names or EMBEDDED, folder, given)
    if given.action == "where":
        return _where(names)
    return _verify(names, folder)


def _fetch(names: Sequence[str], folder: Path | None, given: argparse.Namespace) -> int:
    from fcnn.data import download
    from fcnn.data._shelf import cache

    target = folder or cache()
    for name in names:
        path = download(target, name=name, mirror=given.mirror, timeout=given.timeout)
        say(f"{name}: {path}")
    is_found = target == cache() and not set(names) & set(EMBEDDED)
    if os.environ.get("FCNN_DATA") != str(target) and not is_found:
        say(f"To have it read, set the environment variable: export FCNN_DATA={target}")
    return 0


def _where(names: Sequence[str]) -> int:
    rows = [("set", "train", "test", "where")]
    rows += [row for name in names or EMBEDDED if name in EMBEDDED for row in _embedded(name)]
    absent = []
    for name in names or PUBLISHED:
        if name in PUBLISHED:
            places = [path for _, path in files_of(name)]
            if None in places:
                absent.append(name)
            else:
                rows.append((name, "", "", str(places[0] and places[0].parent)))
    table = [(row[0], row[1], row[2]) for row in rows]
    lines = tabulated(table).splitlines()
    width = max(map(len, lines))
    if len(rows) > 1:
        say(*(f"{line:<{width}}  {row[3]}" for line, row in zip(lines, rows, strict=True)))
    if not os.environ.get("FCNN_DATA") and set(names or EMBEDDED) & set(EMBEDDED):
        say("", "FCNN_DATA is not set: of mnist and fashion-mnist the package's part is read.")
    if absent:
        say("", f"not here: {', '.join(absent)}", "", "'fcnn data fetch NAME' fetches one.")
    return 0


def _embedded(name: str) -> list[tuple[str, str, str, str]]:
    """Return the rows of a set of which a part is in the package."""
    from fcnn.data import _catalogue, _sets, available

    named = os.environ.get("FCNN_DATA")
    where = str(Path(named).expanduser() / name) if named else "in the package"
    try:
        counts = [f"{available(name, split):,}" for split in _catalogue.SPLITS]
    except DataError:
        counts, where = ["–", "–"], f"not in {where}"
    rows = [(name, counts[0], counts[1], where)]
    elsewhere = None if named else _sets._elsewhere(_catalogue.source(name))
    if elsewhere is not None:
        rows.append(("", "60,000", "10,000", f"{elsewhere}, for FCNN_DATA={elsewhere.parent}"))
    return rows


def _verify(names: Sequence[str], folder: Path | None) -> int:
    from fcnn.data._shelf import cache

    rows = []
    for name in names or EMBEDDED:
        if name in EMBEDDED and folder is not None:
            rows += _whole(name, folder)
        elif name in EMBEDDED:
            KNOWN[name].read("train", 1)  # raises DataError where the checksum is another
            rows.append((f"{name}: the part in the package", "right"))
    for name in names or PUBLISHED:
        if name in PUBLISHED:
            found = _published(name, folder)
            if names or any(result != "missing" for _, result in found):
                rows += found
    for line, (_, result) in zip(tabulated(rows, 2).splitlines(), rows, strict=True):
        colour = "green" if result.startswith("right") else "red"
        say(line.removesuffix(result) + paint(result, colour))
    say(f"in {folder or cache()}" if folder or set(names) - set(EMBEDDED) else
        "For whole sets set FCNN_DATA, or pass --folder.")  # fmt: skip
    return int(any(not result.startswith("right") for _, result in rows))


def _whole(name: str, folder: Path) -> list[tuple[str, str]]:
    """Return the files of a whole set of which a part is in the package, and their state."""
    from fcnn.data import _catalogue, read_idx
    from fcnn.data._folder import find

    rows = []
    for stem, file in _catalogue.source(name).files.items():
        path = find(folder / name, stem)
        result = "missing"
        if path is not None:
            try:
                read_idx(path, sha256=file.sha256, max_bytes=file.size)
                result = "right"
            except DataError:
                result = "damaged"
        rows.append((f"{name}/{stem}", result))
    return rows


def _published(name: str, folder: Path | None) -> list[tuple[str, str]]:
    """Return the files of a set that is read as it is published, and their state."""
    from fcnn.data._shelf import check

    rows = []
    for remote, path in files_of(name, folder):
        result = "missing"
        if path is not None:
            try:
                check(path, remote)
                result = "right" if remote.md5 else "right size, no checksum is known"
            except DataError:
                result = "damaged"
        rows.append((f"{name}/{remote.name}", result))
    return rows
