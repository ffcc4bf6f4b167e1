"""`fcnn.parallel.processes`: what it returns, survives and leaves behind.

That its bits are those of other executors is tested in test_parallel; kills, forks and what cannot
be imported are tested in parallel/.
"""

import functools
import operator
import os
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from fcnn import parallel

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


def test_results_are_copies_of_the_callers_own():
    with parallel.processes(2) as pool:
        shards = [np.zeros(3), np.ones(3)]
        first = parallel.map_shards(np.add, 1.0, shards, pool)
        parallel.map_shards(np.add, 5.0, shards, pool)
        np.testing.assert_array_equal(first, [[1, 1, 1], [2, 2, 2]])
        first[1][0] = 7


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_computed_after_shutdown(workers):
    with parallel.processes(workers) as pool:
        pass
    for shards in ([2], [2, 3]):
        with pytest.raises(RuntimeError, match="an executor that runs, got one that was shut down"):
            parallel.map_shards(operator.add, 1, shards, pool)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(abs, -1)
    pool.shutdown()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("shards", [2, 3, 5, 8])
def test_results_are_in_the_order_of_the_shards(workers, shards):
    with parallel.processes(workers) as pool:
        done = parallel.map_shards(operator.mul, 10, list(range(shards)), pool)
        assert done == [10 * i for i in range(shards)]


def test_several_threads_may_use_one_pool():
    with parallel.processes(3) as pool, ThreadPoolExecutor(4) as callers:

        def share(i):
            return parallel.map_shards(operator.mul, np.full(1000, i), [1, 2, 3, 4], pool)

        calls = [callers.submit(share, i) for i in range(40)]
        submitted = [pool.submit(operator.mul, np.full(1000, i), 5) for i in range(40)]
        for i in range(40):
            for factor, found in enumerate([*calls[i].result(), submitted[i].result()], 1):
                np.testing.assert_array_equal(found, np.full(1000, i * factor))


def test_a_message_may_hold_many_arrays_and_grow():
    many = [np.full(1, i) for i in range(20_000)]  # the table of which is longer than a pipe
    with parallel.processes(2) as pool:
        assert parallel.map_shards(operator.getitem, many, [7, 19_999], pool) == [7, 19_999]
        for size in (10, 10_000, 1_000_000, 10):
            ones = [np.ones(size), np.ones(size)]
            for found in parallel.map_shards(np.add, 1, ones, pool):
                np.testing.assert_array_equal(found, np.full(size, 2))


def test_a_function_that_has_changed_is_sent_again():
    scale = [1]
    function = functools.partial(max, scale)
    with parallel.processes(2) as pool:
        assert parallel.map_shards(function, [0], [[0], [0]], pool) == [[1], [1]]
        scale[0] = 2
        assert parallel.map_shards(function, [0], [[0], [0]], pool) == [[2], [2]]


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("raise EOFError('its own')", EOFError, "its own"),
        ("raise ConnectionError('its own')", ConnectionError, "its own"),
        ("import threading; raise ValueError(threading.Lock())", ValueError, "lock object"),
        ("class Own(KeyError): pass\nraise Own('local')", KeyError, "local"),
    ],
)
def test_an_error_keeps_its_type_and_its_worker_goes_on(code, error, says):
    with parallel.processes(2) as pool:
        process = pool.others[0].process
        with pytest.raises(error, match=says) as raised:
            pool.submit(exec, code, {}).result()
        assert f"raised in worker process {process.pid} on " in raised.value.__notes__[0]
        assert "Traceback (most recent call last):" in raised.value.__notes__[0]
        assert pool.submit(abs, -1).result() == 1
        assert pool.others[0].process is process


@pytest.mark.parametrize(
    ("shards", "first"), [([0, "0"], ZeroDivisionError), (["0", 0], TypeError)]
)
def test_the_error_of_the_first_shard_is_raised_and_no_worker_is_lost(shards, first):
    with parallel.processes(2) as pool:
        process = pool.others[0].process
        with pytest.raises(first):
            parallel.map_shards(operator.truediv, 1, shards, pool)
        assert parallel.map_shards(operator.truediv, 1, [1, 2], pool) == [1, 0.5]
        assert pool.others[0].process is process


