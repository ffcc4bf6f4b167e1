"""`sweep`: a run for each setting and seed, on any executor, in folders that can be resumed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnn._check import whole
from fcnn._doors import check_function
from fcnn._folder import RunFolder, experiment
from fcnn._folder._json import plain
from fcnn.errors import ArgumentError
from fcnn.parallel._door import check_executor
from fcnn.runs._compare import compare
from fcnn.runs._comparison import Comparison
from fcnn.runs._space import Space, name_of, settings

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from fcnn.prng import Key


def sweep(
    function: Callable[..., Any],
    space: Space,
    *,
    path: str | os.PathLike[str],
    seeds: int | Iterable[int] = 1,
    samples: int | None = None,
    key: Key | None = None,
    executor: Executor | None = None,
    metrics: Sequence[str] | None = None,
) -> Comparison:
    """Call a function for each setting and seed, each in a folder of its own, and compare.

    The function is called as ``function(run, seed=seed, **setting)``, where ``run`` is an open
    `fcnn.experiment` that it gives to ``fcnn.fit(..., run=run)`` or logs into. What it returns is
    kept: a number, or a dict of numbers; a `fcnn.train.Run` or None leaves what was logged.

    The same call again skips the runs that ended well and goes on with the others. A run that
    fails leaves its error in ``result.json``; the others are computed, and a warning names it.

    Args:
        function: see above. For processes and clusters it is importable: at the top level of a
            module.
        space: values by name. For a grid, lists, of which every combination is taken; or a
            list of settings. With ``samples``, lists to choose from, distributions of
            `scipy.stats`, or functions of a key.
        path: the folder of the runs' folders. Workers on other machines need to see it.
        seeds: how many, from 0, or which.
        samples: how many settings to draw: random search.
        key: the source of the draws.
        executor: where the runs are computed: `fcnn.parallel.processes`, any pool of
            `concurrent.futures`, Dask's ``client.get_executor()``; one after the other in this
            thread if None.
        metrics: see `fcnn.compare`.

    Returns:
        the table of the settings; see `fcnn.compare`.

    Raises:
        ArgumentError: if an argument is something else.
        Exception: what the function raised, if every run failed.

    >>> import fcnn, tempfile
    >>> from fcnn.data import mnist
    >>> digits, held_out = mnist("train", 200), mnist("test", 100)
    >>> loss = fcnn.losses.softmax_cross_entropy
    >>> def train(run, seed, rate):
    ...     model = fcnn.serial(fcnn.flatten, fcnn.dense(10))
    ...     options = {"key": fcnn.key(seed), "epochs": 2, "validation": held_out, "log": None}
    ...     return fcnn.fit(model, loss, fcnn.optim.sgd(rate), digits, run=run, **options)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = fcnn.sweep(train, {"rate": [0.001, 0.1]}, path=folder, seeds=2)
    >>> table.best().setting
    {'rate': 0.1}
    """
    check_function(function, "function", "of a run, a seed and a setting")
    if function is None:
        raise ArgumentError("expected a function of a run, a seed and a setting, got None")
    if executor is not None:
        check_executor(executor)
    chosen = settings(space, samples, key)
    numbers = list(range(whole(seeds, "seeds"))) if isinstance(seeds, int) else list(seeds)
    root = Path(path).expanduser()
    jobs = {
        root / name_of(setting, seed): (setting, seed) for setting in chosen for seed in numbers
    }
    if not jobs:
        raise ArgumentError("expected at least one setting and one seed, got none")
    todo = {
        folder: job
        for folder, job in jobs.items()
        if RunFolder(folder).result["status"] != "finished"
    }
    failed = _computed(function, todo, executor)
    if failed and len(failed) == len(jobs):
        raise next(iter(failed.values()))
    if failed:
        first, error = next(iter(failed.items()))
        warnings.warn(
            f"{len(failed)} of {len(jobs)} runs failed, the first {first.name}: "
            f"{type(error).__name__}: {error}; the same call again tries them again",
            RuntimeWarning,
            stacklevel=2,
        )
    return compare(list(jobs), metrics=metrics)


def _computed(
    function: Callable[..., Any],
    jobs: Mapping[Path, tuple[Mapping[str, Any], Any]],
    executor: Executor | None,
) -> dict[Path, Exception]:
    """Compute the runs; return the errors of those that failed."""
    failed: dict[Path, Exception] = {}
    futures: dict[Path, Future[Any]] = {}
    if executor is not None:
        futures = {
            folder: executor.submit(one, function, str(folder), setting, seed)
            for folder, (setting, seed) in jobs.items()
        }
    try:
        for folder, (setting, seed) in jobs.items():
            try:
                if executor is None:
                    one(function, str(folder), setting, seed)
                else:
                    futures[folder].result()
            except Exception as error:
                failed[folder] = error
    finally:
        for future in futures.values():
            future.cancel()
    return failed


def one(function: Callable[..., Any], path: str, setting: Mapping[str, Any], seed: Any) -> None:
    """Compute one run in its folder."""
    with experiment(path, {**setting, "seed": seed}) as run:
        found = function(run, seed=seed, **setting)
        if isinstance(found, Mapping):
            run.result(value=plain(found))
        elif found is not None and not hasattr(found, "history"):
            run.result(value={"value": float(found)})
