"""Processes that are killed at random moments: it costs time only, and nothing is left over.

FCNN_KILLS=100 in the environment makes the runs longer.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings

import pytest
import shard_work
from shard_work import Training, eventually, processes_with, trained

from fcnn import parallel

KILLS = int(os.environ.get("FCNN_KILLS", "10"))
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


def kill_some(pool, draw, kills, deaths):
    """Kill one or all workers, at random moments, until there were ``kills`` of them."""
    for event in itertools.count():
        if event % 2 == 0:  # the other half hits processes that are starting
            eventually(lambda: all(worker.is_ready for worker in pool.others))
        time.sleep(draw.choice([0.02, 0.2]) * draw.uniform(0.3, 1.0))
        workers = [worker for worker in pool.others if not worker.is_ready] or list(pool.others)
        for worker in workers if draw.random() < 0.4 else [draw.choice(workers)]:
            if worker.process.poll() is None:
                deaths["ready" if worker.is_ready else "starting"] += 1
                worker.process.send_signal(signal.SIGKILL)
        if sum(deaths.values()) >= kills:
            return


@LINUX
def test_kills_at_random_moments_cost_time_only(monkeypatch):
    mark = str(uuid.uuid4())
    monkeypatch.setenv("FCNN_TEST_MARK", mark)
    deaths = {"ready": 0, "starting": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with parallel.processes(3) as pool:
            training = Training(pool)
            killer = threading.Thread(
                target=kill_some,
                args=(pool, random.Random(0), KILLS, deaths),
            )
            killer.start()
            while killer.is_alive():
                training.step()
            killer.join()
            assert len(pool.others) == 2
            assert eventually(lambda: trains_in_all(training, pool))
    print(f"{deaths} in {training.count} steps")
    assert min(deaths.values()) > 0
    assert training.digest() == trained(training.count)
    assert eventually(lambda: not processes_with("FCNN_TEST_MARK", mark))


def trains_in_all(training, pool):
    training.step()
    return all(worker.is_ready for worker in pool.others)


PROGRAM = """
import os, sys, warnings
sys.path.insert(0, {here!r})
from shard_work import Training, trained
from fcnn import parallel

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with parallel.processes(3) as pool:
        training = Training(pool)
        for _ in range(5):
            training.step()
        assert training.digest() == trained(5)
        pids = os.getpid(), pool.others[0].process.pid
        maps = [open(f"/proc/{{pid}}/maps").read() for pid in pids]
        print(*["memfd:fcnn" in found and "/dev/shm/" not in found for found in maps], flush=True)
        while True:
            training.step()
