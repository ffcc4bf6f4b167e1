"""The bits of a result do not depend on the executor."""

import itertools
import operator
import os
import pickle
import threading
import time
from concurrent.futures import (
    BrokenExecutor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from multiprocessing import get_context

import numpy as np
import pytest
import threadpoolctl

import fcnn
from fcnn import optim, parallel, train, tree
from fcnn.data import Dataset
from fcnn.errors import ArgumentError, ShapeError
from fcnn.losses import softmax_cross_entropy

# With dropout, batch norm, and a product large enough (512 × 784 × 128) that two BLAS threads give
# other bits than one.
MODEL = fcnn.serial(
    fcnn.conv2d(4, 3),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.max_pool2d(2),
    fcnn.flatten,
    fcnn.dropout(0.25),
    fcnn.dense(128),
    fcnn.relu,
    fcnn.dense(10),
)
SGD = optim.sgd(0.05, momentum=0.9)
STEPS = 100


def drawn():
    rng = np.random.default_rng(1)
    return Dataset(rng.random((64, 28, 28, 1), np.float32), rng.integers(0, 10, 64))


@pytest.fixture(scope="module")
def data():
    return drawn()


def gradient_digest(data, executor=None, **options):
    params, _ = MODEL.init(fcnn.key(0), (28, 28, 1))
    f = fcnn.value_and_grad(
        MODEL, softmax_cross_entropy, shard_size=12, executor=executor, **options
    )
    return tree.digest(f(params, data.inputs, data.targets, fcnn.training(fcnn.key(1))))


def params_digest(data, executor=None):
    state = train.init(MODEL, SGD, data, fcnn.key(2))
    states = train.steps(
        MODEL, softmax_cross_entropy, SGD, data, state,
        batch_size=16, shard_size=6, executor=executor,
    )  # fmt: skip
    return tree.digest(next(itertools.islice(states, STEPS - 1, None)).params)


@pytest.fixture(scope="module")
def alone(data):
    return gradient_digest(data), params_digest(data)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_threads(data, alone, workers):
    with parallel.threads(workers) as pool:
        assert (gradient_digest(data, pool), params_digest(data, pool)) == alone


def test_processes(data, alone):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert (gradient_digest(data, pool), params_digest(data, pool)) == alone


def test_processes_that_share_memory(data, alone):
    with parallel.processes(2) as pool:
        assert (gradient_digest(data, pool), params_digest(data, pool)) == alone
        assert list(pool.map(abs, [-1, -2, -3])) == [1, 2, 3]
        with pytest.raises(TypeError, match="bad operand"):
            pool.submit(abs, "1").result()
        with pytest.raises(TypeError, match="whose results pickle"):
            pool.submit(threading.Lock).result()
    with parallel.processes(1) as pool:  # this one alone
        assert gradient_digest(data, pool) == alone[0]
        assert pool.submit(abs, -1).result() == 1


def test_a_killed_process_that_shares_memory_costs_time_only(data, alone):
    with parallel.processes(2) as pool:
        pool.others[0].process.kill()
        with pytest.warns(RuntimeWarning, match="a worker .*died"):
            assert gradient_digest(data, pool) == alone[0]
        assert gradient_digest(data, pool) == alone[0]  # another process is starting
        with pytest.raises(BrokenExecutor):
            pool.submit(os._exit, 1).result()
        assert gradient_digest(data, pool) == alone[0]


def interrupt_here(common, shard):
    if os.getpid() == common:
        raise KeyboardInterrupt
    return shard


def test_what_an_interrupted_call_asked_for_is_not_taken_for_another_answer(data, alone):
    with parallel.processes(2) as pool:
        with pytest.raises(KeyboardInterrupt):
            parallel.map_shards(interrupt_here, os.getpid(), [1, 2], pool)
        assert gradient_digest(data, pool) == alone[0]


def test_no_shards_have_no_results():
    with parallel.threads(2) as pool:
        assert parallel.map_shards(operator.add, 1, [], pool) == []


def test_the_calling_thread_is_one_of_a_pool_of_threads():
    both = threading.Barrier(2, timeout=10)

    def meet(common, shard):
        both.wait()
        return threading.current_thread() is threading.main_thread(), np.geterr()["over"]

    with parallel.threads(2) as pool, np.errstate(over="raise"):
        seen = parallel.map_shards(meet, None, range(6), pool)
    assert sorted(seen) == [(False, "raise")] * 3 + [(True, "raise")] * 3
    with parallel.threads(1) as pool:
        seen = parallel.map_shards(lambda *_: threading.get_ident(), None, range(3), pool)
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


def test_the_first_shard_that_fails_is_told_and_the_last_are_not_begun():
    begun, first_waits = [], threading.Event()

    def fail(common, shard):
        begun.append(shard)
        if shard == 0:
            first_waits.wait(10)
        else:
            first_waits.set()
        raise ValueError(shard)

    with parallel.threads(2) as pool:
        with pytest.raises(ValueError, match=r"^0$"):
            parallel.map_shards(fail, None, range(9), pool)
        assert sorted(begun) == [0, 1]


def test_a_pool_that_is_busy_is_not_waited_for():
    with parallel.threads(2) as pool:
        done = threading.Event()
        others = [pool.submit(done.wait, 10) for _ in range(2)]
        assert parallel.map_shards(operator.add, 1, [1, 2, 3], pool) == [2, 3, 4]
        done.set()
        assert all(each.result() for each in others)


def test_an_interrupt_begins_no_other_shard():
    begun = []

    def interrupt(common, shard):
        begun.append(shard)
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.02)

    with parallel.threads(2) as pool, pytest.raises(KeyboardInterrupt):
        parallel.map_shards(interrupt, None, range(99), pool)
    assert len(begun) < 50


