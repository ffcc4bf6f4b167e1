"""`compare`: a table of runs, the mean and spread over seeds, and a paired test."""

from __future__ import annotations

import itertools
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fcnn._folder import RunFolder, read
from fcnn._folder._asked import flat
from fcnn.errors import ArgumentError
from fcnn.runs._comparison import Comparison, Group

_NOT_METRICS = ("epoch", "of", "step", "digest", "time", "seconds", "learning_rate",
                "examples_per_second")  # fmt: skip
_PRIMARY = ("value", "val_accuracy", "val_loss", "accuracy", "loss")


def compare(
    runs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    metrics: Sequence[str] | None = None,
    at: Literal["last", "best"] = "last",
) -> Comparison:
    """Return a table of runs: those that differ in their seed alone are a row.

    A row has the mean of each metric over its seeds, ± their sample standard deviation. The
    first row is the baseline: for the others the mean difference of the first metric to it is
    given, and p of a paired t-test (`scipy.stats.ttest_rel`) over the seeds that both have, two
    or more. It is not corrected for several comparisons. Runs that did not end well are left
    out, and named.

    Args:
        runs: folders of runs, or of several runs, such as those of `fcnn.sweep`.
        metrics: which, the first being the one that is tested; by default the validation's where
            there are any, the accuracy first, and the time.
        at: the numbers of the last epoch, or of the best: that of the lowest validation loss.

    Raises:
        ArgumentError: if there is no run, or none has such a metric.
        DataError: if a folder is no run.

    >>> import fcnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for rate in (0.1, 0.2):
    ...         for seed in (0, 1, 2):
    ...             name = f"{folder}/{rate}-{seed}"
    ...             with fcnn.experiment(name, {"rate": rate, "seed": seed}) as run:
    ...                 run.log(1, loss=round(0.5 + rate * seed, 3), seconds=1.0)
    ...     fcnn.compare(folder)
    rate  seeds  loss         seconds  Δ loss  p
    0.1       3  0.60 ± 0.10    1 ± 0
    0.2       3  0.70 ± 0.20    1 ± 0    +0.1  0.225
    """
    if at not in ("last", "best"):
        raise ArgumentError(f"expected at to be 'last' or 'best', got {at!r}")
    folders = _folders(runs)
    if not folders:
        raise ArgumentError("expected at least one run, got none")
    left_out = {f.name: s for f in folders if (s := f.result["status"]) != "finished"}
    ended = [f for f in folders if f.name not in left_out]
    numbers = {f.path: _numbers(f, at) for f in ended}
    names = _metrics(list(numbers.values()), metrics)
    groups: dict[str, list[RunFolder]] = {}
    settings = {}
    for each in ended:
        held = _setting(each)
        settings[repr(held)] = held
        groups.setdefault(repr(held), []).append(each)
    shown = _shown(list(settings.values()))
    rows: list[Group] = []
    for text, members in groups.items():
        values = {
            name: {_seed(f): numbers[f.path][name] for f in members if name in numbers[f.path]}
            for name in names
        }
        setting = {name: settings[text].get(name) for name in shown}
        base = rows[0].values[names[0]] if rows else None
        rows.append(
            Group(
                setting or {"runs": _common(members)},
                tuple(f.path for f in members),
                values,
                *_paired(values[names[0]], base),
            )
        )
    return Comparison(tuple(rows), tuple(names), left_out)


def _folders(runs: Any) -> list[RunFolder]:
    """Return the runs, those in a folder of runs in the order of their names."""
    each = [runs] if isinstance(runs, str | os.PathLike) else list(runs)
    found: list[RunFolder] = []
    for path in each:
        place = path.path if isinstance(path, RunFolder) else Path(path).expanduser()
        inner = sorted(p.parent for p in place.glob("*/config.json"))
        if inner and not (place / "config.json").exists():
            found += [RunFolder(p) for p in inner]
        else:
            found.append(read(place))
    return found