"""


@LINUX
@pytest.mark.parametrize("also_group", [False, True])
def test_nothing_outlives_a_parent_that_is_killed(tmp_path, also_group):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.format(here=shard_work.HERE))
    draw = random.Random(also_group)
    for _ in range(max(1, KILLS // 10)):
        mark = str(uuid.uuid4())
        run = subprocess.Popen(
            [sys.executable, script],
            env={**os.environ, "FCNN_TEST_MARK": mark},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        # No memory of it has a name, so that none can be left over.
        assert run.stdout.readline() == "True True\n"
        assert len(processes_with("FCNN_TEST_MARK", mark)) == 3
        time.sleep(0.1 * draw.random())
        (os.killpg if also_group else os.kill)(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
        assert eventually(lambda mark=mark: not processes_with("FCNN_TEST_MARK", mark))


@LINUX
def test_workers_end_with_their_parent_in_the_middle_of_a_computation_or_of_their_start(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from fcnn import parallel\n"
        "if __name__ == '__main__':\n"
        "    pool = parallel.processes(2)\n"
        "    pool.submit(time.sleep, 1000)\n"
        "    pool.others.append(type(pool.others[0])())\n"  # one that is starting
        "    print('started', flush=True)\n"
        "    time.sleep(1000)\n"
    )
    mark = str(uuid.uuid4())
    run = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "FCNN_TEST_MARK": mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == "started\n"
    run.kill()
    run.wait()
    run.stdout.close()
    assert eventually(lambda: not processes_with("FCNN_TEST_MARK", mark))


def test_a_worker_that_is_killed_again_before_it_is_ready_is_started_again():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with parallel.processes(2) as pool:
            for _ in range(3):
                pool.others[0].process.kill()
                assert parallel.map_shards(shard_work.total, [1.0], [0, 1], pool) == [1, 2]
            training = Training(pool)
            assert eventually(lambda: trains_in_all(training, pool))


def test_a_system_that_starts_no_process_now_is_asked_again_later(monkeypatch):
    def refuse(*args, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with parallel.processes(2) as pool:
        pool.others[0].process.kill()
        monkeypatch.setattr(subprocess, "Popen", refuse)
        with pytest.warns(RuntimeWarning, match="died"):
            assert parallel.map_shards(shard_work.total, [1.0], [0, 1], pool) == [1, 2]
        monkeypatch.undo()
        assert parallel.map_shards(shard_work.total, [1.0], [0, 1], pool) == [1, 2]
        assert pool.submit(abs, -1).result() == 1
        assert pool.others[0].is_ready


def test_a_death_is_warned_of():
    with parallel.processes(2) as pool:
        pool.others[0].process.kill()
        with pytest.warns(RuntimeWarning, match=r"worker process died; 1 shard\(s\)") as told:
            parallel.map_shards(shard_work.total, [1.0], [0, 1], pool)
        assert told[0].filename == __file__
        pool.others[0].process.kill()
        pool.others[0].process.wait()
        with pytest.warns(RuntimeWarning, match=r"before it was ready \(signal 9\); another"):
            parallel.map_shards(shard_work.total, [1.0], [0, 1], pool)


def test_ctrl_c_leaves_workers_alone_even_while_they_start(capfd):
    """The terminal sends it to all processes, and the parent decides what it means."""
    with parallel.processes(2) as pool:
        pool.others[0].replace()
        process = pool.others[0].process
        while not pool.others[0].available():
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert parallel.map_shards(shard_work.total, [1.0], [0, 1], pool) == [1, 2]
        assert pool.others[0].process is process
    assert capfd.readouterr().err == ""


BECOMES_WRONG = """
import sys, time
sys.path.insert(0, {here!r})
from shard_work import total
from fcnn import parallel

if __name__ == "__main__":
    with parallel.processes(2) as pool:
        open(__file__, "w").write("raise SystemExit(3)")
        pool.others[0].process.kill()
"""
IT_SHARES = """
        while pool.others:
            assert parallel.map_shards(total, [1.0], [0, 1], pool) == [1, 2]
            time.sleep(0.02)
        print(parallel.map_shards(total, [1.0], [0, 1], pool))
        print(pool.submit(abs, -1).result())
"""
IT_SUBMITS = """
        for future in [pool.submit(abs, -1), pool.submit(abs, -1)]:
            print(type(future.exception()).__name__, future.exception())
        print(pool.submit(abs, -1).result())
"""


@pytest.mark.parametrize(
    ("use", "out", "told"),
    [
        (IT_SHARES, "[1.0, 2.0]\n1\n", "(exit code 3); the pool goes on without it"),
        (
            IT_SUBMITS,
            "BrokenExecutor expected a result, got none: the worker process died\n"
            "BrokenExecutor expected a running worker process, got none: all have ended\n1\n",
            "",
        ),
    ],
)
def test_a_script_that_has_become_wrong_costs_a_worker_not_the_run(tmp_path, use, out, told):
    """The successor of a killed worker ends by itself, and so would its successors."""
    script = tmp_path / "script.py"
    script.write_text(BECOMES_WRONG.format(here=shard_work.HERE) + use)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.stdout == out, done.stderr
    assert told in done.stderr
