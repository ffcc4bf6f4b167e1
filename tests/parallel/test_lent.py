"""Pools of other libraries that are lent shared memory: the serial sum's bits, whatever happens."""

import gc
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import sum_work
from sum_work import SHARDS, common

from fcnn import parallel, tree
from fcnn.parallel import _lent
from fcnn.parallel._arena import Pickled

WEIGHTS = [i / 28 for i in range(1, 8)]


def found(executor, function, what):
    rests, total = parallel.sum_shards(function, what, SHARDS, WEIGHTS, executor)
    layout = [(type(leaf), getattr(leaf, "strides", None)) for leaf in tree.leaves(total)]
    return rests, tree.digest(total), layout


def standard():
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def loky():
    library = pytest.importorskip("loky", reason="loky is not installed")
    return library.ProcessPoolExecutor(2)


@pytest.fixture(params=[standard, loky])
def pool(request):
    with request.param() as pool:
        yield pool


@pytest.fixture(autouse=True)
def placed(monkeypatch):
    """Where gradients were found: in their slots or not."""
    monkeypatch.setattr(_lent, "SMALL", 0)
    kinds = []
    load = _lent.loaded
    monkeypatch.setattr(
        _lent, "loaded", lambda what, memory: (kinds.append(type(what)), load(what, memory))[1]
    )
    return kinds


def test_the_sum_has_the_serial_sums_bits_and_layout(pool, placed):
    for name in ("gradient", "mixed", "numbers", "grows"):
        function = getattr(sum_work, name)
        for size in (1001, 20_000):
            for _ in range(2):  # the second time the size of a gradient is known
                placed.clear()
                assert found(pool, function, common(size=size)) == found(
                    None, function, common(size=size)
                )
            assert set(placed) == {Pickled}


def test_the_first_error_is_raised_and_the_pool_goes_on(pool):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="3"):
            found(pool, sum_work.fails, common())
        with pytest.raises(TypeError, match="results pickle"):
            found(pool, sum_work.unpicklable, common())
        assert found(pool, sum_work.gradient, common()) == found(None, sum_work.gradient, common())


def test_a_death_costs_time_only(pool, tmp_path, placed):
    what = os.getpid(), str(tmp_path / "died"), common()
    with pytest.warns(RuntimeWarning, match="died") as told:
        assert found(pool, sum_work.dies_once, what) == found(None, sum_work.gradient, what)
    assert (tmp_path / "died").exists()
    assert told[0].filename == __file__
    assert found(pool, sum_work.gradient, what) == found(None, sum_work.gradient, what)
    with standard() as another:
        found(another, sum_work.gradient, what)  # now the size of a gradient is known
        placed.clear()
        assert found(another, sum_work.gradient, what) == found(None, sum_work.gradient, what)
        assert set(placed) == {Pickled}


def test_memory_that_cannot_be_opened_costs_time_only(pool, placed, monkeypatch):
    another_file = SimpleNamespace(st_ino=0)
    system = SimpleNamespace(path=os.path, getpid=os.getpid, fstat=lambda fd: another_file)
    monkeypatch.setattr(_lent, "os", system)
    assert found(pool, sum_work.gradient, common()) == found(None, sum_work.gradient, common())
    assert placed == []


def test_the_memory_is_freed_with_the_pool():
    def held():
        return [link for link in map(_target, os.listdir("/proc/self/fd")) if "memfd:fcnn" in link]

    gc.collect()  # pools of earlier tests
    before = held()
    with standard() as one:
        found(one, sum_work.gradient, common())
        assert len(held()) > len(before)
    del one
    gc.collect()
    assert len(held()) <= len(before)


def _target(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:  # that of the listing
        return ""