POOLS = [lambda: None, parallel.threads, lambda: ProcessPoolExecutor(2), parallel.processes]


@pytest.mark.parametrize("make", POOLS)
def test_a_shard_that_raises_raises_the_same_error_here(data, make):
    bad = Dataset(data.inputs[:, :20], data.targets)
    pool = make()
    with pytest.raises(ShapeError, match=r"serial\[6\] dense\(128\): expected an input") as raised:
        gradient_digest(bad, pool)
    assert raised.value.path == "serial[6]"
    if pool is not None:
        pool.shutdown()


def blas_threads():
    libraries = threadpoolctl.threadpool_info()
    return [library["num_threads"] for library in libraries if library["user_api"] == "blas"]


def test_blas_threads_are_limited_within_and_restored_after():
    with parallel.one_blas_thread():
        pass  # both BLAS libraries are loaded from here on
    with threadpoolctl.threadpool_limits(2):
        before = blas_threads()
        assert set(before) == {2}
        inside = parallel.map_shards(lambda common, shard: blas_threads(), None, [0])[0]
        assert set(inside) == {1}
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError):
            parallel.map_shards(lambda common, shard: 1 // 0, None, [0])
        assert blas_threads() == before


def test_the_limit_ends_with_its_last_user():
    entered, leave = threading.Event(), threading.Event()

    def other():
        with parallel.one_blas_thread():
            entered.set()
            leave.wait(10)

    with threadpoolctl.threadpool_limits(2):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(10)
        with parallel.one_blas_thread():
            pass
        assert set(blas_threads()) == {1}
        leave.set()
        thread.join()
        assert set(blas_threads()) == {2}


def test_predictions_come_in_the_order_of_the_examples(data):
    params, _ = MODEL.init(fcnn.key(0), (28, 28, 1))
    f = fcnn.value_and_grad(MODEL, softmax_cross_entropy, has_aux=True, shard_size=12)
    (value, prediction), _ = f(params, data.inputs, data.targets)
    np.testing.assert_allclose(prediction, MODEL.apply(params, data.inputs), rtol=1e-4, atol=1e-5)
    assert value == pytest.approx(softmax_cross_entropy(prediction, data.targets), rel=1e-6)


def test_shards_give_the_gradient_of_the_whole(data):
    model = fcnn.serial(fcnn.conv2d(3, 3), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    params, _ = model.init(fcnn.key(0), (28, 28, 1))
    args = (tree.astype(params, np.float64), data.inputs.astype(np.float64), data.targets)
    value, whole = fcnn.value_and_grad(model, softmax_cross_entropy)(*args)
    for size in (1, 12, 64, 100):  # 64 is no multiple of 12
        f = fcnn.value_and_grad(model, softmax_cross_entropy, shard_size=size)
        shard_value, sharded = f(*args)
        assert shard_value == pytest.approx(value)
        assert tree.allclose(sharded, whole, rtol=1e-9, atol=1e-12)


def test_statistics_of_shards_are_averaged(data):
    model = fcnn.batch_norm(momentum=0.0)
    params, _ = model.init(fcnn.key(0), (28, 28, 1))
    target = np.zeros_like(data.inputs)
    f = fcnn.grad(model, fcnn.losses.mean_squared_error, shard_size=12)
    grads = f(params, data.inputs, target, fcnn.training())
    np.testing.assert_allclose(grads.mean.value, data.inputs.mean(), rtol=1e-5)


def test_shards_draw_masks_of_their_own():
    model, x = fcnn.dropout(0.5), np.ones((4, 100), np.float32)
    f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error, has_aux=True, shard_size=2)
    (_, y), _ = f((), x, x, fcnn.training(fcnn.key(0)))
    assert (y[:2] != y[2:]).any()


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_bad_shard_size_is_refused(size):
    with pytest.raises(ArgumentError, match="shard_size"):
        fcnn.value_and_grad(MODEL, softmax_cross_entropy, shard_size=size)


def test_two_threads_may_call_anything_at_any_time(data):
    expected = gradient_digest(data)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: gradient_digest(data), range(8)))
    assert set(found) == {expected}


def test_everything_a_worker_needs_pickles(data):
    parts = (MODEL, softmax_cross_entropy, SGD, fcnn.training(fcnn.key(0)), data[:2])
    assert pickle.loads(pickle.dumps(parts)) == parts
