"""Measure contestants in turn, and compare what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from _process import Field, LeftOutError, Process


class Entry(NamedTuple):
    """One thing to measure.

    Attributes:
        module: the contestant.
        args: what it is to prepare.
        tag: which of the contestant's processes.
        checkout: the folder of the fcnn that it imports.
    """

    module: str
    args: Mapping[str, Any]
    tag: str = ""
    checkout: Path | None = None


class Effort(NamedTuple):
    """How long to measure.

    Attributes:
        rounds: how often each contestant runs.
        seconds: how long each contestant runs in a round.
        processes: how many processes of each contestant share the rounds. Two processes of
            the same build differ by some 2 %, which no number of rounds averages out.
    """

    rounds: int
    seconds: float
    processes: int = 1


class Found(NamedTuple):
    """Seconds of a step, one for each round, and how the contestant ran it.

    Attributes:
        times: the mean of a round.
        cpu: the same in processor time, without that of other processes; see `_serve`.
        how: the way to run it, where a contestant has several.
    """

    times: list[float]
    cpu: list[float]
    how: str

    @property
    def seconds(self) -> float:
        return statistics.median(self.times)


def measure(
    field: Field, what: str, entries: Mapping[str, Entry], effort: Effort
) -> dict[str, Found]:
    """Run the entries in turn, in reverse in every second round.

    What fails is left out, and listed in the field under ``what``.
    """
    many = effort.processes
    part = effort._replace(rounds=max(1, effort.rounds // many))
    parts = []
    for i in range(many):
        own = {n: each._replace(tag=f"{each.tag} {i}") for n, each in entries.items()}
        parts.append(_measure(field, what, own, part))
    return {
        label: _joined([part[label] for part in parts])
        for label in entries
        if all(label in part for part in parts)
    }


def _joined(parts: list[Found]) -> Found:
    times = [time for part in parts for time in part.times]
    cpu = [time for part in parts for time in part.cpu]
    return Found(times, cpu, " or ".join(dict.fromkeys(part.how for part in parts)))


def _measure(
    field: Field, what: str, entries: Mapping[str, Entry], effort: Effort
) -> dict[str, Found]:
    ready: dict[str, tuple[Process, int, int]] = {}
    found: dict[str, Found] = {}
    for label, entry in entries.items():
        try:
            process = field.process(entry.module, entry.tag, entry.checkout)
            made = process.ask("prepare", **entry.args)
            k = max(1, round(effort.seconds / max(made["seconds"], 1e-6)))
            ready[label] = process, made["handle"], k
            found[label] = Found([], [], made["how"])
        except LeftOutError as why:
            field.leave_out(label, what, why)
    for turn in range(effort.rounds):
        for label in list(ready)[:: 1 if turn % 2 == 0 else -1]:
            process, handle, k = ready[label]
            try:
                seconds, cpu = process.ask("run", handle=handle, k=k)
                found[label].times.append(seconds)
                found[label].cpu.append(cpu)
            except LeftOutError as why:
                field.leave_out(label, what, why)
                del ready[label], found[label]
    for process, handle, _ in ready.values():
        process.ask("drop", handle=handle)
    return found


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Return each round's ratio: both were measured within seconds of each other."""
    return [a / b for a, b in zip(above, below, strict=True)]


def ratio(above: list[float], below: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(ratios(above, below))


def quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def fastest(found: Mapping[str, Found], labels: list[str]) -> str | None:
    """Return the label of the shortest time; None if no label was measured."""
    present = [label for label in labels if label in found]
    return min(present, key=lambda label: found[label].seconds, default=None)
