"""The process of one contestant: takes commands as JSON lines, answers with JSON lines.

A contestant is a function ``prepare(workload, batch, mode, **options)`` that builds a
training step or an inference (``mode``) and returns ``run(k)``, which does it k times and
comes back when all is done. Several may be prepared side by side; one runs at a time.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Run = Callable[[int], None]

WARM_UP = 0.1  # seconds, after the first run


def serve(prepare: Callable[..., Run]) -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    prepared: dict[int, Run] = {}
    count = itertools.count()

    def answer(command: str, **args: Any) -> Any:
        match command:
            case "prepare":
                handle, run = next(count), prepare(**args)
                prepared[handle] = run
                return {"handle": handle, "seconds": _warm_up(run)}
            case "run":
                run, k = prepared[args["handle"]], args["k"]
                run(1 + k // 4)  # it has waited for its turn: its memory and caches are cold
                return _timed(run, k)
            case "drop":
                del prepared[args["handle"]]
                gc.collect()
            case "peak":
                return _peak()
        return None

    for line in sys.stdin:
        try:
            reply = {"result": answer(**json.loads(line))}
        except Exception as error:  # told to the driver, which leaves this contestant out
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


def _timed(run: Run, k: int) -> float:
    """Seconds for one of k runs."""
    began = time.perf_counter()
    run(k)
    return (time.perf_counter() - began) / k


def _warm_up(run: Run) -> float:
    """Compile, fill caches and allocators; then the shortest of what was seen."""
    run(1)
    shortest, until = _timed(run, 1), time.perf_counter() + WARM_UP
    while time.perf_counter() < until:
        shortest = min(shortest, _timed(run, 1))
    return shortest


def _peak() -> float:
    """The largest resident memory of this process so far, in MB."""
    kilo = 1 if sys.platform == "darwin" else 1024  # getrusage: bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo / 1e6
