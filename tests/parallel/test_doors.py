"""What is no executor, or one that cannot work, is refused in one sentence before any work."""

import operator
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from fcnn import parallel
from fcnn.errors import ArgumentError


def refuse(common, shard):
    raise AssertionError("it was called")


@pytest.mark.parametrize(
    ("executor", "got"),
    [
        (2, "got int; use fcnn.parallel.threads"),
        ("threads", "got str; use fcnn.parallel.threads"),
        (True, "got bool"),
        (parallel.threads, "got function"),
        (operator, "got module"),
        (ThreadPoolExecutor, r"got the class ThreadPoolExecutor; call it: ThreadPoolExecutor\("),
    ],
)
@pytest.mark.parametrize("shards", [[], [1], [1, 2]])
def test_an_executor_that_is_none_is_refused(executor, got, shards):
    with pytest.raises(ArgumentError, match=r"expected an executor with submit\(\), " + got):
        parallel.map_shards(refuse, None, shards, executor)


def test_a_pool_of_multiprocessing_is_refused():
    with (
        get_context("spawn").Pool(1) as pool,
        pytest.raises(ArgumentError, match="got Pool; use"),
    ):
        parallel.map_shards(refuse, None, [1, 2], pool)


class Client:
    """As Dask's: it has ``submit``, and is no executor."""

    def submit(self, function, *args):
        raise AssertionError("it was used")

    def get_executor(self):
        raise AssertionError("it was used")


def test_a_client_of_dask_is_refused():
    with pytest.raises(ArgumentError, match=r"pass its executor, client\.get_executor\(\)"):
        parallel.map_shards(refuse, None, [1, 2], Client())


class InterpreterPoolExecutor(ThreadPoolExecutor):
    """As that of Python 3.14: it passes for a pool of threads."""


class Derived(InterpreterPoolExecutor):
    pass


@pytest.mark.parametrize("kind", [InterpreterPoolExecutor, Derived])
def test_subinterpreters_are_refused_by_name(kind):
    with kind(1) as pool, pytest.raises(ArgumentError, match=f"NumPy, got {kind.__name__}, whose"):
        parallel.map_shards(refuse, None, [1, 2], pool)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python 3.14 has them")
def test_the_subinterpreters_of_python_are_refused():
    from concurrent.futures import InterpreterPoolExecutor

    with (
        InterpreterPoolExecutor(1) as pool,
        pytest.raises(ArgumentError, match="subinterpreters"),
    ):
        parallel.map_shards(refuse, None, [1, 2], pool)


class Unhashable:
    """An executor by its interface alone, which no set and no dict can hold."""

    __hash__ = None

    def submit(self, fn, /, *args, **kwargs):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(fn, *args, **kwargs)


def test_any_object_with_submit_is_an_executor():
    assert parallel.map_shards(operator.add, 1, [1, 2, 3], Unhashable()) == [2, 3, 4]


@pytest.mark.parametrize("make", [parallel.threads, parallel.processes])
@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True, [2]])
def test_a_number_of_workers_that_is_none_is_refused(make, workers):
    with pytest.raises(ArgumentError, match="workers"):
        make(workers)


@pytest.mark.parametrize(("n", "size"), [(-1, 1), (4, 0), (4, 1.5), (4.0, 2)])
def test_a_cut_of_no_whole_numbers_is_refused(n, size):
    with pytest.raises(ArgumentError):
        parallel.cut(n, size)


@pytest.mark.parametrize("n", range(50))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 100])
def test_shards_cover_all_places_in_order_and_differ_by_one_at_most(n, size):
    shards = parallel.cut(n, size)
    assert [i for shard in shards for i in range(n)[shard]] == list(range(n))
    sizes = [shard.stop - shard.start for shard in shards]
    assert len(sizes) == -(-n // size)
    assert max(sizes, default=0) <= size
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
