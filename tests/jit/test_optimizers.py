"""`fcnn.jit` of a whole training step: counts and learning rates are arguments."""

import numpy as np
import pytest

import fcnn
from fcnn import losses, optim, tree
from fcnn.errors import ArgumentError, TraceError

MODEL = fcnn.serial(
    fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dropout(0.2), fcnn.dense(3),
)  # fmt: skip
PARAMS, _ = MODEL.init(fcnn.key(0), (6, 6, 2))
GRADIENT = fcnn.value_and_grad(MODEL, losses.softmax_cross_entropy, jit=False)
RATE = optim.warmup(3, optim.cosine(0.1, 20))
STEPS = 7


def step_of(optimizer):
    def step(params, state, x, labels, key):
        loss, grads = GRADIENT(params, x, labels, fcnn.training(key))
        params, state = optimizer.step(params, grads, state)
        return params, state, loss

    return step


def batch(i):
    rng = np.random.default_rng(i)
    return rng.random((4, 6, 6, 2), np.float32), rng.integers(3, size=4)


def run(step, state, params=PARAMS, steps=STEPS):
    """Return params, state and the losses after some steps, each with its own batch and key."""
    seen = []
    for i in range(steps):
        params, state, loss = step(params, state, *batch(i), fcnn.fold_in(fcnn.key(3), i))
        seen.append(loss)
    return params, state, seen


def chained(*transforms):
    return optim.descend(optim.chain(*transforms, optim.scale_by_learning_rate(RATE)))


ONCE = [
    optim.sgd(0.1),
    optim.sgd(RATE, momentum=0.9),
    optim.sgd(optim.step_decay(0.1, every=2, factor=0.5), momentum=0.9, nesterov=True),
    optim.adam(0.01),
    optim.adamw(RATE),
    optim.nadam(RATE),
    optim.amsgrad(0.01),
    optim.adamax(RATE),
    optim.params_ema(optim.adam(RATE), 0.9),
    optim.schedule_free_sgd(RATE),
    optim.skip_nonfinite(optim.sgd(RATE)),
    optim.lamb(RATE),
    chained(optim.ema(0.9), optim.scale_by_schedule(lambda step: 1 / (step + 1))),
    optim.lamb(RATE),
    chained(optim.add_penalty(optim.l2_penalty(0.1)), optim.scale_by_adam()),
    chained(optim.clip_by_global_norm(0.01), optim.scale_by_adam()),
    chained(optim.clip_by_global_norm(1e-5), optim.scale_by_adam()),
    chained(optim.clip_by_global_norm(1e9), optim.scale_by_adam(mask=optim.matrices)),
]


@pytest.mark.parametrize("optimizer", ONCE, ids=repr)
def test_a_step_is_recorded_once_and_has_the_same_bits(optimizer):
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    expected, found = run(step_of(optimizer), state), run(jitted, state)
    assert tree.digest(found) == tree.digest(expected)
    assert found[1] == expected[1]
    (slot,) = jitted._slots.values()
    assert slot.plan is not None
    assert slot.recordings == 1


def test_matrices_are_made_orthogonal_in_a_replay():
    optimizer = optim.muon(RATE)
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    assert tree.digest(run(jitted, state)) == tree.digest(run(step_of(optimizer), state))
    assert all(slot.recordings == 1 for slot in jitted._slots.values())


def test_params_of_float64_and_leaves_without_axes():
    optimizer, params = optim.adamw(RATE), {"a": np.ones(()), "b": np.ones((2, 3))}

    def step(params, grads, state):
        return optimizer.step(params, grads, state)

    jitted, states = fcnn.jit(step), [(params, optimizer.init(params))] * 2
    for i in range(STEPS):
        rng = np.random.default_rng(i)
        grads = {"a": np.asarray(rng.random()), "b": rng.random((2, 3))}
        states = [f(p, grads, s) for f, (p, s) in zip((step, jitted), states, strict=True)]
        assert tree.digest(states[0]) == tree.digest(states[1])
    assert len(jitted._slots) == 1


def test_another_path_of_the_values_is_recorded_when_it_is_the_usual_one():
    optimizer = optim.radam(RATE)  # rectified from the sixth step on
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    expected, found = run(step_of(optimizer), state, steps=12), run(jitted, state, steps=12)
    assert tree.digest(found) == tree.digest(expected)
    (slot,) = jitted._slots.values()
    assert slot.recordings == 2


