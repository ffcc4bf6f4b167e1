"""``fcnn sweep``: train once for each combination of settings and seeds."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcnn.cli import _pool, _settings
from fcnn.cli._parser import Parser, near, whole
from fcnn.cli._tables import fitted
from fcnn.cli._text import say
from fcnn.errors import ArgumentError

EXAMPLES = """\
  fcnn sweep --try learning-rate=0.01,0.003 --seeds 3
  fcnn sweep --try model=small,lenet5 --try batch-size=32,64 --epochs 5

The same command again skips the runs that are complete.
"""
TRIED = tuple(name.replace("_", "-") for name in _settings.OPTIONS if name != "seed")


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--try",
        dest="tried",
        metavar="OPTION=VALUE,…",
        action="append",
        required=True,
        help=f"values of {', '.join(TRIED)}; may be repeated, for every combination",
    )
    parser.add_argument("--seeds", type=whole(1), default=1, metavar="N", help="1 by default")
    parser.add_argument(
        "--workers", type=_pool.count, metavar="N", help="processes; one per core by default"
    )
    parser.add_argument(
        "--run", metavar="FOLDER", default="runs/sweep", help="of the runs; runs/sweep by default"
    )
    _settings.add_options(parser)


def run(given: argparse.Namespace) -> int:
    """Train, and print the table."""
    from fcnn.runs import sweep

    space = _space(given)
    base = _settings.chosen(given)
    twice = [name for name in space if name in base]
    if twice or "seed" in base:
        name = twice[0] if twice else "seed"
        raise ArgumentError(
            f"expected --{name.replace('_', '-')} once, got it beside "
            f"{'--try' if twice else '--seeds'}; leave one out"
        )
    with _pool.pool(given.workers) as executor:
        train = functools.partial(one, base=base, executor=executor)
        found = sweep(train, space, path=given.run, seeds=given.seeds)
    say("", *fitted(found), "", f"runs: {Path(given.run)}")
    return 0


def one(run: Any, *, seed: int, base: Mapping[str, Any], executor: Any, **setting: Any) -> Any:
    """Train one run in its open folder, and print its last line."""
    from fcnn.cli._train import fitted as train

    settings = _settings.completed({**base, **setting, "seed": seed})
    sets = _settings.data_of(settings)
    task = _settings.task_of(settings, sets)
    run.result(train=_settings.held(settings, sets))
    found = train(task, settings, run, epochs=settings["epochs"], executor=executor, log=None)
    cells = found.history[-1].cells()
    name = "val_accuracy" if "val_accuracy" in cells else "val_loss"
    say(f"{run.path.name}: {name.replace('val_', f'{sets.held_name} ')} {cells[name]:.4f}")
    return found


def _space(given: argparse.Namespace) -> dict[str, list[Any]]:
    """Return the values of each option, read as the option reads them."""
    from fcnn.cli._parser import UsageError

    found: dict[str, list[Any]] = {}
    for text in given.tried:
        word, equals, values = text.partition("=")
        word = word.lstrip("-").replace("_", "-")
        if word not in TRIED or not (equals and values):
            raise UsageError(
                f"--try: expected OPTION=VALUE,VALUE, got {text!r}{near(word, TRIED)}",
                "fcnn sweep",
                "fcnn sweep --help",
            )
        parser = Parser("sweep --try", "")
        _settings.add_options(parser)
        name = word.replace("-", "_")
        found[name] = [
            getattr(parser.parse_args([f"--{word}={value}"]), name) for value in _split(values)
        ]
    return found


def _split(values: str) -> list[str]:
    """Cut at the commas outside parentheses.

    >>> from fcnn.cli._sweep import _split
    >>> _split("adam,sgd(momentum=0.9, nesterov=True)")
    ['adam', 'sgd(momentum=0.9, nesterov=True)']
    """
    found, depth = [""], 0
    for letter in values:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return found
