"""Where and when a run was computed: versions, BLAS kernel, commit, command."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fcnn.checkpoint import environment


def session() -> dict[str, Any]:
    """Return the time, the environment, the commit of the working folder, and the command."""
    return {
        "began": now(),
        "environment": environment(),
        "git": git(Path.cwd()),
        "command": list(sys.argv),
    }


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a git checkout, and whether files differ from it; None outside one."""
    import shutil
    import subprocess

    program = shutil.which("git")
    if program is None:
        return None

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                [program, "-C", str(folder), *words],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "changed": bool(ask("status", "--porcelain"))}
