"""The driver's side: contestants' processes, and measuring them in turn."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = {"fcnn": "fcnn", "torch": "torch", "jax": "jax", "articles": "scipy", "gemm": "numpy"}
# What steers a contestant's threads or kernels, or keeps Python from storing its bytecode.
STEERING = (
    "PYTHONDONTWRITEBYTECODE",
    "OMP_",
    "KMP_",
    "OPENBLAS_",
    "GOTO_",
    "BLIS_",
    "MKL_",
    "NVPL_",
    "XLA_",
    "JAX_",
    "TORCH",
)


class LeftOutError(Exception):
    """A contestant that is not installed, or that failed; the sentence says why."""


def environment() -> dict[str, str]:
    """This process's environment without what steers a contestant."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    return kept | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # no pool of compilers beside the race


def steered() -> list[str]:
    return sorted(name for name in os.environ if name.startswith(STEERING))


class Process:
    """One contestant's process; see `_serve`."""

    def __init__(self, module: str) -> None:
        self.module = module
        if importlib.util.find_spec(LIBRARIES[module]) is None:
            raise LeftOutError(f"{LIBRARIES[module]} is not installed")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(f"_{module}.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(),
            start_new_session=True,  # Ctrl-C is the driver's, who then ends the children
        )

    def ask(self, command: str, **args: Any) -> Any:
        """The result of a command.

        Raises:
            LeftOutError: if the contestant says that it cannot, or has died.
        """
        try:
            self._child.stdin.write(json.dumps({"command": command, **args}) + "\n")
            self._child.stdin.flush()
            reply = json.loads(self._child.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise LeftOutError(f"its process died: {last[0]}") from None
        if "error" in reply:
            raise LeftOutError(reply["error"].splitlines()[0])
        return reply["result"]

    def close(self) -> None:
        """End the process and whatever it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()
        self._errors.close()


class Field:
    """All processes of a run, started when first needed, ended together."""

    def __init__(self) -> None:
        self.absent: dict[str, list[str]] = {}
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.close()

    def process(self, module: str, tag: str = "") -> Process:
        """The long-lived process of a module; a different ``tag`` is a different process."""
        if f"{module} {tag}" not in self._processes:
            self._processes[f"{module} {tag}"] = Process(module)
        return self._processes[f"{module} {tag}"]

    @contextlib.contextmanager
    def fresh(self, module: str) -> Iterator[Process]:
        """A process for one use."""
        process = Process(module)
        try:
            yield process
        finally:
            process.close()

    def leave_out(self, label: str, entry: Entry, why: LeftOutError) -> None:
        where = self.absent.setdefault(f"{label}: {why}", [])
        where.append(entry.args.get("workload", ""))

    def missing(self) -> list[str]:
        """Who was left out, why, and at which workloads."""
        return [
            f"{label_and_why} ({', '.join(sorted(set(where)))})"
            for label_and_why, where in self.absent.items()
        ]


class Entry(NamedTuple):
    """One thing to measure: a process (module, tag) and what it is to prepare."""

    module: str
    args: Mapping[str, Any]
    tag: str = ""


class Effort(NamedTuple):
    """How many rounds, and how long each contestant runs in one."""

    rounds: int
    seconds: float


Times = dict[str, list[float]]  # seconds a step, one for each round


def measure(field: Field, entries: Mapping[str, Entry], effort: Effort) -> Times:
    """Run the entries in turn, round by round; what fails is left out and named."""
    ready: dict[str, tuple[Process, int, int]] = {}
    for label, entry in entries.items():
        try:
            process = field.process(entry.module, entry.tag)
            made = process.ask("prepare", **entry.args)
            k = max(1, round(effort.seconds / max(made["seconds"], 1e-6)))
            ready[label] = process, made["handle"], k
        except LeftOutError as why:
            field.leave_out(label, entry, why)
    times: Times = {label: [] for label in ready}
    for _ in range(effort.rounds):
        for label, (process, handle, k) in list(ready.items()):
            try:
                times[label].append(process.ask("run", handle=handle, k=k))
            except LeftOutError as why:
                field.leave_out(label, entries[label], why)
                del ready[label], times[label]
    for process, handle, _ in ready.values():
        process.ask("drop", handle=handle)
    return times


def ratio(times: Times, above: str, below: str) -> float:
    """The median of the rounds' ratios: both ran within the same second or two."""
    pairs = zip(times[above], times[below], strict=True)
    return statistics.median(a / b for a, b in pairs)


def fastest(times: Times, labels: list[str]) -> str | None:
    present = [label for label in labels if label in times]
    return min(present, key=lambda label: statistics.median(times[label]), default=None)
