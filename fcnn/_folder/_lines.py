"""``metrics.jsonl``: one line of JSON for each epoch, on the disk when the epoch has ended."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fcnn.checkpoint._write import replacing


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file in order; a last line that was cut off is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            found.append(row)
    return found


def append(path: Path, row: dict[str, Any]) -> None:
    """Write a line, flushed and synced. An epoch written again takes the place of what follows it.

    So a run that was killed, and goes on from a checkpoint, has one line for each epoch.
    """
    epoch = row.get("epoch")
    kept = read(path) if epoch is not None or not _ends_whole(path) else []
    before = [each for each in kept if epoch is None or (each.get("epoch") or 0) < epoch]
    if len(before) < len(kept) or not _ends_whole(path):
        with replacing(path) as file:
            file.write("".join(map(_line, before)).encode())
    with path.open("ab") as file:
        file.write(_line(row).encode())
        file.flush()
        os.fsync(file.fileno())


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _ends_whole(path: Path) -> bool:
    """Return whether a file is not there or empty, or its last line is complete."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
