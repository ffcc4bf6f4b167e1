"""What a run prints and writes: the machine, how it was measured, and tables in Markdown."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from _measure import Effort
from _process import environment, steered

PACKAGES = (
    "numpy",
    "scipy",
    "attrs",
    "torch",
    "jax",
    "jaxlib",
    "tensorflow",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "ncnn",
)
BLAS = (
    "import json, numpy, scipy.linalg, threadpoolctl as t; print(json.dumps(t.threadpool_info()))"
)


class Report:
    """Lines of Markdown, printed at once and kept to be written."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def say(self, *lines: str) -> None:
        print(*lines, sep="\n", flush=True)
        self._lines += lines

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table under its title, without the columns that are empty in every row."""
        used = [i for i in range(len(head)) if any(row[i] for row in rows)]
        if used:
            kept = [[row[i] for i in used] for row in (head, *rows)]
            self.say("", f"## {title}", "", aligned(kept))

    def write(self, path: Path) -> None:
        path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of a head and rows; all columns but the first are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (rows[0], rule, *rows[1:])))


def header(effort: Effort, own: Path, before: Path | None, command: str) -> list[str]:
    """Return what the numbers depend on."""
    processes = "a process" if effort.processes == 1 else f"{effort.processes} processes"
    lines = [
        f"date: {time.strftime('%Y-%m-%d')}; command: `{command}`",
        f"processor: {processor()}; {os.cpu_count()} cores; {platform.system()}",
        f"BLAS of NumPy and SciPy: {_blas()}",
        f"Python {platform.python_version()}; {', '.join(map(_version, PACKAGES))}",
        f"fcnn: {_revision(own)}" + (f"; fcnn before: {_revision(before)}" if before else ""),
        f"{effort.rounds} rounds of about {effort.seconds:g} s for each contestant, one after the "
        f"other, each in {processes} of its own; a time is the median of the rounds, a ratio the "
        "median of the rounds' ratios, with their quartiles in brackets; that of CPU time "
        "depends less on other work on the machine",
        "float32 (the articles' loops float64); a training step is forward pass, backward pass "
        "and SGD; fcnn runs in the fastest of the ways it offers, which the tables name",
    ]
    if names := steered():
        lines.append(f"set in this shell, unset for the contestants: {', '.join(names)}")
    if hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > 0.5:
        lines.append(f"CAUTION: the load was {load:.1f} before the first round: other work ran")
    return [f"- {line}" for line in lines]


def processor() -> str:
    """Return the processor's name, and its family and model, which tell cloud machines apart."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"


def _blas() -> str:
    """Return the kernels that a contestant runs: its environment is not this process's."""
    command = [sys.executable, "-c", BLAS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    found = {
        f"{each['internal_api']} {each.get('version')} ({each.get('architecture')} kernels, "
        f"{each['num_threads']} threads)"
        for each in json.loads(done.stdout)
        if each["user_api"] == "blas"
    }
    return "; ".join(sorted(found))


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            pass
    return f"{package} not installed"


def _revision(checkout: Path) -> str:
    """Return the commit that is checked out in a folder, if it is a repository's root."""

    def git(*args: str) -> str:
        command = ["git", "-C", str(checkout), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != checkout.resolve():
            return "not from a repository"
        changed = " with changes" if git("status", "--porcelain", "--", "fcnn") else ""
        return f"commit {git('rev-parse', '--short=7', 'HEAD')}{changed}"
    except (OSError, subprocess.CalledProcessError):
        return "not from a repository"


def micro(seconds: float) -> str:
    """Return microseconds with three digits, or with all that stand before the point."""
    value = seconds * 1e6
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
