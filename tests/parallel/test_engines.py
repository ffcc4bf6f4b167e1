"""Executors of other libraries: the same bits, the function's own errors, and workers that die.

Each is tested where it is installed. What is promised of each stands in `fcnn.parallel`.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import shard_work
from shard_work import (
    TwoArguments,
    die_for_each,
    die_in_a_worker,
    die_once,
    digest,
    fail,
    fail_oddly,
    no_pickle,
)

import fcnn
from fcnn import parallel
from fcnn.errors import ShapeError


@pytest.fixture(scope="module", autouse=True)
def _path():
    """Let workers that are started by a command find this folder, fcnn and their own command."""
    with pytest.MonkeyPatch.context() as patch:
        folders = [shard_work.HERE, str(Path(fcnn.__file__).parents[1])]
        path = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join(folders + ([path] if path else [])))
        patch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
        yield


def installed(name):
    return pytest.importorskip(name, reason=f"{name} is not installed")


@contextlib.contextmanager
def standard():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@contextlib.contextmanager
def loky():
    with installed("loky").ProcessPoolExecutor(2) as pool:
        yield pool


@contextlib.contextmanager
def dask():
    distributed = installed("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


@contextlib.contextmanager
def ipyparallel():
    with installed("ipyparallel").Cluster(n=2, log_level=40) as client:
        yield client.executor()


@contextlib.contextmanager
def parsl():
    installed("parsl")
    from parsl.concurrent import ParslPoolExecutor
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    with tempfile.TemporaryDirectory() as folder:
        one = HighThroughputExecutor(
            max_workers_per_node=2,
            address="127.0.0.1",
            heartbeat_period=1,  # seconds after which a lost worker is noticed; by default 30
            provider=LocalProvider(min_blocks=1, init_blocks=1, max_blocks=1),
        )
        with ParslPoolExecutor(
            Config(executors=[one], run_dir=folder, initialize_logging=False)
        ) as pool:
            yield pool


@contextlib.contextmanager
def executorlib():
    options = {"max_workers": 2, "block_allocation": True, "restart_limit": 100}
    with installed("executorlib").SingleNodeExecutor(**options) as pool:
        yield pool


ENGINES = [standard, loky, dask, ipyparallel, parsl, executorlib]
SURVIVORS = [dask, ipyparallel, parsl, executorlib]
NOISE = pytest.mark.filterwarnings("ignore")  # the engines' own, of ports, loops and files


@NOISE
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_same_bits_and_the_functions_own_errors(engine):
    with engine() as pool:
        assert digest(pool) == digest()
        with pytest.raises(ZeroDivisionError, match="own") as raised:
            parallel.map_shards(fail, ZeroDivisionError("own"), [0, 1], pool)
        assert "raised in worker process" in raised.value.__notes__[0]
        with pytest.raises(TwoArguments, match="this and that") as raised:
            parallel.map_shards(fail_oddly, None, [0, 1], pool)
        assert raised.value.first == "this"
        wrong = ShapeError("of a shard", path="serial[1]")
        with pytest.raises(ShapeError, match="of a shard") as raised:
            parallel.map_shards(fail, wrong, [0, 1], pool)
        assert raised.value.path == "serial[1]"
        assert digest(pool) == digest()


@NOISE
def test_results_that_do_not_pickle_are_refused_by_dask():
    with dask() as pool:
        for call in (
            lambda: parallel.map_shards(no_pickle, 1.0, [0, 1, 2], pool),
            lambda: parallel.sum_shards(no_pickle, 1.0, [0, 1, 2], [1 / 3] * 3, pool),
        ):
            with pytest.raises(TypeError, match=r"results pickle, got .*generator"):
                call()
        assert parallel.map_shards(max, 1, [0, 1, 2], pool) == [1, 1, 2]


@NOISE
@pytest.mark.parametrize("engine", SURVIVORS)
def test_a_worker_that_dies_costs_an_engine_time_only(engine, tmp_path):
    with engine() as pool:
        common = os.getpid(), str(tmp_path / "died")
        assert parallel.map_shards(die_once, common, range(6), pool) == [1, 2, 3, 4, 5, 6]
        assert (tmp_path / "died").exists()
        assert digest(pool) == digest()


@NOISE
@pytest.mark.parametrize("engine", SURVIVORS)
def test_the_death_of_all_workers_costs_an_engine_time_only(engine, tmp_path):
    with engine() as pool:
        common = os.getpid(), str(tmp_path)
        assert parallel.map_shards(die_for_each, common, range(4), pool) == [1, 2, 3, 4]
        assert len(list(tmp_path.iterdir())) >= 2
        assert digest(pool) == digest()


@pytest.mark.parametrize("engine", [standard, loky])
def test_a_pool_that_breaks_is_said_once_and_costs_time_only(engine):
    with engine() as pool:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                assert parallel.map_shards(die_in_a_worker, os.getpid(), [1, 2], pool) == [1, 2]
            assert digest(pool) == digest()
        [told] = [each for each in caught if issubclass(each.category, RuntimeWarning)]
        assert "the executor is broken and all shards are computed in this thread; make a new" in (
            str(told.message)
        )
        assert told.filename == __file__


def test_a_pool_of_threads_that_breaks_is_said_once_and_costs_time_only():
    with ThreadPoolExecutor(1, initializer=int, initargs=("not a number",)) as pool:
        with pytest.warns(RuntimeWarning, match="the executor is broken") as told:
            assert parallel.map_shards(max, 0, [1, 2], pool) == [1, 2]
        assert told[0].filename == __file__
        assert parallel.map_shards(max, 0, [1, 2], pool) == [1, 2]


class LosesNowAndThen(Executor):
    """As Dask where a worker dies that alone has what was scattered."""

    def __init__(self):
        self.loses = True

    class _client:  # noqa: N801 (Dask's name)
        scatter = staticmethod(lambda data, **options: data)

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        if self.loses:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_loss_is_said_once_until_all_is_well_again():
    pool = LosesNowAndThen()
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="a worker of LosesNowAndThen died"):
            assert parallel.map_shards(max, 10, [1, 2], pool) == [10, 10]
        assert parallel.map_shards(max, 10, [1, 2], pool) == [10, 10]
        pool.loses = False
        assert parallel.map_shards(max, 10, [1, 2], pool) == [10, 10]
        pool.loses = True


def test_an_engine_that_starts_a_process_for_each_shard_is_warned_of():
    with installed("executorlib").SingleNodeExecutor(max_workers=2) as pool:
        with pytest.warns(RuntimeWarning, match="make it with block_allocation=True") as told:
            assert parallel.map_shards(max, 1, [0, 2], pool) == [1, 2]
        assert told[0].filename == __file__
        assert parallel.map_shards(max, 1, [0, 2], pool) == [1, 2]


MPI_PROGRAM = """
import pytest, shard_work
from fcnn import parallel
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        assert shard_work.digest(pool) == shard_work.digest()
        with pytest.raises(shard_work.TwoArguments, match="this and that"):
            parallel.map_shards(shard_work.fail_oddly, None, [0, 1], pool)
        print("the same")
"""


def test_mpi_gives_the_same_bits_and_the_functions_own_errors(tmp_path):
    installed("mpi4py")
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    program = tmp_path / "program.py"
    program.write_text(MPI_PROGRAM)
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    run = subprocess.run(
        [mpiexec, "-n", "2", sys.executable, "-m", "mpi4py.futures", program],
        env={**os.environ, **root},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout == "the same\n", run.stderr
