"""Pools and shared memory belong to the process that made them, and no fork of it may use them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
import shard_work
import threadpoolctl
from shard_work import fork_in_a_worker, total, where

from fcnn import parallel
from fcnn._blas import BLAS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_a_fork(function):
    """What ``function()`` returns or raises in a forked child, as text."""
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks in a process with threads
        pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # it must not wait for threads that it does not have
        try:
            text = repr(function())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(into, text.encode())
        os._exit(0)
    os.close(into)
    with open(out) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text


def shared(pool):
    return parallel.map_shards(total, [1.0, 2.0], [0, 1], pool)


USES = {
    "map_shards": shared,
    "map_shards of one": lambda pool: parallel.map_shards(total, [1.0, 2.0], [0], pool),
    "submit": lambda pool: pool.submit(abs, -1).result(),
    "map": lambda pool: list(pool.map(abs, [-1])),
}


@pytest.mark.parametrize(
    "make", [lambda: parallel.processes(1), lambda: parallel.processes(2), parallel.threads]
)
def test_a_pool_is_refused_in_a_fork_and_serves_its_owner_on(make):
    with make() as pool:
        assert shared(pool) == [3, 4]
        for use in USES.values():
            told = in_a_fork(lambda use=use: use(pool))
            assert told.startswith("RuntimeError: expected an executor made in this process")
        assert in_a_fork(pool.shutdown) == "None"
        assert shared(pool) == [3, 4]
        assert pool.submit(abs, -1).result() == 1


def standard(**options):
    return lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn"), **options)


def loky_pool():
    return pytest.importorskip("loky", reason="loky is not installed").ProcessPoolExecutor(2)


@pytest.mark.parametrize("make", [lambda: ThreadPoolExecutor(2), standard(), loky_pool])
def test_an_executor_that_was_used_is_refused_in_a_fork(make):
    with make() as pool:
        assert shared(pool) == [3, 4]
        for use in (shared, USES["map_shards of one"]):
            told = in_a_fork(lambda use=use: use(pool))
            assert "after a fork make a new one in the child" in told
        assert shared(pool) == [3, 4]


@pytest.mark.parametrize("make", [lambda: ThreadPoolExecutor(2), standard(), loky_pool])
def test_an_executor_that_was_only_used_by_its_owner_itself_is_refused_in_a_fork(make):
    with make() as pool:
        assert pool.submit(abs, -1).result() == 1
        assert "after a fork make a new one in the child" in in_a_fork(lambda: shared(pool))


def test_a_pool_whose_queues_two_processes_would_share_is_refused_in_a_fork():
    with standard()() as pool:  # it has not started its processes yet
        assert "made in process" in in_a_fork(lambda: shared(pool))


def test_what_a_fork_makes_itself_serves_it():
    def made_there(make):
        with make() as pool:
            return shared(pool)

    with parallel.processes(2) as pool:
        assert shared(pool) == [3, 4]
        for make in (lambda: parallel.processes(2), lambda: parallel.threads(2), standard()):
            assert in_a_fork(lambda make=make: made_there(make)) == "[3.0, 4.0]"
        assert shared(pool) == [3, 4]


def test_a_fork_that_ends_leaves_its_parents_workers_alone(tmp_path):
    """It ends in the ordinary way, with all that a Python process does at its end."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {shard_work.HERE!r})\n"
        "from shard_work import where\n"
        "from fcnn import parallel\n"
        "if __name__ == '__main__':\n"
        "    with parallel.processes(2) as pool:\n"
        "        before = parallel.map_shards(where, None, [0, 1], pool)\n"
        "        child = os.fork()\n"
        "        if child:\n"
        "            os.waitpid(child, 0)\n"
        "            print(parallel.map_shards(where, None, [0, 1], pool) == before)\n"
        "            assert pool.others[0].process.poll() is None\n"
        "    if not child:\n"
        "        del pool\n"
        "        sys.exit()\n"
    )
    command = [sys.executable, "-X", "dev", script]  # which warns of what is left open
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_fork_of_a_worker_answers_nothing(capfd):
    """A function that forks and returns twice would give two answers, the second to the next."""
    with parallel.processes(2) as pool:
        parent = os.getpid()
        for _ in range(5):
            assert parallel.map_shards(fork_in_a_worker, parent, [1, 2], pool) == [1, 2]
            assert shared(pool) == [1.0 + 2.0, 1.0 + 2.0 + 1]
        workers = parallel.map_shards(where, None, [0, 1], pool)
    assert len(set(workers)) == 2
    told, end = capfd.readouterr().err, time.monotonic() + 20
    while "RuntimeError: expected an executor made in this process" not in told:
        assert time.monotonic() < end, "the forks, for which nobody waits, say nothing"
        time.sleep(0.05)
        told += capfd.readouterr().err


@contextlib.contextmanager
def a_thread_within(context):
    """Another thread, which a child does not have, has entered ``context`` and stays within."""
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with context:
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait(20)
    yield leave
    leave.set()
    thread.join()


def limited():
    """The numbers of BLAS threads before, within and after a limit, and of callers after it."""
    before = BLAS.threads
    with parallel.one_blas_thread():
        within = BLAS.threads
    return before, within, BLAS.threads, len(BLAS._users)


def test_a_fork_while_a_thread_sets_the_number_of_blas_threads_has_no_lock_held():
    with a_thread_within(BLAS._lock) as leave:
        threading.Timer(0.2, leave.set).start()  # the fork waits for that
        assert in_a_fork(lambda: limited()[3]) == "0"


def test_a_fork_while_a_thread_limits_blas_is_not_limited():
    with threadpoolctl.threadpool_limits(2):
        with a_thread_within(parallel.one_blas_thread()):
            assert BLAS.threads == 1
            assert in_a_fork(limited) == "(2, 1, 2, 0)"
            assert BLAS.threads == 1
        assert limited() == (2, 1, 2, 0)


def test_a_fork_within_the_limit_leaves_it_by_itself():
    with threadpoolctl.threadpool_limits(2):
        with parallel.one_blas_thread():
            with a_thread_within(parallel.one_blas_thread()):
                assert in_a_fork(lambda: (limited(), BLAS.leave(), limited())) == (
                    "((1, 1, 1, 1), None, (2, 1, 2, 0))"
                )
            assert BLAS.threads == 1
        assert limited() == (2, 1, 2, 0)