def resources():
    """How many files this process has open, and how often it has mapped shared memory."""
    with open("/proc/self/maps") as maps:
        return len(os.listdir("/proc/self/fd")), maps.read().count("memfd:fcnn")


@LINUX
def test_messages_and_workers_that_come_and_go_leave_no_file_and_no_memory():
    with parallel.processes(2) as pool:  # what is opened once
        parallel.map_shards(operator.add, 1, [1, 2], pool)
    before = resources()
    with parallel.processes(2) as pool:
        for size in range(1000, 100_000, 7000):
            parallel.map_shards(np.add, 1, [np.zeros(size), np.zeros(size)], pool)
        while_open = resources()
        assert while_open[1] <= before[1] + 2  # one each way
        for _ in range(2):
            pool.others[0].process.kill()
            with pytest.warns(RuntimeWarning, match="died"):
                parallel.map_shards(operator.add, 1, [1, 2], pool)
            pool.submit(np.zeros, 10_000).result()
        assert resources() == while_open
    assert resources() == before


def test_shared_memory_that_is_missing_is_an_error_not_a_crash(monkeypatch):
    def full(fd, start, size):
        raise OSError(28, "No space left on device")

    with parallel.processes(2) as pool:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
        with pytest.raises(MemoryError, match=r"expected \d+ bytes of shared memory, got No space"):
            parallel.map_shards(np.add, 1, [np.zeros(100_000)] * 2, pool)
        monkeypatch.undo()
        assert parallel.map_shards(operator.add, 1, [1, 2], pool) == [2, 3]


def test_it_works_without_the_system_calls_of_linux(monkeypatch):
    calls = ("memfd_create", "eventfd", "posix_fallocate")
    for name in calls:
        monkeypatch.delattr(os, name, raising=False)
    take_away = f"import os\nfor name in {calls}:\n    vars(os).pop(name, None)"
    ones = [np.ones(10_000), np.ones(10_000)]
    with parallel.processes(2) as pool:
        pool.submit(exec, take_away, {}).result()
        for _ in range(3):
            for found in parallel.map_shards(np.add, 1, ones, pool):
                np.testing.assert_array_equal(found, np.full(10_000, 2))
        pool.others[0].process.kill()
        with pytest.warns(RuntimeWarning, match="died"):
            assert parallel.map_shards(operator.add, 1, [1, 2], pool) == [2, 3]
        assert pool.submit(abs, -1).result() == 1


FORK_AND_DIE = """
import os, signal, time, warnings
warnings.simplefilter("ignore")
if os.fork() == 0:
    time.sleep(20)
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_death_is_noticed_though_a_fork_of_the_worker_lives():
    """The fork holds the worker's end of the socket, which is therefore not closed."""
    started = time.monotonic()
    with parallel.processes(2) as pool:
        with pytest.raises(BrokenExecutor, match="the worker process died"):
            pool.submit(exec, FORK_AND_DIE, {}).result()
        assert pool.submit(abs, -1).result() == 1
    assert time.monotonic() - started < 19  # the fork sleeps for 20 seconds


def test_a_script_without_a_main_guard_is_told_of_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import fcnn\nfcnn.parallel.processes(3)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert "a worker process ended before it was ready (exit code 1)" in last
    assert "must stand below if __name__" in last


def test_a_pool_that_is_never_shut_down_ends_with_the_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, fcnn\n"
        "if __name__ == '__main__':\n"
        "    pool = fcnn.parallel.processes(2)\n"
        "    print(sum(fcnn.parallel.map_shards(np.add, 1, [np.ones(9)] * 2, pool)))\n"
    )
    command = [sys.executable, "-X", "dev", script]  # which warns of what is left open
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[4. 4. 4. 4. 4. 4. 4. 4. 4.]\n", "")
