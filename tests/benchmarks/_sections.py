"""The sections of the benchmark: what races against what, and the tables that come of it."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from _contestants import (
    Effort,
    Entry,
    Field,
    LeftOutError,
    Times,
    environment,
    fastest,
    measure,
    ratio,
)
from _networks import ARTICLES, GROWN, WORKLOADS, find, multiply_adds
from _report import at_least, at_most, micro, show

FORMS = ("eager", "channels_last", "compile")
TORCH = {f"PyTorch {f}, {n}": ({"form": f, "threads": n}, n) for f in FORMS for n in (1, 2)}
GEMM = {f"SGEMM, {n}": Entry("gemm", {"threads": n}, f"{n} threads") for n in (1, 2)}
PEERS = [*TORCH, "JAX jit"]
LOOPS = ("articles 002/004", "article 003")  # articles whose time goes into Python loops
BIG = ("PyTorch example", "ResNet-20")
POOLS = "threads", "processes"
SECTIONS = ("imports", "training", "inference", "workers", "growth", "memory")


class Bench:
    """One run of the benchmark: its contestants, its effort, and what it has found."""

    def __init__(self, field: Field, effort: Effort, peers: list[str], only: list[str]) -> None:
        self.field, self.effort, self.peers = field, effort, peers
        self.names = [name for name in WORKLOADS if name in only] or list(WORKLOADS)
        self.raw: dict[str, Any] = {}

    def race(self, section: str, what: str, entries: dict[str, Entry]) -> Times:
        print(f"  {section}: {what} ...", file=sys.stderr, flush=True)
        wanted = {n: e for n, e in entries.items() if e.module in (*self.peers, "gemm")}
        times = measure(self.field, wanted, self.effort)
        self.raw.setdefault(section, {})[what] = times
        return times

    def training(self) -> None:
        cells = [(name, b) for name in self.names for b in ((1, 64) if name in ARTICLES else (64,))]
        self._against_peers("training", cells)

    def inference(self) -> None:
        self._against_peers("inference", [(name, b) for name in self.names for b in (1, 256)])

    def _against_peers(self, mode: str, cells: list[tuple[str, int]]) -> None:
        """Ratios, times, the articles' way, and for training the share of the GEMM limit."""
        ratios, loops, everything, limits = [], [], [], []
        for name, batch in cells:
            what = f"{name} {find(name).shape}, batch {batch}"
            entries = _contestants(name, batch, mode) | (GEMM if mode == "training" else {})
            times = self.race(mode, what, entries)
            median = {label: statistics.median(each) for label, each in times.items()}
            shown = [micro(median[n] / batch) if n in median else "" for n in ("fcnn", *PEERS)]
            everything.append([what, *shown])
            if "fcnn" not in times:
                continue
            if best := fastest(times, PEERS):
                of_best = ratio(times, "fcnn", best)
                judged = at_most(of_best, _bar(mode, name, batch))
                each = [micro(median[n] / batch) for n in ("fcnn", best)]
                ratios.append([what, *each, best, f"{of_best:.2f}", judged])
            if "articles" in times:
                gain, bar = ratio(times, "articles", "fcnn"), _loops_bar(mode, name, batch)
                took = [micro(median[label] / batch) for label in ("articles", "fcnn")]
                loops.append([what, *took, f"{gain:.1f}", at_least(gain, bar)])
            if GEMM.keys() <= times.keys():
                limits.append([what, *_shares(median, name, batch)])
        head = [mode, "fcnn", "best peer", "which (threads)", "ratio", "bar"]
        show(f"{mode}: µs an image, fcnn / best peer", head, ratios)
        head = [mode, "articles", "fcnn", "times as fast", "bar"]
        show(f"{mode}: µs an image, the articles' way / fcnn", head, loops)
        show(f"{mode}: µs an image, all contestants", [mode, "fcnn", *PEERS], everything)
        head = ["step", "M multiply-adds", "GFLOP/s", *(f"of {g}" for g in GEMM)]
        show("share of the GEMM limit (forward + backward, fcnn)", head, limits)

    def workers(self) -> None:
        rows = []
        for name in (name for name in BIG if name in self.names):
            entries = {
                f"{n} {pool}": Entry("fcnn", _task(name, 64, "training", workers=n, pool=pool))
                for pool in POOLS
                for n in (1, 2)
            }
            times = self.race("workers", f"{name}, batch 64", entries)
            if len(times) == len(entries):
                gains = {pool: ratio(times, f"1 {pool}", f"2 {pool}") for pool in POOLS}
                for pool, gain in gains.items():
                    judged = name == "PyTorch example" and gain == max(gains.values())
                    bar = at_least(gain, 1.6) if judged else ""
                    rows.append([f"{name}, batch 64, {pool}", f"{gain:.2f}", bar])
        show("speed-up from 1 to 2 workers", ["step", "times as fast", "bar"], rows)

    def growth(self) -> None:
        """Time against work, both over those of the smallest of their kind."""
        batches = {f"batch {b}": ("PyTorch example", b) for b in (32, 64, 128, 256)}
        images, channels = list(GROWN)[:3], list(GROWN)[3:]
        rows = []
        for kind in (batches, {n: (n, 64) for n in images}, {n: (n, 64) for n in channels}):
            entries = {
                label: Entry("fcnn", _task(name, batch, "training"))
                for label, (name, batch) in kind.items()
            }
            times = self.race("growth", " · ".join(kind), entries)
            work = {n: batch * multiply_adds(find(name))[1] for n, (name, batch) in kind.items()}
            first, *others = kind
            for label in others if len(times) == len(kind) else ():
                longer, more = ratio(times, label, first), work[label] / work[first]
                judged = at_most(longer / more, 1)
                cells = f"{more:.2f}", f"{longer:.2f}", f"{longer / more:.2f}"
                rows.append([f"{first} → {label}", *cells, judged])
        head = ["PyTorch example's network", "work ×", "time ×", "time / work", "bar"]
        show("growth of a training step (batch 64 unless said)", head, rows)

    def memory(self) -> None:
        rows = []
        for name in (name for name in BIG if name in self.names):
            entries = _contestants(name, 64, "training")
            # one way to train, not a race of several
            entries["fcnn"] = Entry("fcnn", _task(name, 64, "training", workers=2))
            # the compiler's own memory is no part of a training step
            kept = {n: e for n, e in entries.items() if "compile" not in n}
            grown, whole = {}, {}
            for label, entry in kept.items():
                if entry.module in self.peers:
                    print(f"  memory: {name}, {label} ...", file=sys.stderr, flush=True)
                    try:
                        grown[label], whole[label] = self._peak(entry)
                    except LeftOutError as why:
                        self.field.leave_out(label, entry, why)
            self.raw.setdefault("memory", {})[name] = {"growth": grown, "process": whole}
            of_torch = [grown[label] for label in TORCH if label in grown]
            for label in grown:
                bar = ""
                if label == "fcnn" and of_torch:
                    part = grown[label] / min(of_torch)
                    bar = f"{part:.2f} of PyTorch's least, {at_most(part, 1)}"
                cells = f"{grown[label]:.0f}", f"{whole[label]:.0f}", bar
                rows.append([f"{name}, batch 64: {label}", *cells])
        show(
            "peak resident memory of training, MB",
            ["contestant (threads)", "over what its import took", "whole process", "bar"],
            rows,
        )

    def _peak(self, entry: Entry) -> tuple[float, float]:
        grown, whole = [], []
        for _ in range(min(3, self.effort.rounds)):
            with self.field.fresh(entry.module) as process:
                before = process.ask("peak")
                process.ask("prepare", **entry.args)
                whole.append(process.ask("peak"))
                grown.append(whole[-1] - before)
        return statistics.median(grown), statistics.median(whole)

    def imports(self) -> None:
        wanted = ("numpy, attrs", "fcnn", *(n for n in ("torch", "jax") if n in self.peers))
        times: Times = {}
        for turn in range(self.effort.rounds + 1):
            for what in wanted:
                code = f"import time; t = time.perf_counter(); import {what}; "
                done = subprocess.run(
                    [sys.executable, "-c", code + "print(time.perf_counter() - t)"],
                    capture_output=True,
                    text=True,
                    env=environment(),
                )
                if done.returncode:
                    self.field.absent[f"import {what}: {done.stderr.splitlines()[-1]}"] = [
                        "imports"
                    ]
                elif turn:  # the first turn fills the disk's cache
                    times.setdefault(what, []).append(float(done.stdout))
        self.raw["imports"] = times
        rows = []
        for what, each in times.items():
            bare = ratio(times, what, "numpy, attrs")
            cells = f"{statistics.median(each) * 1e3:.0f}", f"{bare:.2f}"
            rows.append([f"import {what}", *cells, at_most(bare, 1.2) if what == "fcnn" else ""])
        show("imports", ["statement", "ms", "/ import numpy, attrs", "bar"], rows)


