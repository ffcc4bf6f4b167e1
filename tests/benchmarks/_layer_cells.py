"""The section on layers: single ones and networks of many kinds, beside PyTorch."""

from __future__ import annotations

import statistics
from typing import Any

from _bench import BEFORE, FCNN, FORMS, Bench
from _cells import CELLS, KEPT
from _measure import Entry, Found, fastest, ratio
from _networks import described
from _report import micro
from _resources import peak
from _timing import spread

CHECKPOINTED = "checkpointed"
NAMES = [*CELLS, CHECKPOINTED]
BATCH = 64  # of the network whose memory is compared


def layers(bench: Bench) -> None:
    """Compare the time of each cell, and the memory of a network with `checkpointed`."""
    rows: list[list[str]] = []
    try:
        for name in (name for name in bench.cells if name in CELLS):
            cell = CELLS[name]
            found = bench.measure("layers", name, _contestants(bench, name))
            if FCNN in found:
                rows.append([name, cell.mode, str(cell.batch), *_row(found), f"{cell.target:.1f}"])
    finally:  # networks take minutes to compile: keep the others, however the run ends
        _table(bench, rows)
    if CHECKPOINTED in bench.cells:
        _checkpointed(bench)


def _table(bench: Bench, rows: list[list[str]]) -> None:
    head = ["layer", "mode", "batch", "fcnn, ms", "way", f"{FCNN} / before", "PyTorch, ms"]
    head += ["which (threads)", f"{FCNN} / PyTorch", "1 thread each, CPU ms", "PyTorch, 1 thread"]
    head += ["ratio of CPU time", "target"]
    bench.report.table("Layers: a step, or forward pass and adjoint", head, rows)


ALONE = f"{FCNN}, 1 thread"


def _contestants(bench: Bench, name: str) -> dict[str, Entry]:
    cell = CELLS[name]
    task = {"work": described(cell.workload), "batch": cell.batch, "mode": cell.mode}
    found = bench.of_fcnn(task)
    found[ALONE] = Entry("fcnn", task | {"alone": True}, "1 thread", bench.own)
    if "torch" in bench.libraries:
        for form in dict.fromkeys([*FORMS[cell.mode], *FORMS["layer"]]):
            for n in (1, 2):
                options = {"form": form, "threads": n}
                found[f"PyTorch {form}, {n}"] = Entry("torch", task | options, f"{n} threads")
    return found


def _row(found: dict[str, Found]) -> list[str]:
    own, alone = found[FCNN], found.get(ALONE)
    cells = [_milli(own.times), own.how, "", "", "", "", "", "", ""]
    if before := found.get(BEFORE):
        cells[2] = spread(own.times, before.times)
    of_torch = [label for label in found if label.startswith("PyTorch")]
    if best := fastest(found, of_torch):
        cells[3:6] = _milli(found[best].times), best, spread(own.times, found[best].times)
    single = [label for label in of_torch if label.endswith(", 1")]
    if alone:
        cells[6] = _milli(alone.cpu)
    if alone and single:
        best = min(single, key=lambda label: statistics.median(found[label].cpu))
        cells[7] = _milli(found[best].cpu) + best.removeprefix("PyTorch").removesuffix(", 1")
        cells[8] = spread(alone.cpu, found[best].cpu)
    return cells


def _milli(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.3g}"


def _checkpointed(bench: Bench) -> None:
    """Compare peak memory and time of a training step with and without `checkpointed`."""
    tasks: dict[str, dict[str, Any]] = {
        name: {"work": described(workload), "batch": BATCH, "mode": "training", "shards": 1}
        for name, workload in KEPT.items()
    }
    entries = {name: Entry("fcnn", task, "", bench.own) for name, task in tasks.items()}
    peaks = {name: peak(bench, name, FCNN, entry) for name, entry in entries.items()}
    found = bench.measure("layers", CHECKPOINTED, entries)
    rows = []
    plain = next(iter(KEPT))
    for name in KEPT:
        if name in found and plain in found and peaks[name] and peaks[plain]:
            of_plain = f"{peaks[name] / peaks[plain]:.2f}"
            times = micro(found[name].seconds / BATCH), ratio(found[name].cpu, found[plain].cpu)
            rows.append([name, f"{peaks[name]:.0f}", of_plain, times[0], f"{times[1]:.2f}"])
    head = ["training, batch 64, whole batch", "MB", "ratio", "µs an image", "ratio of CPU time"]
    bench.report.table("Memory with `checkpointed`: peak over the imports", head, rows)