def _numbers(folder: RunFolder, at: str) -> dict[str, float]:
    """Return the numbers of a run by name: of an epoch, its time, and what a function returned."""
    rows = folder.metrics
    row: Mapping[str, Any] = rows[-1] if rows else {}
    if at == "best":
        judged = [each for each in rows if isinstance(each.get("val_loss"), int | float)]
        row = min(judged, key=lambda each: float(each["val_loss"])) if judged else row
    spent = [each["seconds"] for each in rows if isinstance(each.get("seconds"), int | float)]
    found = {k: v for k, v in row.items() if k not in _NOT_METRICS}
    found |= folder.result.get("value") or {}
    if spent:
        found["seconds"] = math.fsum(spent)
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _metrics(found: Sequence[Mapping[str, float]], chosen: Sequence[str] | None) -> list[str]:
    """Return the names of the columns, the tested one first."""
    names = list(dict.fromkeys(name for each in found for name in each))
    if chosen is not None:
        chosen = [chosen] if isinstance(chosen, str) else list(chosen)
        if missing := [name for name in chosen if name not in names]:
            raise ArgumentError(f"expected metrics among {names}, got {missing}")
        names = chosen
    else:
        judged = [n for n in names if n.startswith("val_") or n == "value"]
        first = sorted(judged, key=lambda n: _PRIMARY.index(n) if n in _PRIMARY else 9)
        names = [*(first or [n for n in names if n != "seconds"]), *names[-1:]]
        names = list(dict.fromkeys(n for n in names if n in judged or not first or n == "seconds"))
    if not names:
        raise ArgumentError("expected a run with numbers, got none; run.log(epoch) writes them")
    return names


def _setting(folder: RunFolder) -> dict[str, Any]:
    """Return what a run was made with, but for its seed."""
    config = folder.config
    own = {name: value for name, value in config["config"].items() if name != "seed"}
    fit = {} if config["fit"] is None else flat(config["fit"])
    return own | {f"fit.{name}": value for name, value in fit.items() if name != "key"}


def _seed(folder: RunFolder) -> Any:
    """Return what distinguishes a run from the others of its row: the seed, the key or the name."""
    config = folder.config
    if "seed" in config["config"]:
        return repr(config["config"]["seed"])
    return folder.name if config["fit"] is None else flat(config["fit"])["key"]


def _shown(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of what differs between rows: of the config alone where that suffices."""
    names = dict.fromkeys(name for each in settings for name in each)
    vary = [name for name in names if len({repr(each.get(name)) for each in settings}) > 1]
    own = [name for name in vary if not name.startswith("fit.")]
    distinct = {repr([each.get(name) for name in own]) for each in settings}
    return own if own and len(distinct) == len(settings) else vary


def _common(folders: Sequence[RunFolder]) -> str:
    """Return what the names of several runs begin with, or all of them."""
    names = [folder.name for folder in folders]
    if len(names) == 1:
        return names[0]
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same).rstrip("-_.=0123456789") or ", ".join(names)


def _paired(
    ours: Mapping[str, float], base: Mapping[str, float] | None
) -> tuple[float | None, float | None]:
    """Return the mean difference over common seeds, and p of the paired t-test."""
    if base is None:
        return None, None
    seeds = [seed for seed in ours if seed in base]
    if not seeds:
        if not ours or not base:
            return None, None
        return statistics.fmean(ours.values()) - statistics.fmean(base.values()), None
    differences = [ours[seed] - base[seed] for seed in seeds]
    mean = statistics.fmean(differences)
    # Of equal differences the statistic is 0/0 or infinite; rounding makes it arbitrary.
    spread = statistics.stdev(differences) if len(seeds) > 1 else 0.0
    if spread <= 1e-12 * max(1.0, abs(mean)):
        return mean, None
    from scipy import stats  # type: ignore[import-untyped]

    return mean, float(stats.ttest_rel([ours[s] for s in seeds], [base[s] for s in seeds]).pvalue)
