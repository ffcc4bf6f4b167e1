"""Who computes the shards, and how a batch is cut into them."""

import itertools
import sys
import threading
import time

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.data import Dataset
from fcnn.losses import softmax_cross_entropy
from fcnn.train._executors import TRIES, fastest

KEY = fcnn.key(3)


class Clock:
    """A clock that only steps move on."""

    now = 0.0

    def __call__(self):
        return self.now


@attrs.frozen
class Place:
    """What `fastest` needs of a state."""

    number: int = 0
    seen: int = 0


def choose(seconds, steps, batches=(10, 10, 10), first=1.0):
    """Return who made each step; ``seconds`` says how long each executor takes an example."""
    clock, made = Clock(), []

    def run_from(state, executor):
        for i in itertools.count():
            size = batches[state.number % len(batches)]
            clock.now += seconds[executor] * size * (first if i == 0 else 1)
            made.append(executor)
            state = Place(state.number + 1, (state.seen + size) % sum(batches))
            yield state

    run = fastest(run_from, Place(), tuple(seconds), sum(batches), clock)
    places = [place.number for place in itertools.islice(run, steps)]
    assert places == list(range(1, steps + 1)), "each goes on where the one before stopped"
    return made


@pytest.mark.parametrize("order", list(itertools.permutations(["slow", "middling", "fast"])))
def test_the_fastest_executor_is_chosen(order):
    speed = {"slow": 3.0, "middling": 2.0, "fast": 1.0}
    made = choose({name: speed[name] for name in order}, 20)
    assert made == [name for name in order for _ in range(TRIES)] + ["fast"] * (20 - 3 * TRIES)


def test_the_least_time_counts_since_the_first_step_warms_up():
    assert (
        choose({"warm at once": 2.0, "slow to start": 1.0}, 20, first=1000)[-1] == "slow to start"
    )
    assert (
        choose({"slow to start": 1.0, "warm at once": 2.0}, 20, first=1000)[-1] == "slow to start"
    )


def test_a_small_batch_does_not_make_an_executor_look_fast():
    # Of six examples; the slow one has them among its tries, the fast one has not.
    assert (
        choose({"slow": 2.0, "fast": 1.0}, 20, batches=(10, 10, 1, 10, 10, 10, 10, 10))[-1]
        == "fast"
    )


@pytest.mark.parametrize("ratio", [1.2, 1.4, 1.6, 9.0])
@pytest.mark.parametrize("is_locked", [True, False])
def test_without_pythons_lock_threads_are_left_for_what_is_faster_by_half(
    monkeypatch, is_locked, ratio
):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: is_locked, raising=False)
    threads_stay = not is_locked and ratio < 1.5
    for faster in ("threads", "this thread"):
        seconds = {"threads": ratio, "this thread": ratio, faster: 1.0}
        expected = "threads" if threads_stay else faster
        assert choose(seconds, 20)[2 * TRIES :] == [expected] * (20 - 2 * TRIES)


def test_one_candidate_is_not_tried():
    assert choose({"alone": 1.0}, 3) == ["alone"] * 3


@pytest.mark.parametrize("slow", ["this thread", "the pool"])
def test_fit_leaves_the_slow_executor(slow):
    data, places = Dataset(np.ones((640, 2), np.float32), np.zeros(640, np.int64)), []

    @fcnn.layer
    def spy():
        def init(key, shape):
            return (), shape

        def vjp(params, x, ctx=fcnn.EVAL):
            alone = threading.current_thread() is threading.main_thread()
            places.append("this thread" if alone else "the pool")
            if places[-1] == slow:
                time.sleep(0.03)
            return x, lambda dy: ((), dy)

        return init, lambda params, x, ctx=fcnn.EVAL: x, vjp

    fcnn.fit(
        fcnn.serial(spy(), fcnn.dense(2)), softmax_cross_entropy, optim.sgd(0.1), data,
        key=KEY, epochs=1, log=None, jit=False,
    )  # fmt: skip
    tried, rest = places[: 4 * TRIES], places[4 * TRIES :]  # of two shards a step
    assert set(tried) == {"this thread", "the pool"}
    assert len(rest) == 24
    # This thread works for the pool too, while another sleeps or computes.
    assert ("the pool" in rest) == (slow == "this thread")


def sizes(statistics, n, batch_size, **options):
    """Return how many examples each shard of an epoch has, batch by batch."""
    seen = []

    @fcnn.layer
    def spy():
        def init(key, shape):
            return (), shape

        def vjp(params, x, ctx=fcnn.EVAL):
            seen.append(len(x))
            return x, lambda dy: ((), dy)

        return init, lambda params, x, ctx=fcnn.EVAL: x, vjp

    data = Dataset(np.random.default_rng(0).random((n, 2), np.float32), np.arange(n) % 3)
    middle = [fcnn.batch_norm()] if statistics else []
    model = fcnn.serial(spy(), *middle, fcnn.dense(3))
    with fcnn.parallel.threads(1) as pool:  # in the order of the shards
        fcnn.fit(
            model, softmax_cross_entropy, optim.sgd(0.1), data,
            key=KEY, epochs=1, batch_size=batch_size, log=None, executor=pool, jit=False, **options,
        )  # fmt: skip
    return seen


@pytest.mark.parametrize(
    ("n", "batch", "expected"),
    [
        (32, 32, [32]),
        (49, 49, [49]),
        (63, 63, [63]),
        (64, 64, [32, 32]),
        (101, 101, [34, 34, 33]),
        (128, 128, [32, 32, 32, 32]),
        (20, 32, [20]),
        (64 + 37, 64, [32, 32, 37]),
    ],
)
def test_batch_norm_sees_32_examples_where_the_batch_has_them(n, batch, expected):
    assert sizes(True, n, batch) == expected


def test_without_statistics_shards_are_of_16_examples_or_more():
    assert sizes(False, 32, 32) == [16, 16]
    assert sizes(False, 49, 49) == [17, 16, 16]
    assert sizes(False, 31, 32) == [31]


def test_a_given_shard_size_is_the_largest_and_the_remainder_is_spread():
    assert sizes(True, 17, 17, shard_size=16) == [9, 8]
    assert sizes(True, 49, 49, shard_size=16) == [13, 12, 12, 12]
    assert sizes(True, 40, 40, shard_size=None) == [40]


def test_the_bits_are_those_of_any_executor(model, data):
    digests = set()
    for make in (lambda: None, lambda: fcnn.parallel.threads(3)):
        executor = make()
        run = fcnn.fit(
            model, softmax_cross_entropy, optim.adam(0.01), data,
            key=KEY, epochs=2, batch_size=64, log=None, executor=executor,
        )  # fmt: skip
        digests.add(tree.digest(run.params))
    assert len(digests) == 1
