"""The sections on time: a training step and an inference, against the build before and peers."""

from __future__ import annotations

from _bench import BEFORE, FCNN, GEMM, LOOPS, PEERS, Bench, task_of
from _gemm import SIZE
from _measure import Entry, Found, fastest, quartiles, ratio, ratios
from _networks import find, multiply_adds
from _report import micro

BATCHES = {"training": (1, 64), "inference": (1, 256)}


def training(bench: Bench) -> None:
    for batch in bench.batch_sizes(BATCHES["training"]):
        _compare(bench, "training", batch)


def inference(bench: Bench) -> None:
    for batch in bench.batch_sizes(BATCHES["inference"]):
        _compare(bench, "inference", batch)


def jit(bench: Bench) -> None:
    """Compare a step and an inference with and without `fcnn.jit`, in one thread."""
    rows = []
    for mode, batches in BATCHES.items():
        for batch in bench.batch_sizes(batches):
            for name in bench.networks:
                tasks = {
                    how: task_of(name, batch, mode, shards=1, alone=True, jit=how == "on")
                    for how in ("on", "off")
                }
                entries = {how: Entry("fcnn", task, "", bench.own) for how, task in tasks.items()}
                found = bench.measure("jit", f"{mode}, batch {batch}, {name}", entries)
                if found.keys() == entries.keys():
                    shown = [micro(found[how].seconds / batch) for how in ("on", "off")]
                    of_cpu = spread(found["on"].cpu, found["off"].cpu)
                    rows.append([f"{mode}, batch {batch}, {name}", *shown, of_cpu])
    head = ["µs an image, one thread", "jit", "without", "jit / without, CPU time"]
    bench.report.table("What `jit` gains", head, rows)


def _compare(bench: Bench, mode: str, batch: int) -> None:
    has_limit = mode == "training" and batch > 1 and "gemm" in bench.libraries
    rows, everything, limits = [], [], []
    labels = [FCNN, BEFORE, *PEERS, LOOPS]
    for name in bench.networks:
        entries = bench.contestants(name, batch, mode) | (GEMM if has_limit else {})
        found = bench.measure(f"{mode}, batch {batch}", name, entries)
        rows.append([name, *_cells(found, batch)])
        shown = [micro(found[n].seconds / batch) if n in found else "" for n in labels]
        everything.append([name, *shown])
        if FCNN in found and GEMM.keys() <= found.keys():
            limits.append([name, *_share_of_limit(found, name, batch)])
    title = f"{mode.capitalize()}, batch {batch}"
    head = [mode, FCNN, "way", BEFORE, f"{FCNN} / before", "of CPU time"]
    head += ["best peer", "which (threads)", f"{FCNN} / peer", LOOPS, f"loops / {FCNN}"]
    bench.report.table(f"{title}: µs an image", head, rows)
    if set(bench.libraries) - {"gemm"}:
        bench.report.table(f"{title}: µs an image, all contestants", [mode, *labels], everything)
    head = ["forward + backward", "M multiply-adds", "GFLOP/s", *(f"of {label}" for label in GEMM)]
    bench.report.table(f"{title}: share of the limit by matrix products", head, limits)


def _cells(found: dict[str, Found], batch: int) -> list[str]:
    """Return the cells of one network behind its name."""
    if FCNN not in found:
        return [""] * 10
    own, way = found[FCNN], found[FCNN].how
    cells = [micro(own.seconds / batch), way, "", "", "", "", "", "", "", ""]
    if before := found.get(BEFORE):
        cells[1] += "" if before.how == way else f" (before: {before.how})"
        cells[2:4] = micro(before.seconds / batch), spread(own.times, before.times)
        if "shards" not in way + before.how:  # of workers the processor time is not known
            cells[4] = spread(own.cpu, before.cpu)
    if peer := fastest(found, PEERS):
        of_peer = f"{ratio(own.times, found[peer].times):.2f}"
        cells[5:8] = micro(found[peer].seconds / batch), peer, of_peer
    if loops := found.get(LOOPS):
        cells[8:] = micro(loops.seconds / batch), f"{ratio(loops.times, own.times):.1f}"
    return cells


def spread(above: list[float], below: list[float]) -> str:
    """Return the median of the rounds' ratios and, in brackets, their quartiles."""
    low, high = quartiles(ratios(above, below))
    return f"{ratio(above, below):.3f} ({low:.2f}–{high:.2f})"


def _share_of_limit(found: dict[str, Found], name: str, batch: int) -> list[str]:
    """Return a step's multiply-adds, its rate, and the rate over SGEMM's on 1 and on 2 threads."""
    work = batch * multiply_adds(find(name))[1]
    rate = 2 * work / found[FCNN].seconds
    limits = [2 * SIZE**3 / found[label].seconds for label in GEMM]
    return [f"{work / 1e6:.4g}", f"{rate / 1e9:.1f}", *(f"{rate / limit:.0%}" for limit in limits)]
