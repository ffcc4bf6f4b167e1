"""Processes that share memory: what they give back, outlive and leave behind.

That their bits are those of all other executors is tested in test_parallel.
"""

import functools
import operator
import os
import subprocess
import sys

import numpy as np
import pytest

from fcnn import parallel


def test_results_of_processes_outlive_the_next_call():
    with parallel.processes(2) as pool:
        shards = [np.zeros(3), np.ones(3)]
        first = parallel.map_shards(np.add, 1.0, shards, pool)
        parallel.map_shards(np.add, 5.0, shards, pool)
        np.testing.assert_array_equal(first, [[1, 1, 1], [2, 2, 2]])
        first[1][0] = 7  # and are the caller's own


@pytest.mark.parametrize("workers", [1, 2])
def test_after_the_end_nothing_is_computed(workers):
    with parallel.processes(workers) as pool:
        pass
    with pytest.raises(RuntimeError, match="shut down"):
        parallel.map_shards(operator.add, 1, [2, 3], pool)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(abs, -1)


def test_processes_take_as_many_arrays_as_they_get():
    many = [np.full(1, i) for i in range(20_000)]  # whose places alone would fill a pipe
    with parallel.processes(2) as pool:
        assert parallel.map_shards(operator.getitem, many, [7, 19_999], pool) == [7, 19_999]


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
        ("import threading; raise ValueError(threading.Lock())", ValueError, "lock object"),
    ],
)
def test_a_worker_outlives_any_error(code, error, says):
    with parallel.processes(2) as pool:
        process = pool.others[0].process
        with pytest.raises(error, match=says):
            pool.submit(exec, code, {}).result()
        assert pool.submit(abs, -1).result() == 1
        assert pool.others[0].process is process


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no /dev/shm to look into")
def test_a_worker_that_is_replaced_leaves_no_shared_memory():
    def blocks():
        return {name for name in os.listdir("/dev/shm") if not name.startswith("sem.")}

    before = blocks()
    with parallel.processes(2) as pool:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                parallel.map_shards(operator.floordiv, 1, [0, 1], pool)
            pool.submit(np.zeros, 10_000).result()
        assert len(blocks() - before) <= 2  # one each way
    assert blocks() <= before


def test_shared_memory_that_is_not_there_is_said_not_crashed_on(monkeypatch):
    def full(fd, start, size):
        raise OSError(28, "No space left on device")

    with parallel.processes(2) as pool:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
        with pytest.raises(MemoryError, match="No space left on device"):
            parallel.map_shards(np.add, 1, [np.zeros(100_000)] * 2, pool)
        monkeypatch.undo()
        assert parallel.map_shards(operator.add, 1, [1, 2], pool) == [2, 3]


def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import fcnn\nfcnn.parallel.processes(2)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert "must stand below if __name__" in done.stderr.splitlines()[-1]


def test_processes_leave_no_shared_memory_behind(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, fcnn\n"
        "if __name__ == '__main__':\n"
        "    pool = fcnn.parallel.processes(2)\n"  # never shut down
        "    print(sum(fcnn.parallel.map_shards(np.add, 1, [np.ones(9)] * 2, pool)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[4. 4. 4. 4. 4. 4. 4. 4. 4.]\n", "")
