"""The sum of the gradients of shards in shared memory: the serial sum's bits, whatever happens."""

import operator
import os

import numpy as np
import pytest
from sum_work import (
    SHARDS,
    common,
    dies_once,
    drifts,
    fails,
    gradient,
    grows,
    mixed,
    numbers,
    odd_one,
    unpicklable,
)

from fcnn import parallel, tree
from fcnn.errors import ArgumentError
from fcnn.parallel import _reduce

WEIGHTS = [i / 28 for i in range(1, 8)]


def found(executor, function, what):
    rests, total = parallel.sum_shards(function, what, SHARDS, WEIGHTS, executor)
    layout = [(type(leaf), getattr(leaf, "strides", None)) for leaf in tree.leaves(total)]
    return rests, tree.digest(total), layout


@pytest.fixture(scope="module")
def pool():
    with parallel.processes(3) as pool:
        yield pool


@pytest.fixture(params=["one message", "slots", "slices"], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(_reduce, "SMALL", 1 << 40 if request.param == "one message" else 0)
    monkeypatch.setattr(_reduce, "LEAST", 0 if request.param == "slices" else 1 << 40)
    monkeypatch.setattr(_reduce, "FEWEST", 1)
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [gradient, drifts, odd_one, mixed, grows, numbers])
def test_the_sum_has_the_serial_sums_bits_and_layout(pool, function, dtype):
    for size in (1001, 20_000):
        what = common(dtype, size)
        for _ in range(2):  # the second time the size of a gradient is known
            assert found(pool, function, what) == found(None, function, what)


def test_slices_are_added_by_all(pool, way, monkeypatch):
    found(pool, gradient, common())  # from now on the size of a gradient is known
    taken = []
    add = _reduce._add
    monkeypatch.setattr(_reduce, "_add", lambda *args: (taken.append(len(args[0])), add(*args)))
    assert found(pool, gradient, common()) == found(None, gradient, common())
    assert taken == ([2] if way == "slices" else [])


def test_a_death_costs_time_only(tmp_path):
    with parallel.processes(3) as pool:
        what = os.getpid(), str(tmp_path / "died"), common()
        with pytest.warns(RuntimeWarning, match=r"worker process died; \d shard\(s\)") as told:
            assert found(pool, dies_once, what) == found(None, gradient, what)
        assert told[0].filename == __file__
        assert (tmp_path / "died").exists()
        assert found(pool, dies_once, what) == found(None, gradient, what)


def test_a_death_while_slices_are_added_costs_time_only(monkeypatch):
    with parallel.processes(3) as pool:
        add = _reduce._add

        def kill_first(workers, *args):
            workers[0].process.kill()
            workers[0].process.wait()
            return add(workers, *args)

        found(pool, gradient, common())
        monkeypatch.setattr(_reduce, "_add", kill_first)
        assert found(pool, gradient, common()) == found(None, gradient, common())


def test_the_total_is_the_callers_own(pool):
    _, first = parallel.sum_shards(gradient, common(), SHARDS, WEIGHTS, pool)
    before = tree.digest(first)
    _, second = parallel.sum_shards(gradient, common(size=2000), SHARDS, WEIGHTS, pool)
    assert tree.digest(first) == before
    second[0][...] = 0  # writable, as a serial sum is


def test_the_first_error_is_raised_and_the_pool_goes_on(pool):
    with pytest.raises(ZeroDivisionError, match="3"):
        parallel.sum_shards(fails, common(), SHARDS, WEIGHTS, pool)
    with pytest.raises(TypeError, match="results pickle"):
        parallel.sum_shards(unpicklable, common(), SHARDS, WEIGHTS, pool)
    assert found(pool, gradient, common()) == found(None, gradient, common())


def test_no_shards_have_no_sum(pool):
    for executor in (None, pool):
        with pytest.raises(ArgumentError, match="one shard or more"):
            parallel.sum_shards(gradient, common(), [], [], executor)


class Reversed(parallel.Engine):
    """Computes the last shard first."""

    def check(self, executor):
        if executor.closed:
            raise RuntimeError("it is closed")

    def map(self, executor, function, common, shards):
        return [function(common, shard) for shard in reversed(shards)][::-1]


class Own:
    closed = False


class Derived(Own):
    pass


@pytest.mark.parametrize("kind", [Own, f"{__name__}.Own"])
def test_an_engine_is_registered_by_type_or_name_for_subclasses_too(kind, monkeypatch):
    from fcnn.parallel import _engine

    monkeypatch.setattr(_engine, "_ENGINES", dict(_engine._ENGINES))
    with pytest.raises(ArgumentError, match="got Derived"):
        parallel.map_shards(operator.add, 1, [1, 2], Derived())
    parallel.register_engine(kind, Reversed())
    try:
        assert parallel.map_shards(operator.add, 1, [1, 2, 3], Derived()) == [2, 3, 4]
        assert found(Derived(), gradient, common()) == found(None, gradient, common())
        shut = Derived()
        shut.closed = True
        with pytest.raises(RuntimeError, match="it is closed"):
            parallel.map_shards(operator.add, 1, [1], shut)
    finally:
        _engine._FOUND.clear()


def test_what_is_no_engine_is_refused():
    with pytest.raises(ArgumentError, match=r"subclass of fcnn\.parallel\.Engine"):
        parallel.register_engine(Own, Reversed)
    with pytest.raises(ArgumentError, match="a type or its qualified name"):
        parallel.register_engine(1, Reversed())
