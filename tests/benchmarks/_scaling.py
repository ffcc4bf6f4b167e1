"""The sections on scaling: with the number of workers, and with the size of the work."""

from __future__ import annotations

from _bench import BEFORE, FCNN, Bench, task_of
from _measure import Entry, ratio
from _networks import IMAGES, WIDTHS, find, multiply_adds

LARGE = "PyTorch example", "ResNet-20"
BATCH = 64


def workers(bench: Bench) -> None:
    """Compare one worker with two, each with half of the batch at a time."""
    rows = []
    for name in (name for name in LARGE if name in bench.networks):
        for pool in ("threads", "processes"):
            options = {n: {"shards": 2, "pool": pool, "workers": n} for n in (1, 2)}
            entries = {
                f"{label}, {n}": entry
                for n in (1, 2)
                for label, entry in bench.of_fcnn(
                    task_of(name, BATCH, "training", **options[n])
                ).items()
            }
            found = bench.measure("workers", f"{name}, {pool}", entries)
            gains = [
                f"{ratio(found[f'{label}, 1'].times, found[f'{label}, 2'].times):.2f}"
                if found.keys() >= {f"{label}, 1", f"{label}, 2"}
                else ""
                for label in (FCNN, BEFORE)
            ]
            rows.append([f"{name}, {pool}", *gains])
    title = f"Speed-up of a training step from 1 to 2 workers, batch {BATCH}"
    bench.report.table(title, ["times as fast", FCNN, BEFORE], rows)


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
