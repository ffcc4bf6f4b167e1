"""What stands above the tables, and the tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from _contestants import Effort, steered

PACKAGES = ("fcnn", "numpy", "scipy", "attrs", "threadpoolctl", "torch", "jax", "jaxlib")


def header(effort: Effort) -> list[str]:
    """Processor, BLAS, versions and how it is measured: what the ratios depend on."""
    import scipy.linalg  # noqa: F401  SciPy may bring a BLAS of its own
    from threadpoolctl import threadpool_info

    blas = {
        f"{each['internal_api']} {each.get('version')} ({each.get('architecture')} kernels, "
        f"{each['num_threads']} threads)"
        for each in threadpool_info()
        if each["user_api"] == "blas"
    }
    lines = [
        f"processor: {_processor()}, {os.cpu_count()} cores; {platform.system()}",
        f"BLAS of NumPy and SciPy: {'; '.join(sorted(blas))}",
        f"Python {platform.python_version()}; {', '.join(map(_version, PACKAGES))}",
        f"{effort.rounds} rounds of about {effort.seconds:g} s a contestant, contestants in turn; "
        "a time is the median of its rounds, a ratio the median of the rounds' ratios",
        "float32, the articles' way float64; images (height, width, channels)",
    ]
    if names := steered():
        lines.append(f"set here, but not for the contestants: {', '.join(names)}")
    if hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > 0.3:
        lines.append(f"CAUTION: the load is {load:.1f} before the first round: something else runs")
    return [f"- {line}" for line in lines]


def _processor() -> str:
    """The processor's name; its family and model too, since clouds hide behind the name."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        if package != "fcnn":
            return f"{package} not installed"
    import fcnn  # run from a checkout

    return f"fcnn {fcnn.__version__}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned; all but the first are set to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (head, rule, *rows)))


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table under its title, if there is anything in it."""
    if rows:
        print(f"\n### {title}\n\n{table(head, rows)}", flush=True)


def at_most(ratio: float, bar: float) -> str:
    """``≤ bar``, and whether it is met."""
    return f"≤ {bar:g}: " + ("met" if ratio <= bar else f"missed by {ratio / bar - 1:.0%}")


def at_least(ratio: float, bar: float) -> str:
    return f"≥ {bar:g}: " + ("met" if ratio >= bar else f"missed by {1 - ratio / bar:.0%}")


def micro(seconds: float) -> str:
    """Microseconds, three digits or all before the point."""
    value = seconds * 1e6
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