def test_a_count_that_steers_python_is_recorded_for_each_of_its_values():
    optimizer = optim.accumulate(optim.adam(RATE), 3)
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    expected, found = run(step_of(optimizer), state, steps=9), run(jitted, state, steps=9)
    assert tree.digest(found) == tree.digest(expected)
    assert [slot.recordings for slot in jitted._slots.values()] == [1, 1, 1]


def test_the_state_keeps_python_numbers():
    optimizer = optim.adam(RATE)
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    _, state, _ = run(jitted, state, steps=4)
    adam, rate = state
    assert type(adam.count) is type(rate.count) is int
    assert (adam.count, rate.count) == (4, 4)
    assert type(rate.learning_rate) is float
    assert optim.current_learning_rate(state) == RATE(3)


def test_a_wrong_rate_raises_its_error_in_a_replay():
    optimizer = optim.sgd(lambda step: 0.1 if step < 5 else -1.0)
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    with pytest.raises(ArgumentError, match=r"got -1\.0 from the schedule at step 5"):
        run(jitted, state)


@tree.node
class Counted:
    count: int = tree.number()
    every: int
    sum: float = tree.number()


def test_numbers_of_ones_own_state_are_arguments():
    def f(state, x):
        count = state.count + 1
        by = 0.9**count - count / 3
        return Counted(count, state.every, state.sum + by), x * by + count

    jitted, state = fcnn.jit(f), Counted(0, 1, 0.5)
    for i in range(5):
        x = np.random.default_rng(i).random(5, np.float32)
        expected, (state, y) = f(state, x), jitted(state, x)
        assert state == expected[0]
        assert type(state.sum) is float
        np.testing.assert_array_equal(y, expected[1])
        assert y.dtype == expected[1].dtype
    assert len(jitted._slots) == 1
    names = {call.name for call in jitted.plan(Counted(0, 1, 0.5), x).calls}
    assert "pow" in names  # Python's: NumPy's may differ in the last bit
    jitted(Counted(0, 2, 0.5), x)
    assert len(jitted._slots) == 2


def test_a_number_that_steers_python_is_refused_with_its_line():
    def f(state, x):
        return x * 2 if state.count > 3 else x

    with pytest.raises(TraceError, match=r"bool\(\).*test_optimizers\.py:") as caught:
        fcnn.jit(f)(Counted(0, 1, 0.5), np.ones(3))
    assert f"test_optimizers.py:{f.__code__.co_firstlineno + 1}" in str(caught.value)


def test_a_plan_names_the_schedule_and_its_line():
    optimizer = optim.adam(RATE)
    state = optimizer.init(PARAMS)
    report = fcnn.jit(step_of(optimizer)).plan(PARAMS, state, *batch(0), fcnn.key(0))
    names = {call.name: call.place for call in report.calls}
    assert names["rate_at"].startswith("fcnn/optim/transforms.py:")
    assert names["corrections"].startswith("fcnn/optim/adam_scaling.py:")


def test_a_penalty_is_recorded():
    penalty = optim.l2_penalty(0.1)
    both = fcnn.jit(lambda params: (penalty.apply(params), penalty.vjp(params)[1](0.5)))
    for by in (1.0, 2.0, 3.0):
        params = tree.map(lambda p, by=by: p * by, PARAMS)
        assert tree.digest(both(params)) == tree.digest(
            (penalty.apply(params), penalty.vjp(params)[1](0.5))
        )
    (slot,) = both._slots.values()
    assert slot.plan is not None


def test_muon_is_recorded_for_each_order_of_its_weights_in_memory():
    optimizer = optim.muon(RATE)
    jitted, state = fcnn.jit(step_of(optimizer)), optimizer.init(PARAMS)
    expected, found = run(step_of(optimizer), state), run(jitted, state)
    assert tree.digest(found) == tree.digest(expected)
    assert all(slot.plan is not None for slot in jitted._slots.values())


def test_sharpness_aware_gradients_are_recorded():
    gradient = optim.sam(GRADIENT, rho=0.1)
    jitted = fcnn.jit(gradient)
    for i in range(4):
        given = PARAMS, *batch(i), fcnn.training(fcnn.key(i))
        assert tree.digest(jitted(*given)) == tree.digest(gradient(*given))
    (slot,) = jitted._slots.values()
    assert slot.plan is not None
