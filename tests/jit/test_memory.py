"""What is held while a step runs, is recorded, and is replayed."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import fcnn
from fcnn import losses, tree
from fcnn._jit import _plan
from fcnn._layer import core, for_last_call
from fcnn._ops import memory

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


def test_constants_of_the_same_bytes_are_one():
    def f(x):
        for _ in range(20):
            x = x + memory.ones(x.shape, x.dtype)
        return x

    jitted, x = fcnn.jit(f), np.zeros(1000, np.float32)
    jitted(x)
    (slot,) = jitted._slots.values()
    assert 4000 <= slot.plan.program.constant_bytes < 8000
