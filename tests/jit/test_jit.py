"""`fcnn.jit`: what is recorded again, what is refused, what is the caller's own."""

import functools
import pickle
import re
import threading

import numpy as np
import pytest

import fcnn
from fcnn import losses
from fcnn._jit import _function
from fcnn._jit._plan import COMPARED
from fcnn._jit._results import differences
from fcnn._ops import values
from fcnn.errors import ArgumentError, LabelError, ShapeError, TraceError

MODEL = fcnn.serial(
    fcnn.conv2d(3, 3), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2), fcnn.dropout(0.3),
    fcnn.flatten, fcnn.dense(3),
)  # fmt: skip
PARAMS, _ = MODEL.init(fcnn.key(0), (8, 8, 2))
STEP = fcnn.value_and_grad(MODEL, losses.softmax_cross_entropy)


def drawn(i, *shape, dtype=np.float32):
    return np.random.default_rng(i).standard_normal(shape).astype(dtype)


def plan_of(jitted):
    """The plan of a function that was used last."""
    (slot,) = jitted._slots.values()
    return slot.plan


def same(one, other):
    """Assert that two results are the same, to the bit and in structure, type and strides."""
    assert not differences(one, other)


def batch(i, n=4, dtype=np.float32):
    return drawn(i, n, 8, 8, 2, dtype=dtype), np.random.default_rng(i).integers(0, 3, n)


def test_each_key_gives_its_own_draws():
    jitted = fcnn.jit(STEP)
    x, labels = batch(0)
    values = set()
    for i in range(4):
        ctx = fcnn.training(fcnn.fold_in(fcnn.key(i), 7))
        expected, got = STEP(PARAMS, x, labels, ctx), jitted(PARAMS, x, labels, ctx)
        same(expected, got)
        values.add(got[0])
    assert len(values) == 4
    assert len(jitted._slots) == 1


def test_split_keys_and_every_draw():
    def f(key, x):
        one, two = fcnn.split(key)
        y = x + fcnn.prng.normal(one, x.shape) * fcnn.prng.uniform(key=two, shape=x.shape)
        return y[fcnn.prng.permutation(fcnn.fold_in(two, 3), len(x))]

    jitted, x = fcnn.jit(f), drawn(0, 5, 2)
    for i in range(3):
        same(f(fcnn.key(i), x), jitted(fcnn.key(i), x))
    same(f(fcnn.split(fcnn.key(1))[1], x), jitted(fcnn.split(fcnn.key(1))[1], x))
    assert len(jitted._slots) == 1


def test_an_axis_of_one_element_may_have_any_stride():
    jitted = fcnn.jit(MODEL.apply)
    for i in range(3):
        x = drawn(i, 8, 8, 2)[None]  # has a stride of 0
        same(MODEL.apply(PARAMS, x), jitted(PARAMS, x))
    assert plan_of(jitted) is not None


def test_other_shapes_dtypes_and_contexts_are_recorded_again():
    jitted = fcnn.jit(MODEL.apply)
    double = fcnn.tree.astype(PARAMS, np.float64)
    for i in range(3):
        for params, x, ctx in [
            (PARAMS, drawn(i, 2, 8, 8, 2), fcnn.EVAL),
            (PARAMS, drawn(i, 5, 8, 8, 2), fcnn.EVAL),
            (double, drawn(i, 2, 8, 8, 2, dtype=np.float64), fcnn.EVAL),
            (PARAMS, drawn(i, 2, 8, 8, 2), fcnn.training(fcnn.key(i))),
            (PARAMS, np.asfortranarray(drawn(i, 2, 8, 8, 2)), fcnn.EVAL),
        ]:
            same(MODEL.apply(params, x, ctx), jitted(params, x, ctx))
    assert len(jitted._slots) == 5


def test_an_array_with_gaps_runs_as_it_is():
    jitted = fcnn.jit(MODEL.apply)
    for i in range(2):
        x = drawn(i, 4, 8, 8, 4)[::2, :, :, 1::2]
        same(MODEL.apply(PARAMS, x), jitted(PARAMS, x))
    assert plan_of(jitted) is None


