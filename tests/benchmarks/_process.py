"""The driver's side of the contestants' processes: start, ask, end."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIBRARIES = {
    "torch": "torch",
    "jax": "jax",
    "tensorflow": "tensorflow",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
    "ncnn": "ncnn",
    "articles": "scipy",
    "gemm": "numpy",
}
# What changes a contestant's threads or kernels, or keeps Python from storing its bytecode.
STEERING = (
    "PYTHONDONTWRITEBYTECODE",
    "OMP_",
    "KMP_",
    "OPENBLAS_",
    "GOTO_",
    "BLIS_",
    "MKL_",
    "NVPL_",
    "XLA_",
    "JAX_",
    "TORCH",
    "TF_",
)


class LeftOutError(Exception):
    """A contestant that is not installed, or that failed; the message says why."""


def environment(checkout: Path | None = None) -> dict[str, str]:
    """Return this process's environment without what steers a contestant.

    Args:
        checkout: a folder that holds the fcnn to import.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    kept["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compilers beside the measurement
    kept["TF_CPP_MIN_LOG_LEVEL"] = "2"  # errors alone
    if checkout is not None:
        kept["PYTHONPATH"] = os.pathsep.join([str(checkout), kept.get("PYTHONPATH", "")])
    return kept


def steered() -> list[str]:
    return sorted(name for name in os.environ if name.startswith(STEERING))


class Process:
    """One contestant's process; see `_serve`."""

    def __init__(self, module: str, checkout: Path | None = None) -> None:
        library = LIBRARIES.get(module)
        if library is not None and importlib.util.find_spec(library) is None:
            raise LeftOutError(f"{library} is not installed")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(f"_{module}.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(checkout),
            start_new_session=True,  # Ctrl-C is for the driver, which then ends the children
        )
        if checkout is not None:
            self._check_origin(checkout)

    def _check_origin(self, checkout: Path) -> None:
        try:
            found = self.ask("file", module="fcnn")
            if not Path(found).is_relative_to(checkout):
                raise LeftOutError(f"expected the fcnn in {checkout}, got {found}")
        except LeftOutError:
            self.close()
            raise

    def ask(self, command: str, **args: Any) -> Any:
        """Return the result of a command.

        Raises:
            LeftOutError: if the contestant reports an error or has died.
        """
        try:
            self._child.stdin.write(json.dumps({"command": command, **args}) + "\n")
            self._child.stdin.flush()
            reply = json.loads(self._child.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["no output"]
            raise LeftOutError(f"its process died: {last[0]}") from None
        if "error" in reply:
            raise LeftOutError(reply["error"].splitlines()[0])
        return reply["result"]

    def close(self) -> None:
        """End the process and whatever it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        with contextlib.suppress(BrokenPipeError):  # a command that it did not read
            self._child.stdin.close()
        self._child.stdout.close()
        self._errors.close()


class Field:
    """All processes of a run, started when first needed, ended together."""

    def __init__(self) -> None:
        self._absent: dict[str, list[str]] = {}
        self._processes: dict[tuple[str, str], Process] = {}

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.close()

    def process(self, module: str, tag: str = "", checkout: Path | None = None) -> Process:
        """Return the long-lived process of a module; another ``tag`` is another process."""
        if (module, tag) not in self._processes:
            self._processes[module, tag] = Process(module, checkout)
        return self._processes[module, tag]

    @contextlib.contextmanager
    def fresh(self, module: str, checkout: Path | None = None) -> Iterator[Process]:
        """Yield a process for one use."""
        process = Process(module, checkout)
        try:
            yield process
        finally:
            process.close()

    def end(self, module: str) -> None:
        """End the processes of a module, and the pools that they have started."""
        for key in [key for key in self._processes if key[0] == module]:
            self._processes.pop(key).close()

    def leave_out(self, label: str, where: str, why: LeftOutError | str) -> None:
        self._absent.setdefault(f"{label}: {why}", []).append(where)

    def missing(self) -> list[str]:
        """Return what was left out, why, and where."""
        return [
            f"{label_and_why} ({', '.join(dict.fromkeys(where))})"
            for label_and_why, where in self._absent.items()
        ]
