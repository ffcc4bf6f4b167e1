"""The sections on scaling: with the number of workers, and with the size of the work."""

from __future__ import annotations

from collections.abc import Sequence

from _bench import BEFORE, FCNN, FORMS, Bench, task_of
from _measure import Entry, Found, fastest, ratio
from _networks import IMAGES, WIDTHS, find, multiply_adds
from _report import micro

LARGE = "PyTorch example", "ResNet-20"
BATCH, BATCHES = 64, (64, 256)
SHARDS = 1, 2, 4, 8, 16, 32, 64
PARAMS = 1_200_000
POOLS = (
    "this thread",
    *("threads", "processes", "concurrent.futures", "loky"),
    *("Dask", "MPIPoolExecutor", "mpi"),
)


def workers(bench: Bench) -> None:
    """Compare one worker with more, each with an equal part of the batch, and with PyTorch."""
    counts = bench.workers
    rows = []
    for name in (name for name in LARGE if name in bench.networks):
        for batch in bench.batch_sizes(BATCHES):
            for pool in ("threads", "processes"):
                rows += _of_pool(bench, name, batch, pool, counts)
            if "torch" in bench.libraries:
                rows.append(_of_torch(bench, name, batch, counts))
    head = ["ms a step", *map(str, counts)]
    bench.report.table("Training step with so many workers, or threads of PyTorch", head, rows)


def _of_pool(
    bench: Bench, name: str, batch: int, pool: str, counts: Sequence[int]
) -> list[list[str]]:
    rows = []
    entries = {
        n: bench.of_fcnn(task_of(name, batch, "training", shards=max(counts), pool=pool, workers=n))
        for n in counts
    }
    labels = [FCNN] if bench.before is None else [FCNN, BEFORE]
    flat = {f"{label}, {n}": each[label] for n, each in entries.items() for label in labels}
    found = bench.measure("workers", f"{name}, batch {batch}, {pool}", flat)
    for label in labels:
        cells = [milli(found[f"{label}, {n}"]) if f"{label}, {n}" in found else "" for n in counts]
        rows.append([f"{name}, batch {batch}, {label}, {pool}", *cells])
    return rows


def _of_torch(bench: Bench, name: str, batch: int, counts: Sequence[int]) -> list[str]:
    """Return PyTorch's fastest form for each number of threads."""
    cells = []
    task = task_of(name, batch, "training")
    for n in counts:
        entries = {
            form: Entry("torch", task | {"form": form, "threads": n}, f"{n} threads")
            for form in FORMS["training"]
        }
        found = bench.measure("workers", f"{name}, batch {batch}, PyTorch, {n}", entries)
        best = fastest(found, list(found))
        cells.append(milli(found[best]) if best else "")
    return [f"{name}, batch {batch}, PyTorch", *cells]


def shards(bench: Bench) -> None:
    """Compare an image's time in shards of different sizes, each computed in one thread."""
    rows = []
    for name in bench.networks:
        entries = {}
        for size in SHARDS:
            task = task_of(name, size, "training", shards=1, alone=True)
            entries |= {f"{n}, {size}": each for n, each in bench.of_fcnn(task).items()}
        found = bench.measure("shards", name, entries)
        for label in (FCNN, BEFORE):
            times = {n: found[f"{label}, {n}"] for n in SHARDS if f"{label}, {n}" in found}
            if len(times) < len(SHARDS):
                continue
            cells = [micro(each.seconds / n) for n, each in times.items()]
            few = f"{times[4].seconds / 4 / (times[32].seconds / 32):.2f}"
            rows.append([name if label == FCNN else f"{name}, before", *cells, few])
    head = ["µs an image", *(f"{n}" for n in SHARDS), "of 4 / of 32"]
    bench.report.table("Training step of one shard of so many images, in one thread", head, rows)


def overhead(bench: Bench) -> None:
    """Measure what each kind of pool costs in a step that computes nothing."""
    rows = []
    for engine in POOLS:
        for n in bench.workers if engine != "this thread" else (1,):
            task = {"engine": engine, "workers": n, "size": PARAMS}
            entries = {FCNN: Entry("overhead", task, f"{engine} {n}", bench.own)}
            if bench.before is not None:
                entries[BEFORE] = Entry("overhead", task, f"before {engine} {n}", bench.before)
            found = bench.measure("overhead", f"{engine}, {n}", entries)
            if FCNN in found:
                cells = [milli(found[label]) if label in found else "" for label in (FCNN, BEFORE)]
                rows.append([engine, str(n), *cells])
            bench.field.end("overhead")
    title = f"A step that computes nothing, {PARAMS / 1e6:g} M params, a shard for each worker"
    bench.report.table(title, ["pool", "workers", "ms", f"{BEFORE}, ms"], rows)


def milli(found: Found) -> str:
    return f"{found.seconds * 1e3:.3g}"


def growth(bench: Bench) -> None:
    """Compare time with work, both over those of the smallest of their kind."""
    batches = {f"batch {n}": ("PyTorch example", n) for n in (32, 64, 128, 256)}
    kinds = [batches, *({name: (name, BATCH) for name in each} for each in (IMAGES, WIDTHS))]
    rows = []
    for kind in kinds:
        entries: dict[str, Entry] = {}
        for label, (name, batch) in kind.items():
            entries[label] = bench.of_fcnn(task_of(name, batch, "training"))[FCNN]
        found = bench.measure("growth", ", ".join(kind), entries)
        work = {n: batch * multiply_adds(find(name))[1] for n, (name, batch) in kind.items()}
        first, *others = kind
        for label in others if len(found) == len(kind) else ():
            more = work[label] / work[first]
            longer = ratio(found[label].times, found[first].times)
            cells = f"{more:.2f}", f"{longer:.2f}", f"{longer / more:.2f}"
            rows.append([f"{first} to {label}", *cells])
    head = ["PyTorch example's network", "work ×", "time ×", "time / work"]
    bench.report.table("Growth of a training step (batch 64 if not said)", head, rows)