def test_results_are_the_callers_own():
    jitted = fcnn.jit(lambda x, y: (x + y, x * 2, np.zeros(3), x))
    x, y = drawn(0, 4), drawn(1, 4)
    first = jitted(x, y)
    kept = [np.array(each) for each in first]
    for i in range(3):
        again = jitted(drawn(i + 2, 4), y)
        assert not any(np.shares_memory(a, b) for a, b in zip(first, again, strict=True))
        again[0][:] = 7
        again[2][:] = 7
    np.testing.assert_equal(first, kept)
    assert jitted(x, y)[2].tolist() == [0, 0, 0]


def test_large_results_and_their_views_are_the_callers_own():
    def f(x):
        y = x * 2
        return y, y[10:, ::2].T, y.sum(), float_of(y)

    def float_of(y):
        return y[0] @ y[1]

    jitted = fcnn.jit(f)
    results = [jitted(drawn(i, 100, 100)) for i in range(3)]
    for i, result in enumerate(results):
        same(f(drawn(i, 100, 100)), result)
    assert np.shares_memory(results[2][0], results[2][1])


def test_arguments_are_not_changed():
    x, labels = batch(0)
    before = x.copy(), labels.copy()
    jitted = fcnn.jit(STEP)
    for _ in range(3):
        jitted(PARAMS, x, labels, fcnn.training(fcnn.key(0)))
    np.testing.assert_equal((x, labels), before)


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (lambda x: x * 2 if x.sum() > 0 else x, r"bool\(\)"),
        (lambda x: x * float(x[0]), r"float\(\)"),
        (lambda x: x[: int(x[0] ** 2)], r"int\(\)"),
        (lambda x: x * x.max().item(), r"item\(\)"),
        (lambda x: x * np.array_equal(x, x), r"array_equal\(\)"),
        (lambda x: x + np.asarray(x.tolist()), r"tolist\(\)"),
    ],
)
def test_what_depends_on_values_is_refused_with_its_line(f, what):
    jitted = fcnn.jit(f)
    with pytest.raises(TraceError, match=what) as caught:
        jitted(drawn(0, 3))
    assert f"test_jit.py:{f.__code__.co_firstlineno}" in str(caught.value)


def test_labels_out_of_range_raise_on_every_call():
    jitted = fcnn.jit(STEP)
    x, labels = batch(0)
    for _ in range(3):
        jitted(PARAMS, x, labels)
    with pytest.raises(LabelError, match="got 0 to 3"):
        jitted(PARAMS, x, np.array([0, 1, 2, 3]))
    with pytest.raises(ShapeError):
        jitted(PARAMS, x[:, :2], labels)
    with pytest.raises(LabelError):
        fcnn.jit(STEP)(PARAMS, x, np.array([0, 1, 2, -1]))


def test_other_paths_run_the_function_and_become_plans(monkeypatch):
    """NaN takes another path through Winograd's kernel than finite numbers."""
    model = fcnn.conv2d(16, 3)
    params, _ = model.init(fcnn.key(0), (12, 12, 16))
    jitted = fcnn.jit(model.apply)
    finite, broken = drawn(0, 16, 12, 12, 16), drawn(1, 16, 12, 12, 16)
    broken[0, 3, 4, 5] = np.nan
    for _ in range(2):
        same(model.apply(params, finite), jitted(params, finite))
    first = plan_of(jitted)
    same(model.apply(params, broken), jitted(params, broken))
    same(model.apply(params, finite), jitted(params, finite))
    assert plan_of(jitted) is first
    for _ in range(_function.DEVIATIONS):
        same(model.apply(params, broken), jitted(params, broken))
    second = plan_of(jitted)
    assert second is not first
    for x, plan in [(broken, second), (finite, first), (broken, second)] * 2:
        same(model.apply(params, x), jitted(params, x))
        assert plan_of(jitted) is plan


def decided(x):
    """Take another path for each whole number between 0 and 9."""
    for level in range(9):
        if values.decide((x <= level).all()):
            return x + level
    return x


