"""The sections on memory and on import time."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from _bench import BEFORE, FCNN, Bench, task_of
from _measure import Entry, ratio
from _process import LeftOutError, environment

BATCH = 64
WAYS = {"whole batch": {"shards": 1}, "2 threads": {"shards": 2, "workers": 2}}


def memory(bench: Bench) -> None:
    """Compare the peak resident memory of training, over what the imports take."""
    rows = []
    for name in bench.networks:
        peers = _peers(bench, name)
        peaks = {label: peak(bench, name, label, entry) for label, entry in peers.items()}
        known = {label: peak for label, peak in peaks.items() if peak is not None}
        least = min(known, key=known.__getitem__, default=None)
        cells = ["" if peaks.get(label) is None else f"{peaks[label]:.0f}" for label in PEERS]
        for way, options in WAYS.items():
            entries = bench.of_fcnn(task_of(name, BATCH, "training", **options))
            own = {n: peak(bench, name, f"{n}, {way}", each) for n, each in entries.items()}
            rows.append([f"{name}, {way}", *_cells(own, least, known), *cells])
    head = ["MB", FCNN, BEFORE, f"{FCNN} / before", f"{FCNN} / least peer", *PEERS]
    bench.report.table(f"Memory of training, batch {BATCH}: peak over the imports", head, rows)


PEERS = ["PyTorch eager, 2", "PyTorch channels_last, 2", "JAX jit"]


def _peers(bench: Bench, name: str) -> dict[str, Entry]:
    """Return the peers whose peak is that of training: a compiler's own memory is not."""
    found = bench.contestants(name, BATCH, "training")
    return {label: found[label] for label in PEERS if label in found}


def _cells(own: dict[str, float | None], least: str | None, known: dict[str, float]) -> list[str]:
    peak, before = own[FCNN], own.get(BEFORE)
    shown = ["" if each is None else f"{each:.0f}" for each in (peak, before)]
    of_before = f"{peak / before:.2f}" if peak and before else ""
    return [*shown, of_before, f"{peak / known[least]:.2f}" if peak and least else ""]


def peak(bench: Bench, name: str, label: str, entry: Entry) -> float | None:
    """Return the growth in MB from after the import to after training, the median of up to 3."""
    bench.progress("memory", f"{name}, {label}")
    grown = []
    try:
        for _ in range(min(3, bench.effort.rounds)):
            with bench.field.fresh(entry.module, entry.checkout) as process:
                imported = process.ask("peak")
                process.ask("prepare", **entry.args)
                grown.append(process.ask("peak") - imported)
    except LeftOutError as why:
        bench.field.leave_out(label, f"memory: {name}", why)
        return None
    bench.raw.setdefault("memory", {}).setdefault(name, {})[label] = grown
    return statistics.median(grown)


def imports(bench: Bench) -> None:
    """Compare the time of an import statement in a new process."""
    bare = "numpy, attrs"
    statements: dict[str, tuple[str, Path | None]] = {
        f"import {bare}": (bare, None),
        "import fcnn": ("fcnn", bench.own),
    }
    if bench.before is not None:
        statements[f"import fcnn ({BEFORE})"] = ("fcnn", bench.before)
    statements |= {f"import {n}": (n, None) for n in ("torch", "jax") if n in bench.libraries}
    times: dict[str, list[float]] = {label: [] for label in statements}
    bench.progress("imports", ", ".join(statements))
    for turn in range(bench.effort.rounds + 1):
        for label, (what, checkout) in statements.items():
            try:
                seconds = _import_time(what, checkout)
            except LeftOutError as why:
                if not turn:
                    bench.field.leave_out(label, "imports", why)
                continue
            if turn:  # the first turn fills the disk's cache
                times[label].append(seconds)
    bench.raw["imports"] = times
    rows = []
    for label, each in times.items():
        if each:
            over = ratio(each, times[f"import {bare}"])
            rows.append([label, f"{statistics.median(each) * 1e3:.0f}", f"{over:.2f}"])
    bench.report.table("Import", ["statement", "ms", f"/ import {bare}"], rows)


def _import_time(what: str, checkout: Path | None) -> float:
    code = f"import time; t = time.perf_counter(); import {what}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(checkout))
    if done.returncode:
        raise LeftOutError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)
