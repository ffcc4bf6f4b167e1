"""The process of one contestant: commands come as JSON lines, answers go back as JSON lines.

A contestant is a function ``prepare(work, batch, mode, **options)`` that builds a training step
or an inference (``mode``) and returns ``run(k)``, which does it k times and returns when all
is computed. Several may be prepared at once; one runs at a time.
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _work import Work

Run = Callable[[int], None]

PARTS = 10
WARM_UP = 0.1  # seconds, after the first run


def repeated(function: Callable[[Any], object], argument: Any) -> Run:
    """Return what calls a function with the same argument, again and again."""

    def run(k: int) -> None:
        for _ in range(k):
            function(argument)

    return run


def serve(prepare: Callable[..., Run]) -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    commands = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nor may Open MPI's daemon read the commands
    prepared: dict[int, Run] = {}
    count = itertools.count()

    def answer(command: str, **args: Any) -> Any:
        match command:
            case "prepare":
                if "work" in args:
                    args["work"] = Work.of(args["work"])
                handle, run = next(count), prepare(**args)
                prepared[handle] = run
                seconds = _warm_up(run)
                return {"handle": handle, "seconds": seconds, "how": getattr(run, "how", "")}
            case "run":
                run, k = prepared[args["handle"]], args["k"]
                run(1 + k // 4)  # others ran since the last round: caches are cold
                return _timed(run, k)
            case "drop":
                del prepared[args["handle"]]
                gc.collect()
            case "peak":
                return _peak()
            case "file":
                return sys.modules[args["module"]].__file__
        return None

    for line in commands:
        try:
            reply = {"result": answer(**json.loads(line))}
        except Exception as error:  # sent to the driver, which leaves this contestant out
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


def _timed(run: Run, k: int) -> tuple[float, float]:
    """Return the seconds of one of k runs, and its processor time in this process.

    The processor time is the median of up to ten parts, which tells two builds apart where
    other work shares the machine.
    """
    size, cpu, done = math.ceil(k / PARTS), [], 0
    began = time.perf_counter()
    while done < k:
        many, cpu_began = min(size, k - done), time.process_time()
        run(many)
        cpu.append((time.process_time() - cpu_began) / many)
        done += many
    return (time.perf_counter() - began) / k, statistics.median(cpu)


def _warm_up(run: Run) -> float:
    """Compile, fill caches and allocators; return the shortest time seen."""
    run(1)
    shortest, until = _timed(run, 1)[0], time.perf_counter() + WARM_UP
    while time.perf_counter() < until:
        shortest = min(shortest, _timed(run, 1)[0])
    return shortest


def _peak() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux starts getrusage's count at the peak of the parent process
        found = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(found.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