def test_paths_that_are_rare_are_not_recorded():
    jitted = fcnn.jit(decided)
    for i in range(5 * _function.FORGIVEN * _function.DEVIATIONS):
        x = np.full(3, float((i + 1) % (_function.FORGIVEN + 2) == 0))
        same(decided(x), jitted(x))
    (slot,) = jitted._slots.values()
    assert slot.recordings == 1


def test_a_function_of_many_paths_runs_unrecorded_in_the_end():
    jitted = fcnn.jit(decided)
    numbers = 0, 1, 2, 3, 4, 5, 6, 7, 8
    for i in range(9 * 60):
        x = np.full(3, float(numbers[i % 9]))
        same(decided(x), jitted(x))
    (slot,) = jitted._slots.values()
    assert slot.recordings > _function.RECORDINGS
    assert slot.is_given_up
    assert slot.plan is None
    same(decided(np.full(3, 4.0)), jitted(np.full(3, 4.0)))


def test_a_usual_path_is_replayed_beside_many_others():
    """Every third call takes one of eight other paths."""
    jitted = fcnn.jit(decided)
    for i in range(3 * 8 * 60):
        x = np.full(3, 0.0 if i % 3 else float(1 + i // 3 % 8))
        same(decided(x), jitted(x))
    (slot,) = jitted._slots.values()
    assert slot.recordings == _function.RECORDINGS
    assert slot.plans


@pytest.mark.parametrize(("layer", "shape"), [
    (fcnn.conv2d(16, 3, bias=False), (16, 12, 12, 16)),
    (fcnn.conv2d(16, 3, padding="same", bias=False), (16, 12, 12, 16)),
    (fcnn.conv2d(32, 3, bias=False), (2, 24, 24, 32)),
    (fcnn.conv3d(16, 3, bias=False), (8, 6, 12, 12, 8)),
])  # fmt: skip
@pytest.mark.parametrize("recorded_blank", [False, True])
def test_windows_of_zeros_alone_are_no_other_path(layer, shape, recorded_blank):
    """Winograd's kernels set such an output to exactly 0, in a replay as well."""
    params, _ = layer.init(fcnn.key(0), shape[1:])
    x = drawn(0, *shape)
    blank = x.copy()
    blank[(slice(None),) * (x.ndim - 3) + (slice(2, 9),)] = 0  # rows
    jitted = fcnn.jit(layer.apply)
    for each in (blank, x, blank, x) if recorded_blank else (x, blank, x, blank):
        y = jitted(params, each)
        same(layer.apply(params, each), y)
        assert (y == 0).any() == (each is blank)
    (slot,) = jitted._slots.values()
    assert (slot.recordings, slot.deviations) == (1, 0)


def test_an_array_that_the_recorder_cannot_see_is_noticed():
    def f(x):
        made = np.empty(x.shape, x.dtype)
        made[...] = x
        return made * 2 + x

    jitted = fcnn.jit(f)
    same(f(drawn(0, 3)), jitted(drawn(0, 3)))
    with pytest.warns(UserWarning, match=r"add in .*test_jit.py.* array of empty in .*test_jit.py"):
        same(f(drawn(1, 3)), jitted(drawn(1, 3)))
    same(f(drawn(2, 3)), jitted(drawn(2, 3)))


def test_an_argument_is_compared_when_it_first_differs():
    def f(x, y):
        return x + np.array(y, copy=True)  # a plain array for a traced one

    jitted, y = fcnn.jit(f), drawn(9, 3)
    for i in range(4):
        same(f(drawn(i, 3), y), jitted(drawn(i, 3), y))
    with pytest.warns(UserWarning, match="runs unrecorded"):
        same(f(drawn(0, 3), y + 1), jitted(drawn(0, 3), y + 1))


def test_out_of_an_array_made_by_numpy_is_refused():
    with pytest.raises(TraceError, match=r"made by NumPy in .*test_jit.py"):
        fcnn.jit(lambda x: np.add(x, 1, out=np.empty(3)))(drawn(0, 3))


def test_a_layer_of_the_users_own():
    @fcnn.layer
    def soft_clip(limit):
        def init(key, shape):
            return (), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return limit * np.tanh(x / limit)

        def vjp(params, x, ctx=fcnn.EVAL):
            y = apply(params, x)
            slope = np.ones_like(y)
            slope -= (y / limit) ** 2
            slope[..., 0] = np.where(x[..., 0] > 100, 0, slope[..., 0])
            return y, lambda dy: ((), dy * slope)

        return init, apply, vjp

    model = fcnn.serial(fcnn.dense(4), soft_clip(2.0), fcnn.dense(3))
    params, _ = model.init(fcnn.key(0), (5,))
    step = fcnn.value_and_grad(model, losses.softmax_cross_entropy, has_aux=True)
    jitted = fcnn.jit(step)
    for i in range(3):
        x, labels = drawn(i, 6, 5), np.random.default_rng(i).integers(0, 3, 6)
        same(step(params, x, labels), jitted(params, x, labels))
    assert plan_of(jitted) is not None


def test_params_of_a_partial_are_constants():
    jitted = fcnn.jit(functools.partial(MODEL.apply, PARAMS))
    for i in range(3):
        x = drawn(i, 2, 8, 8, 2)
        same(MODEL.apply(PARAMS, x), jitted(x))
    of_both = fcnn.jit(MODEL.apply)
    of_both(PARAMS, drawn(0, 2, 8, 8, 2))
    assert len(plan_of(jitted).program.calls) < len(plan_of(of_both).program.calls)


def test_a_constant_is_what_it_was_when_it_was_recorded():
    shift = np.zeros(3)
    jitted = fcnn.jit(lambda x: x + shift)
    for i in range(COMPARED + 1):
        jitted(drawn(i, 3))
    shift[:] = 1
    x = drawn(9, 3)
    assert np.array_equal(jitted(x), x.astype(float))


@pytest.mark.parametrize("replays", [1, COMPARED - 1, 2 * COMPARED - 1])
def test_a_constant_that_changes_is_noticed(replays):
    shift = np.zeros(3)
    jitted = fcnn.jit(lambda x: x + shift)
    for i in range(replays + 1):
        jitted(drawn(i, 3))
    shift[:] = 1
    x = drawn(9, 3)
    with pytest.warns(UserWarning, match="has changed"):
        assert np.array_equal(jitted(x), x.astype(float) + 1)


def test_a_result_that_is_the_same_by_chance_is_compared_again():
    jitted = fcnn.jit(lambda x: bool(np.asarray(x).sum() > 0))  # the recorder does not see it
    assert jitted(np.array([1.0]))
    assert jitted(np.array([2.0]))
    with pytest.warns(UserWarning, match="runs unrecorded"):
        assert not jitted(np.array([-1.0]))


def test_threads_have_arenas_of_their_own():
    jitted, failed = fcnn.jit(STEP), []
    jitted(PARAMS, *batch(0), fcnn.training(fcnn.key(0)))

    def run(start):
        for i in range(start, start + 10):
            ctx = fcnn.training(fcnn.key(i))
            got, expected = (f(PARAMS, *batch(i), ctx) for f in (jitted, STEP))
            try:
                same(expected, got)
            except AssertionError:
                failed.append(i)

    threads = [threading.Thread(target=run, args=(10 * i,)) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed


def test_the_number_of_plans_and_their_memory_are_bounded(monkeypatch):
    jitted = fcnn.jit(lambda x: (x * 2 + 1).sum(axis=0) @ x.T)
    for n in range(1, 30):
        jitted(np.ones((n, 3), np.float32))
    assert len(jitted._slots) == _function.PLANS
    monkeypatch.setattr(_function, "BYTES", 10_000)
    for n in range(100, 110):
        jitted(np.ones((n, 3), np.float32))
    held = [slot.plan.bytes for slot in jitted._slots.values() if slot.plan]
    assert sum(held) <= 10_000


def test_numbers_and_functions_are_part_of_the_signature():
    def f(x, by, how=np.tanh):
        return how(x) * by

    jitted = fcnn.jit(f)
    for by in (2, 3.0, True):
        for how in (np.tanh, np.exp):
            for i in range(2):
                same(f(drawn(i, 3), by, how=how), jitted(drawn(i, 3), by, how=how))
    assert len(jitted._slots) == 6
    for i in range(3):
        same(f(drawn(i, 3), np.float64(i)), jitted(drawn(i, 3), np.float64(i)))
    assert len(jitted._slots) == 7


def test_a_function_within_another_is_recorded_with_it():
    inner = fcnn.jit(lambda x: x * 2)
    outer = fcnn.jit(lambda x: inner(x) + 1)
    for i in range(3):
        same(drawn(i, 3) * 2 + 1, outer(drawn(i, 3)))
    assert [call.name for call in plan_of(outer).program.calls] == ["multiply", "add"]


def test_a_plan_prints_where_the_time_goes():
    jitted = fcnn.jit(MODEL.apply)
    report = jitted.plan(PARAMS, drawn(0, 2, 8, 8, 2))
    text = str(report)
    assert len(report.calls) == len(report.times)
    assert f"{len(report.calls)} calls" in text
    assert "matmul" in text
    assert "fcnn/_ops/" in text
    assert all(spent > 0 for spent in report.times)


def test_a_plan_of_other_arguments_is_refused():
    jitted, x = fcnn.jit(lambda x: x[x > 0].sum()), np.array([1.0, -1.0, 2.0])
    assert len(jitted.plan(x).calls) == 3
    with pytest.raises(TraceError, match="values take the path"):
        jitted.plan(-x)
    with pytest.raises(TraceError, match="array with gaps"):
        jitted.plan(np.ones(6)[::2])
    jitted = fcnn.jit(lambda x: np.asarray(x) * 2)
    jitted(x)
    with pytest.warns(UserWarning, match="runs unrecorded"):
        jitted(-x)
    with pytest.raises(TraceError, match="runs unrecorded"):
        jitted.plan(x)


def test_doors():
    with pytest.raises(ArgumentError, match="expected a function"):
        fcnn.jit(3)
    with pytest.raises(ArgumentError, match=r"expected trees of arrays.*got set"):
        fcnn.jit(lambda x, names: x)(drawn(0, 3), {"a"})
    jitted = fcnn.jit(MODEL.apply)
    assert repr(jitted).startswith("jit(")
    again = pickle.loads(pickle.dumps(fcnn.jit(np.tanh)))
    assert again(np.zeros(3)).tolist() == [0, 0, 0]


def test_python_numbers_of_losses_keep_the_precision_of_arrays():
    """A sum of weights is a Python float to the function, and must not widen float32."""
    loss = losses.cross_entropy(class_weights=[1.0, 2.0, 0.5], ignore_index=9)
    step = fcnn.value_and_grad(MODEL, loss)
    jitted = fcnn.jit(step)
    for i in range(3):
        x, labels = batch(i)
        labels[i] = 9
        same(step(PARAMS, x, labels), jitted(PARAMS, x, labels))
    assert type(jitted(PARAMS, *batch(0))[0]) is float
    assert plan_of(jitted) is not None


def test_an_array_that_its_caller_writes_to_is_compared_like_another():
    jitted, x = fcnn.jit(lambda x: np.asarray(x) * 2), drawn(0, 3)  # a plain array for a traced one
    jitted(x)
    x[:] = 7
    with pytest.warns(UserWarning, match="runs unrecorded"):
        same(x * 2, jitted(x))


def test_the_sign_of_zero_counts_and_nan_is_one_number():
    jitted, x = fcnn.jit(lambda x, by: x * by), np.ones(2)
    for by in (-0.0, 0.0, np.nan, float("nan")):
        same(x * by, jitted(x, by))
    assert len(jitted._slots) == 3


def test_a_dict_is_given_in_its_order():
    jitted, a, b = fcnn.jit(lambda given: list(given.values())), drawn(0, 2), drawn(1, 2)
    for given in ({"b": b, "a": a}, {"a": a, "b": b}, {"a": b, "b": a}, {"b": a, "a": a}):
        same(list(given.values()), jitted(given))


@pytest.mark.parametrize(
    "function",
    [
        np.linalg.svd,
        np.linalg.slogdet,
        lambda x: x.reshape(2, 8, order="F"),
        lambda x: x.T.reshape(-1, order="A"),
        lambda x: np.mean(x, axis=1, where=x > -9),
    ],
)
def test_calls_that_are_recorded_as_one(function):
    jitted = fcnn.jit(function)
    for i in range(3):
        same(function(drawn(i, 4, 4)), jitted(drawn(i, 4, 4)))
    assert plan_of(jitted) is not None


def test_keys_are_results_as_well():
    def step(total, key):
        key, own = fcnn.split(key)
        return total + fcnn.prng.normal(own, total.shape), key, [own, fcnn.key(3)]

    jitted = fcnn.jit(step)
    expected = got = drawn(0, 3), fcnn.key(0)
    for _ in range(4):
        expected, got = step(*expected[:2]), jitted(*got[:2])
        same(expected, got)
    assert len(jitted._slots) == 1


def test_a_step_number_is_an_argument_of_a_key_and_of_a_schedule():
    common, rate = fcnn.key(9), fcnn.optim.cosine(0.1, 100)

    def step(x, key, i):
        one, other = fcnn.split(fcnn.fold_in(key, i))
        below = fcnn.fold_in(common, i + 1)
        draws = [fcnn.prng.uniform(each, (3,)) for each in (one, below)]
        return x - rate(i) * draws[0], draws, fcnn.fold_in(other, 2), below

    jitted = fcnn.jit(step)
    for i in (0, 1, 5, 2**32 - 2):
        given = drawn(i, 3), fcnn.fold_in(fcnn.key(i), 4), np.asarray(i)
        same(step(*given), jitted(*given))
    assert len(jitted._slots) == 1
    for i in (-1, 2**32):
        with pytest.raises(ArgumentError, match="whole number from 0"):
            jitted(drawn(0, 3), fcnn.key(0), np.asarray(i))


@pytest.mark.parametrize("metric", [fcnn.metrics.accuracy, fcnn.metrics.matthews])
def test_a_metric_that_looks_at_values_is_refused_with_its_line(metric):
    with pytest.raises(TraceError, match=r"fcnn/metrics/_inputs.py:"):
        fcnn.jit(metric)(drawn(0, 6, 3), np.array([0, 1, 2, 0, 1, 2]))


def test_an_executor_within_is_refused():
    with fcnn.parallel.threads(2) as pool:
        step = fcnn.value_and_grad(MODEL, losses.softmax_cross_entropy, shard_size=2, executor=pool)
        with pytest.raises(TraceError, match="got an executor; leave out executor="):
            fcnn.jit(step)(PARAMS, *batch(0))
        assert step(PARAMS, *batch(0))[0] > 0


def test_element_wise_calls_run_in_the_order_of_memory():
    """Of their result; the other arguments may lie otherwise, or be numbers or rows."""

    def f(x, other, row):
        y = np.exp(x.transpose(3, 0, 2, 1))
        y = 1 - y * CONSTANT
        y *= other
        whole = np.maximum(y, x.dtype.type(0.5)) + x.transpose(3, 0, 2, 1)
        count = np.floor(x).astype(np.int64)
        return whole, whole + row, np.greater(whole, y), count + 1, count * 0.5

    jitted = fcnn.jit(f)
    for i in range(3):
        args = drawn(i, 4, 3, 5, 2), drawn(i + 9, 2, 4, 5, 3), drawn(i, 3)
        same(f(*args), jitted(*args))
    source = plan_of(jitted).program.source
    static = plan_of(jitted).program._static
    (line,) = [line for line in source.splitlines() if "exp_" in line]
    places = [static[name] for name in re.findall(r"s\d+", line)]
    assert places
    assert all(place.shape == (4, 3, 5, 2) for place in places)


CONSTANT = drawn(5, 2, 4, 5, 3)