def _task(name: str, batch: int, mode: str, **options: Any) -> dict[str, Any]:
    return {"workload": name, "batch": batch, "mode": mode, **options}


def _contestants(name: str, batch: int, mode: str) -> dict[str, Entry]:
    task = _task(name, batch, mode)
    found = {"fcnn": Entry("fcnn", task)}
    for label, (form, threads) in TORCH.items():
        found[label] = Entry("torch", task | form, f"{threads} threads")
    found["JAX jit"] = Entry("jax", task)
    return found | ({"articles": Entry("articles", task)} if name in ARTICLES else {})


def _bar(mode: str, name: str, batch: int) -> float:
    """The part of the best peer's time that fcnn may take."""
    if mode == "inference":
        return 0.8
    if batch == 1:
        return 0.33
    return 1.0 if name in BIG else 0.5


def _loops_bar(mode: str, name: str, batch: int) -> float:
    return 20 if mode == "training" and name in LOOPS and batch == 1 else 1


def _shares(median: dict[str, float], name: str, batch: int) -> list[str]:
    """A step's multiply-adds, its rate, and that rate over SGEMM's on 1 and on 2 threads."""
    from _gemm import SIZE

    work = batch * multiply_adds(find(name))[1]
    rate = 2 * work / median["fcnn"]
    limits = [2 * SIZE**3 / median[label] for label in GEMM]
    return [f"{work / 1e6:.4g}", f"{rate / 1e9:.1f}", *(f"{rate / limit:.0%}" for limit in limits)]
