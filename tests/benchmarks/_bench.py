"""One run of the benchmark: what takes part, and what was measured."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _measure import Effort, Entry, Found, measure
from _networks import ARTICLES, described, find
from _process import Field
from _report import Report

FCNN, BEFORE, LOOPS = "fcnn", "fcnn before", "articles' loops"
FORMS = {
    "training": ("eager", "channels_last", "compiled model", "compiled step"),
    "inference": ("eager", "channels_last", "compiled model"),
    "layer": ("eager", "channels_last", "compiled model", "compiled channels_last"),
}
TORCH = [f"PyTorch {form}, {n}" for form in FORMS["training"] for n in (1, 2)]
JAX = {
    "JAX jit": {"asynchronous": True},
    "JAX jit, synchronous": {"asynchronous": False},
    "JAX jit, one core": {"asynchronous": True, "cores": 1},
}
TENSORFLOW = {f"TensorFlow XLA, {n}": ("tensorflow", n) for n in (1, 2)}
ENGINES = {
    f"{label}, {n}": (module, n)
    for label, module in (
        ("ONNX Runtime", "onnx"),
        ("OpenVINO", "openvino"),
        ("LiteRT", "litert"),
        ("ncnn", "ncnn"),
    )
    for n in (1, 2)
}
PEERS = [*TORCH, *JAX, *TENSORFLOW, *ENGINES]
GEMM = {f"SGEMM, {n}": Entry("gemm", {"threads": n}, f"{n} threads") for n in (1, 2)}


class Bench:
    """The settings of a run, its contestants' processes, its report, and all numbers.

    Attributes:
        field: the contestants' processes.
        report: what is printed and written.
        effort: rounds, and seconds for each.
        own: the folder of the fcnn that is measured.
        before: the folder of another fcnn, or None.
        libraries: which of the libraries in `_process` take part.
        networks: the workloads' names.
        batches: the batch sizes to measure; None for each section's own.
        cells: the names of the section on layers.
        workers: the numbers of workers that are compared.
        raw: all times, by section.
    """

    def __init__(
        self,
        field: Field,
        report: Report,
        effort: Effort,
        own: Path,
        before: Path | None,
        libraries: Sequence[str],
        networks: Sequence[str],
        batches: Sequence[int] | None,
        cells: Sequence[str] = (),
        workers: Sequence[int] = (1, 2),
    ) -> None:
        self.field, self.report, self.effort = field, report, effort
        self.own, self.before = own, before
        self.libraries, self.networks, self.batches = libraries, networks, batches
        self.cells, self.workers = cells, workers
        self.raw: dict[str, Any] = {}

    def batch_sizes(self, usual: Sequence[int]) -> list[int]:
        return [batch for batch in usual if self.batches is None or batch in self.batches]

    def measure(self, section: str, what: str, entries: dict[str, Entry]) -> dict[str, Found]:
        self.progress(section, what)
        found = measure(self.field, f"{section}: {what}", entries, self.effort)
        self.raw.setdefault(section, {})[what] = {n: each._asdict() for n, each in found.items()}
        return found

    def progress(self, section: str, what: str) -> None:
        print(f"  {section}: {what} ...", file=sys.stderr, flush=True)

    def of_fcnn(self, task: dict[str, Any]) -> dict[str, Entry]:
        """Return fcnn, and fcnn before if there is one, with the same task."""
        found = {FCNN: Entry("fcnn", task, "", self.own)}
        if self.before is not None:
            found[BEFORE] = Entry("fcnn", task, "before", self.before)
        return found

    def contestants(self, name: str, batch: int, mode: str) -> dict[str, Entry]:
        """Return all that take part in a step or an inference of a network."""
        task = task_of(name, batch, mode)
        found = self.of_fcnn(task)
        if "torch" in self.libraries:
            for form in FORMS[mode]:
                for n in (1, 2):
                    options = {"form": form, "threads": n}
                    found[f"PyTorch {form}, {n}"] = Entry("torch", task | options, f"{n} threads")
        if "jax" in self.libraries:
            for label, options in JAX.items():
                found[label] = Entry("jax", task | options, label)
        for label, (module, n) in (TENSORFLOW | (ENGINES if mode == "inference" else {})).items():
            if module in self.libraries:
                found[label] = Entry(module, task | {"threads": n}, label)
        # Loops take the same time for each image, which two batch sizes show well enough.
        if "articles" in self.libraries and name in ARTICLES and batch <= 64:
            found[LOOPS] = Entry("articles", task | ARTICLES[name])
        return found


def task_of(name: str, batch: int, mode: str, **options: Any) -> dict[str, Any]:
    return {"work": described(find(name)), "batch": batch, "mode": mode, **options}
