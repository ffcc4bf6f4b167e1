"""What the ranks of MPI are tested with: ``mpiexec -n N python ranks_program.py PART``.

Rank 0 prints "the same" if all is as it should be.
"""

import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import shard_work
import sum_work
from mpi4py import MPI
from sum_work import SHARDS

from fcnn import parallel, tree
from fcnn.errors import ArgumentError
from fcnn.parallel import _chain, _ranks

WEIGHTS = [i / 28 for i in range(1, 8)]
HERE = {"rank": MPI.COMM_WORLD.Get_rank()}
WAYS: list[str] = []


def found(executor, function, what, shards=SHARDS):
    rests, total = parallel.sum_shards(function, what, shards, WEIGHTS[: len(shards)], executor)
    layout = [(type(leaf), getattr(leaf, "strides", None)) for leaf in tree.leaves(total)]
    return rests, tree.digest(total), layout


def sums(pool):
    """Each kind of gradient, with the serial sum's bits and layout, each in the way it should."""
    ways = dict.fromkeys(["gradient", "drifts", "mixed", "grows"], "along")
    for name in ("gradient", "drifts", "mixed", "grows", "odd_one", "numbers"):
        function = getattr(sum_work, name)
        for what in (sum_work.common(size=1001), sum_work.common(np.float64, 20_000)):
            for shards in (SHARDS, SHARDS[1:3]):
                WAYS.clear()
                assert found(pool, function, what, shards) == found(None, function, what, shards)
                way = [ways.get(name, "whole")] if pool.size > 1 else []
                assert way == WAYS, (name, pool.size, len(shards), WAYS)
    _, first = parallel.sum_shards(sum_work.gradient, sum_work.common(), SHARDS, WEIGHTS, pool)
    before = tree.digest(first)
    second = parallel.sum_shards(sum_work.grows, sum_work.common(), SHARDS, WEIGHTS, pool)[1]
    assert tree.digest(first) == before
    second[...] = 0  # the caller's own, and writable


def steps(pool):
    """Whole training steps, and results that are not added."""
    assert shard_work.digest(pool) == shard_work.digest()
    training = shard_work.Training(pool)
    for _ in range(3):
        training.step()
    assert training.digest() == shard_work.trained(3)
    assert set(parallel.map_shards(rank, None, range(9), pool)) == set(range(pool.size))
    assert parallel.map_shards(max, 1, range(pool.size), pool) == [1, 1, 2, 3][: pool.size]
    assert parallel.map_shards(max, 3, range(9), pool) == [3, 3, 3, 3, 4, 5, 6, 7, 8]


def rank(common, shard):
    return HERE["rank"]


def errors(pool):
    """The function's own exceptions, from each rank, after which the ranks go on."""
    for at in (0, 6):
        with pytest.raises(shard_work.TwoArguments, match="this and that") as raised:
            parallel.map_shards(fails_at, at, SHARDS, pool)
        assert raised.value.first == "this"
        assert hasattr(raised.value, "__notes__") == (at > 0 and pool.size > 1)
        with pytest.raises(shard_work.TwoArguments, match="this and that"):
            parallel.sum_shards(fails_at, at, SHARDS, WEIGHTS, pool)
    with pytest.raises(ZeroDivisionError, match="3"):
        parallel.sum_shards(sum_work.fails, sum_work.common(), SHARDS, WEIGHTS, pool)
    with pytest.raises(KeyboardInterrupt):
        parallel.sum_shards(interrupts, None, SHARDS, WEIGHTS, pool)
    if pool.size > 1:
        with pytest.raises(TypeError, match="expected objects that pickle"):
            parallel.map_shards(max, threading.Lock(), [1, 2], pool)
        with pytest.raises(TypeError, match="results pickle"):
            parallel.sum_shards(sum_work.unpicklable, sum_work.common(), SHARDS, WEIGHTS, pool)
        with pytest.raises(TypeError, match="what a worker process can import"):
            parallel.map_shards(globals()["only_here"], None, [1, 2], pool)
    what = sum_work.common()
    assert found(pool, sum_work.gradient, what) == found(None, sum_work.gradient, what)


def fails_at(common, shard):
    if shard == common:
        raise shard_work.TwoArguments("this", "that")
    return None, np.ones(3)


def interrupts(common, shard):
    if HERE["rank"] == 0:
        raise KeyboardInterrupt
    return None, np.ones(3)


def nested(pool):
    """A call within a call, and from another thread, is computed on rank 0."""
    if HERE["rank"] == 0:
        sum_work.POOL = pool
    assert parallel.map_shards(calls, None, range(4), pool) == [[0, 1, 2]] * 4
    with ThreadPoolExecutor(2) as two:
        many = [two.submit(found, pool, sum_work.gradient, sum_work.common()) for _ in range(6)]
        assert len({str(each.result()) for each in many}) == 1
    assert pool.submit(int, "3").result() == 3
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit(int, "three").result()


def calls(common, shard):
    return parallel.map_shards(max, 0, [0, 1, 2], getattr(sum_work, "POOL", None))


class Takes:
    def __init__(self, common, shard):
        pass


def refusals():
    with pytest.raises(ArgumentError, match="expected an intracommunicator of mpi4py, got 3"):
        parallel.mpi(3).__enter__()
    with pytest.raises(ArgumentError, match="intracommunicator"):
        parallel.mpi(MPI.COMM_NULL).__enter__()


def main(part):
    comm = MPI.COMM_WORLD
    _chain.BLOCK = 1000  # bytes: more than one block
    way = _ranks._way
    _ranks._way = lambda found: (WAYS.append(way(found)), WAYS[-1])[1]
    if part == "raises":  # rank 0 fails in its own code: the others go on
        try:
            with parallel.mpi() as pool:
                if pool is not None:
                    parallel.map_shards(max, 1, [0, 2], pool)
                    raise ZeroDivisionError("own")
        except ZeroDivisionError:
            comm.barrier()
            print("the same")
        else:
            comm.barrier()
        return
    if part == "breaks":  # a rank is ended in the middle: so are the others
        with parallel.mpi() as pool:
            if pool is not None:
                parallel.map_shards(leaves, None, range(9), pool)
        return
    if part == "interrupted":  # within a call, of which no test can choose the moment
        with parallel.mpi() as pool:
            if pool is not None:
                pool._is_within = True
                with pytest.raises(RuntimeError, match="in the middle of one"):
                    parallel.map_shards(max, 1, [0, 2], pool)
                print("refused", flush=True)
        return
    try:
        check_all(comm)
    except BaseException:  # the other ranks would wait
        traceback.print_exc()
        comm.Abort(1)


def check_all(comm):
    refusals()
    for each in (comm, comm.Split(0, -HERE["rank"]), comm.Split(HERE["rank"] // 2)):
        HERE["rank"] = each.Get_rank()
        with parallel.mpi(each) as pool:
            assert (pool is None) == (HERE["rank"] > 0)
            if pool is not None:
                globals()["only_here"] = type("only_here", (Takes,), {"__module__": "__main__"})
                assert pool.size == each.Get_size()
                for check in (sums, steps, errors, nested):
                    check(pool)
                del globals()["only_here"]
        if pool is not None:
            with pytest.raises(RuntimeError, match="expected ranks that serve"):
                parallel.map_shards(max, 1, [0], pool)
        comm.barrier()
    if comm.Get_rank() == 0:
        print("the same")


def leaves(common, shard):
    if HERE["rank"]:
        raise SystemExit(3)


if __name__ == "__main__":
    main(sys.argv[1])
