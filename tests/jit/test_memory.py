"""What is held while a step runs, is recorded, and is replayed."""

import functools
import gc
import itertools
import tracemalloc
import weakref

import numpy as np
import pytest

import fcnn
from fcnn import losses, tree
from fcnn._jit import _passes, _plan, _program
from fcnn._layer import core, for_last_call
from fcnn._ops import blocks, memory, values

MIB = 1 << 20


@fcnn.layer
def keeping(held, seen):
    """Keep an array in the pullback, and note how many are held when it is called."""

    def init(key, shape):
        return np.ones(shape, np.float32), shape

    def apply(params, x, ctx=fcnn.EVAL):
        return params * x

    def vjp(params, x, ctx=fcnn.EVAL):
        kept = np.array(x)
        held.append(weakref.ref(kept))

        def pullback(dy):
            seen.append(sum(each() is not None for each in held))
            return (kept * dy).sum(axis=0), params * dy

        return params * x, pullback

    return init, apply, vjp


@pytest.fixture
def chain():
    held, seen = [], []
    layers, tied = [keeping(held, seen) for _ in range(4)], fcnn.shared(fcnn.dense(3))
    inner = fcnn.serial(tied, layers[1], tied, layers[2])  # runs by itself, for its shared params
    model = fcnn.serial(layers[0], inner, layers[3])
    params, _ = model.init(fcnn.key(0), (3,))
    return model, params, held, seen


def test_a_gradient_gives_up_what_a_layer_keeps_as_soon_as_it_was_used(chain):
    model, params, _, seen = chain
    x = np.ones((2, 3), np.float32)
    fcnn.value_and_grad(model, losses.mean_squared_error, jit=False)(params, x, x)
    assert seen == [4, 3, 2, 1]


def test_a_pullback_may_be_called_again_until_its_last_call(chain):
    model, params, held, seen = chain
    x = np.ones((2, 3), np.float32)
    y, pull = core(model.vjp)(params, x)
    first, second = pull(y), pull(y)
    assert seen == [4] * 8
    last = for_last_call(pull)(y)
    assert seen[8:] == [4, 3, 2, 1]
    assert not any(each() is not None for each in held)
    assert tree.digest(first) == tree.digest(second) == tree.digest(last)


def test_a_last_call_checks_the_shape_of_dy(chain):
    model, params, _, _ = chain
    y, pull = core(model.vjp)(params, np.ones((2, 3), np.float32))
    with pytest.raises(fcnn.errors.ShapeError, match="expected dy of y's shape"):
        for_last_call(pull)(y[:1])


def test_batch_norm_keeps_its_output_for_an_activation_alone():
    for ctx in (fcnn.EVAL, fcnn.training()):
        norm = fcnn.batch_norm()
        params, _ = norm.init(fcnn.key(0), (4, 4, 2))
        y, pull = core(norm.vjp)(params, np.ones((2, 4, 4, 2), np.float32), ctx)
        base = y
        while isinstance(base.base, np.ndarray):
            base = base.base
        alive = weakref.ref(base)
        del y, base
        assert alive() is None
        assert pull(np.ones((2, 4, 4, 2), np.float32))


def peak_of(function):
    """Return the most memory that is allocated while a function runs."""
    tracemalloc.start()
    try:
        kept = function()
        return tracemalloc.get_traced_memory()[1], kept
    finally:
        tracemalloc.stop()


