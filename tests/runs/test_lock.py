"""One process at a time computes a run; however it ends, the next one may go on."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

import fcnn
from fcnn.errors import ArgumentError

pytest.importorskip("fcntl", exc_type=ImportError)

HOLDER = """
import os, sys, time
import fcnn

with fcnn.experiment(sys.argv[1]) as run:
    child = os.fork() if sys.argv[2] == "fork" else 1
    if child == 0:  # it outlives the process that has the lock
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
"""


def holder(path, kind="alone"):
    """A process that has a run open, and its child."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(path), kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, int(process.stdout.readline())


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait(60)


def test_a_run_that_another_process_computes_is_refused(fit, tmp_path):
    path = tmp_path / "r"
    process, _ = holder(path)
    try:
        before = (path / "config.json").read_bytes()
        for attempt in (lambda: fit(path), lambda: fcnn.experiment(path).__enter__()):
            with pytest.raises(ArgumentError, match=f"process {process.pid} on .* another folder"):
                attempt()
        assert (path / "config.json").read_bytes() == before
        assert json.loads((path / ".lock").read_text())["pid"] == process.pid
    finally:
        end(process)
    assert not (path / ".lock").exists()
    assert fit(path, epochs=1).state.epoch == 1


@pytest.mark.parametrize("kind", ["alone", "fork"])
def test_a_lock_of_a_killed_process_is_taken_over(fit, tmp_path, kind):
    process, child = holder(tmp_path / "r", kind)
    process.send_signal(signal.SIGKILL)
    try:
        end(process)
        assert (tmp_path / "r" / ".lock").exists()
        assert fit(tmp_path / "r", epochs=1).state.epoch == 1
        assert not (tmp_path / "r" / ".lock").exists()
    finally:
        if kind == "fork":
            os.kill(child, signal.SIGKILL)


def test_a_run_is_open_once_in_a_process(fit, tmp_path):
    path = tmp_path / "r"
    with fcnn.experiment(path) as run:
        for other in (path, path.parent / "." / "r"):
            with pytest.raises(ArgumentError, match=r"this process has open; pass run="):
                fit(other)
        found = []
        thread = threading.Thread(target=lambda: found.append(outcome(lambda: fit(path))))
        thread.start()
        thread.join()
        assert found == [ArgumentError]
        assert outcome(lambda: fit(path.parent / "other", epochs=1)) is None
        process, _ = refused(path)
        assert "on " in process  # the attempts above did not give the lock up
        fit(run, epochs=1)
    assert fit(path, epochs=2).state.epoch == 2


def outcome(call):
    try:
        call()
    except ArgumentError as error:
        return type(error)
    return None


def refused(path):
    """What another process is told, and its exit status."""
    script = "import fcnn, sys\nwith fcnn.experiment(sys.argv[1]): pass"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60
    )
    assert "that no other process computes" in done.stderr
    return done.stderr, done.returncode


def test_file_systems_without_locks_do_without(fit, tmp_path, monkeypatch):
    import fcntl

    def lockf(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    assert fit(tmp_path / "r", epochs=1).state.epoch == 1