def test_a_recording_does_not_keep_temporary_arrays():
    def f(x):
        for i in range(40):
            x = np.tanh(x) * (i + 1)
        return x.sum()

    x = np.ones(MIB // 4, np.float32)
    jitted = fcnn.jit(f)
    assert peak_of(lambda: f(x))[0] < 4 * MIB
    assert peak_of(lambda: jitted(x))[0] < 7 * MIB  # the argument's copy, the arena


def test_a_large_arena_is_given_up_while_the_function_runs_to_be_compared(monkeypatch):
    monkeypatch.setattr(_plan, "LARGE", 1)
    free = []

    def f(x):
        for slot in jitted._slots.values():
            if slot.plan is not None:
                free.append(len(slot.plan._free))
        return np.tanh(x) * 2

    jitted = fcnn.jit(f)
    for i in range(_plan.COMPARED + 3):
        jitted(np.full(5, i, np.float32))
        (slot,) = jitted._slots.values()
        is_bound = not 1 <= i <= _plan.COMPARED
        assert len(slot.plan._free) == slot.plan._bound == is_bound
    assert free == [0] * _plan.COMPARED


def test_an_arena_is_freed_with_its_replay_and_not_by_a_collection(monkeypatch):
    monkeypatch.setattr(_plan, "LARGE", 1)
    jitted, x = fcnn.jit(lambda x: (np.tanh(x) * 2).sum()), np.ones(MIB, np.float32)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        jitted(x)
        (slot,) = jitted._slots.values()
        held = tracemalloc.get_traced_memory()[0]
        assert held > 4 * MIB
        slot.plan.release()
        assert held - tracemalloc.get_traced_memory()[0] > 4 * MIB
    finally:
        tracemalloc.stop()
        gc.enable()


def branching(x):
    return np.tanh(x) * (2 if values.decide(x[0] > 0) else 3)


# What a training step may hold: shapes alone give the numbers of bytes.

IMAGES, SIZE, FILTERS, BLOCKS = 32, 32, 16, 3
MAP = IMAGES * SIZE * SIZE * FILTERS * 4
"""Bytes of the output of a layer."""
KEPT = IMAGES * SIZE * SIZE * 3 * 4 + (2 + 3 * BLOCKS) * MAP
"""The images; of the stem and of each block the outputs of convolutions; what is between the stem,
the blocks and the pool."""
PASSING = 5 * MAP + blocks.BUDGET
"""Between a block's layers: its dy, that of the activation and of the second convolution, the input
of the second convolution, made anew, and its gradient; and the kernels' blocks."""


def residual_network():
    """Return a network whose layers are all of one size, with params and a batch."""
    conv = fcnn.conv2d(FILTERS, 3, padding=1, bias=None)
    block = fcnn.residual(conv, fcnn.batch_norm(), fcnn.relu, conv, fcnn.batch_norm()), fcnn.relu
    model = fcnn.serial(
        *(conv, fcnn.batch_norm(), fcnn.relu, *(block * BLOCKS)),
        *(fcnn.global_avg_pool(), fcnn.dense(10)),
    )
    params, _ = model.init(fcnn.key(0), (SIZE, SIZE, 3))
    x = np.random.default_rng(0).random((IMAGES, SIZE, SIZE, 3), np.float32)
    return model, params, x, np.arange(IMAGES) % 10


def test_a_step_holds_what_its_pullbacks_read_and_little_more():
    model, params, x, target = residual_network()
    f = fcnn.value_and_grad(model, losses.softmax_cross_entropy, jit=False)
    f(params, x, target, fcnn.training())
    peak, _ = peak_of(lambda: f(params, x, target, fcnn.training()))
    assert KEPT < peak < KEPT + PASSING + MIB


def most_alive(nodes, away, ends):
    """Return the bytes of temporary arrays that are alive at once, at the worst call."""
    first, last = dict.fromkeys(ends - away, 0), dict.fromkeys(ends - away, len(nodes))
    for at, node in enumerate(nodes):
        for owner in (node.reads | node.writes) - away:
            first.setdefault(owner, at)
            last[owner] = max(at, last.get(owner, 0))
    change = [0] * (len(nodes) + 2)
    for owner, at in first.items():
        change[at] += _passes.sizes(owner)
        change[last[owner] + 1] -= _passes.sizes(owner)
    return max(itertools.accumulate(change))


def test_a_replayed_step_holds_little_more_than_is_alive_at_once(monkeypatch):
    planned, arena_of = [], _passes.arena_of

    def spy(*args):
        planned.append((most_alive(*args), arena_of(*args)))
        return planned[-1][1]

    monkeypatch.setattr(_program, "arena_of", spy)
    model, params, x, target = residual_network()
    f = fcnn.value_and_grad(model, losses.softmax_cross_entropy, jit=True)
    run = functools.partial(f, params, x, target, fcnn.training())
    plain, recorded, replayed = [peak_of(run)[0] for _ in range(3)]
    assert plain < KEPT + PASSING + MIB
    assert recorded < KEPT + PASSING + 5 * MIB  # what describes calls; constants
    assert replayed < MIB
    ((alive, arena),) = planned
    assert alive <= arena.length < 1.05 * alive
    assert alive < KEPT + 3 * MAP + blocks.BUDGET


def test_constants_of_the_same_bytes_are_one():
    def f(x):
        for _ in range(20):
            x = x + memory.ones(x.shape, x.dtype)
        return x

    jitted, x = fcnn.jit(f), np.zeros(1000, np.float32)
    jitted(x)
    (slot,) = jitted._slots.values()
    assert 4000 <= slot.plan.program.constant_bytes < 8000


def test_a_plan_keeps_neither_arguments_nor_copies_of_them():
    jitted, x = fcnn.jit(np.sum), np.ones(MIB, np.float32)
    tracemalloc.start()
    try:
        assert jitted(x) == MIB
        assert tracemalloc.get_traced_memory()[0] < MIB
    finally:
        tracemalloc.stop()
    alive = weakref.ref(x)
    x = np.zeros(MIB, np.float32)
    assert alive() is None
    (slot,) = jitted._slots.values()
    assert slot.plan.has_unseen
    assert jitted(x) == jitted(x) == 0
    assert not slot.plan.has_unseen
