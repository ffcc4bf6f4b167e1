from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn import optim, tree
from fcnn.errors import ArgumentError, TreeError
from fcnn.optim import _elementwise

ALL = [
    optim.sgd(0.1),
    optim.sgd(optim.step(0.1, every=2, factor=0.5)),
    optim.sgd(0.1, momentum=0.9),
    optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    optim.sgd(0.1, weight_decay=0.01, decay_where=optim.matrices),
    optim.adam(0.01),
    optim.adamw(optim.warmup(3, optim.cosine(0.01, 5))),
    optim.adamw(0.01, weight_decay=0.1, decay_where=optim.matrices),
    optim.rmsprop(0.01),
    optim.rmsprop(0.01, decay=0.99, momentum=0.5),
    optim.descend(
        optim.chain(
            optim.clip_by_global_norm(0.5), optim.scale_by_adam(), optim.scale_by_learning_rate(0.1)
        )
    ),
    optim.descend(optim.chain(optim.trace(), optim.scale(-0.1), optim.clip_by_global_norm(0.5))),
    optim.descend(optim.chain()),
]
each_optimizer = pytest.mark.parametrize("optimizer", ALL, ids=repr)


@tree.node
class Block:
    weight: Any
    bias: Any
    mean: Any = tree.statistic()


def params_of(seed: int, dtype: Any = np.float32) -> Any:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.normal(size=shape).astype(dtype)

    return (
        Block(draw(3, 2), draw(2), draw(2)),
        (),
        {"kernel": draw(2, 2, 1, 3), "gain": np.array(rng.normal(), dtype)},
    )


def run(optimizer: optim.Optimizer, params: Any, state: Any, steps: range) -> tuple[Any, Any]:
    for step in steps:
        params, state = optimizer.step(params, params_of(100 + step), state)
    return params, state


# What a step computes, by hand.


def one(optimizer: optim.Optimizer, grads: list[float], start: float = 1.0) -> float:
    params: Any = (np.array([start]),)
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.step(params, (np.array([g]),), state)
    return float(params[0][0])


@pytest.mark.parametrize(
    ("optimizer", "grads", "expected"),
    [
        (optim.sgd(0.1), [2.0], 0.8),
        (optim.sgd(0.1, weight_decay=0.5), [2.0], 1 - 0.1 * 2.5),
        (optim.sgd(0.1, momentum=0.5), [2.0, 4.0], 1 - 0.1 * 2 - 0.1 * 5),
        (optim.sgd(0.1, momentum=0.5, nesterov=True), [2.0], 1 - 0.1 * 3),
        (optim.adam(0.1), [2.0], 0.9),
        (optim.adam(0.1), [-7.0], 1.1),
        (optim.adamw(0.1, weight_decay=0.5), [2.0], 1 - 0.1 * (1 + 0.5)),
        (optim.rmsprop(0.1, decay=0.75), [2.0], 1 - 0.1 * 2),
        (optim.rmsprop(0.1, decay=0.75, momentum=0.5), [2.0], 1 - 0.1 * 2),
        (optim.sgd(optim.step(0.1, every=1, factor=0.5)), [2.0, 2.0], 1 - 0.2 - 0.1),
        (optim.sgd(lambda step: 0.5 / (step + 1)), [1.0, 1.0], 0.25),
    ],
    ids=repr,
)
def test_first_steps_by_hand(optimizer: Any, grads: list[float], expected: float) -> None:
    assert one(optimizer, grads) == pytest.approx(expected, rel=1e-6)


def test_decay_where_spares_the_leaves_it_does_not_name() -> None:
    params = {"w": np.ones((2, 2)), "b": np.ones(2)}
    zero = tree.zeros_like(params)
    for name, where in (("w", optim.matrices), ("b", lambda path, leaf: path == "['b']")):
        optimizer = optim.sgd(0.5, momentum=0.9, weight_decay=0.5, decay_where=where)
        after, _ = optimizer.step(params, zero, optimizer.init(params))
        assert {n: float(a.ravel()[0]) for n, a in after.items()} == {
            n: 0.75 if n == name else 1.0 for n in "wb"
        }


# The laws that every optimizer obeys.


@each_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_structure_dtype_and_shape_and_mutates_nothing(
    optimizer: Any, dtype: Any
) -> None:
    params, grads = params_of(0, dtype), params_of(1, dtype)
    loose = tuple(tree.leaves(params)), tuple(tree.leaves(grads))  # outside of any node
    writeable = tuple(tuple(leaf.copy() for leaf in leaves) for leaves in loose)
    for p, g in ((params, grads), writeable):
        before = tree.digest((p, g))
        state = optimizer.init(p)
        kept = tree.digest(state)
        after, later = optimizer.step(p, g, state)
        assert tree.digest((p, g)) == before
        assert tree.digest(state) == kept
        assert tree.structure(after) == tree.structure(p)
        for old, new in zip(tree.leaves(p), tree.leaves(after), strict=True):
            assert type(new) is np.ndarray
            assert (new.dtype, new.shape) == (old.dtype, old.shape)
            assert not np.shares_memory(old, new)
        assert all(leaf.dtype == dtype for leaf in tree.leaves(later) if np.ndim(leaf))
        assert tree.digest(optimizer.step(p, g, state)) == tree.digest((after, later))
    assert all(leaf.flags.writeable for leaves in writeable for leaf in leaves)


@each_optimizer
def test_the_rule_for_statistics_is_stored_minus_gradient(optimizer: Any) -> None:
    params, grads = params_of(0), params_of(1)
    after, state = optimizer.step(params, grads, optimizer.init(params))
    assert np.array_equal(after[0].mean, params[0].mean - grads[0].mean)
    huge = (Block(grads[0].weight, grads[0].bias, grads[0].mean * 1e6), *grads[1:])
    same, same_state = optimizer.step(params, huge, optimizer.init(params))
    assert np.array_equal(same[0].weight, after[0].weight)  # nor do they touch the weights
    assert same_state == state


@each_optimizer
def test_a_resumed_run_ends_in_the_same_bits(optimizer: Any) -> None:
    params = params_of(0)
    whole = run(optimizer, params, optimizer.init(params), range(8))
    half = run(optimizer, params, optimizer.init(params), range(4))
    again, back = pickle.loads(pickle.dumps((optimizer, half)))
    assert tree.digest(run(again, *back, range(4, 8))) == tree.digest(whole)


@each_optimizer
def test_it_prints_as_its_call_compares_hashes_and_pickles(optimizer: Any) -> None:
    assert eval(repr(optimizer), vars(optim)) == optimizer
    again = pickle.loads(pickle.dumps(optimizer))
    assert again == optimizer
    assert hash(again) == hash(optimizer)
    assert sum(optimizer == other for other in ALL) == 1


@each_optimizer
def test_pieces_do_not_change_the_bits(optimizer: Any, monkeypatch: Any) -> None:
    params = params_of(0)
    whole = run(optimizer, params, optimizer.init(params), range(5))
    monkeypatch.setattr(_elementwise, "PIECE", 5)
    pieces = run(optimizer, params, optimizer.init(params), range(5))
    assert tree.digest(pieces) == tree.digest(whole)


@each_optimizer
def test_layout_in_memory_does_not_change_the_bits(optimizer: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(_elementwise, "PIECE", 5)
    params, grads = (np.arange(12.0).reshape(3, 4),), (np.cos(np.arange(12.0)).reshape(3, 4),)
    fortran = (np.asfortranarray(params[0]),), (np.asfortranarray(grads[0]),)
    expected, _ = optimizer.step(params, grads, optimizer.init(params))
    found, _ = optimizer.step(*fortran, optimizer.init(fortran[0]))
    assert np.array_equal(found[0], expected[0])


@each_optimizer
def test_trees_of_numbers_and_empty_trees(optimizer: Any) -> None:
    params = (1.0, {"a": 2.0})
    after, _ = optimizer.step(params, (0.5, {"a": 0.5}), optimizer.init(params))
    assert all(type(leaf) is float for leaf in tree.leaves(after))
    assert optimizer.step((), (), optimizer.init(()))[0] == ()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ALL), st.lists(st.floats(-(2.0**50), 2.0**50, width=32), min_size=1, max_size=5)
)
def test_finite_gradients_give_finite_parameters(optimizer: Any, values: list[float]) -> None:
    params: Any = (np.zeros(len(values), np.float32),)
    state = optimizer.init(params)
    for grads in ((np.array(values, np.float32),), tree.zeros_like(params)):
        params, state = optimizer.step(params, grads, state)
        assert np.isfinite(params[0]).all()


# A chain is its parts, one after the other.


def one_after_the_other(transforms: Any, grads: Any, params: Any, steps: int) -> Any:
    states = [t.init(params) for t in transforms]
    for _ in range(steps):
        updates = grads
        for i, t in enumerate(transforms):
            updates, states[i] = t.update(updates, states[i], params)
    return updates


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                optim.scale(0.5),
                optim.trace(0.9),
                optim.trace(0.5, nesterov=True),
                optim.scale_by_adam(),
                optim.scale_by_rms(),
                optim.add_decayed_weights(0.1),
                optim.add_decayed_weights(0.1, where=optim.matrices),
                optim.clip_by_global_norm(0.3),
                optim.scale_by_schedule(optim.cosine(1.0, 3)),
                optim.chain(optim.scale_by_learning_rate(0.1), optim.clip_by_global_norm(0.2)),
            ]
        ),
        max_size=5,
    )
)
def test_a_chain_is_its_transforms_in_turn_to_the_bit(transforms: Any) -> None:
    params, grads = params_of(0), params_of(1)
    chained = optim.chain(*transforms)
    state = chained.init(params)
    for _ in range(3):
        updates, state = chained.update(grads, state, params)
    expected = one_after_the_other(transforms, grads, params, 3)
    assert tree.digest(updates) == tree.digest(expected)
    stepped, _ = chained.step(params, grads, chained.init(params))
    first = one_after_the_other(transforms, grads, params, 1)
    added = tree.map(np.add, params, first, statistic=np.subtract)
    assert tree.allclose(stepped, added, rtol=0, atol=0)


@given(st.floats(1e-3, 1e3), st.floats(-30, 30), st.integers(0, 9))
def test_clipping_bounds_the_norm_and_keeps_the_direction(
    limit: float, exponent: float, seed: int
) -> None:
    grads = tree.map(lambda g: np.asarray(g * np.float32(10**exponent)), params_of(seed))
    t = optim.clip_by_global_norm(limit)
    clipped, _ = t.update(grads, t.init(grads), grads)
    wide = tree.astype(grads, np.float64)
    factor = min(1.0, limit / tree.norm(wide))
    assert tree.norm(tree.astype(clipped, np.float64)) <= limit * (1 + 1e-5)
    assert np.allclose(clipped[0].weight, wide[0].weight * factor, rtol=1e-5, atol=1e-35)
    assert clipped[0].mean is grads[0].mean


# What is refused.


@each_optimizer
def test_gradients_of_another_model_are_refused_with_the_path(optimizer: Any) -> None:
    params = (Block(np.ones((3, 2)), np.ones(2), np.ones(2)),)
    grads = (Block(np.ones((3, 2)), np.ones(3), np.ones(2)),)
    with pytest.raises(TreeError, match=r"\[0\]\.bias"):
        optimizer.step(params, grads, optimizer.init(params))


@pytest.mark.parametrize("optimizer", [optim.adam(0.1), optim.sgd(0.1, momentum=0.9)], ids=repr)
@pytest.mark.parametrize("other", [(), (np.ones(3),), (np.ones(2), np.ones(2))], ids=repr)
def test_the_state_of_another_model_is_refused(optimizer: Any, other: Any) -> None:
    params = (np.ones(2),)
    with pytest.raises(TreeError, match="state"):
        optimizer.step(params, params, optimizer.init(other))


def test_the_state_of_another_optimizer_is_refused() -> None:
    params = (np.ones(2),)
    for state in (optim.sgd(0.1).init(params), (), None):
        with pytest.raises(TreeError, match="2 moments"):
            optim.adam(0.1).step(params, params, state)


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.sgd(-0.1),
        lambda: optim.sgd(float("nan")),
        lambda: optim.sgd(float("inf")),
        lambda: optim.sgd("fast"),
        lambda: optim.sgd(0.1, momentum=1.0),
        lambda: optim.sgd(0.1, momentum=-0.1),
        lambda: optim.sgd(0.1, nesterov=True),
        lambda: optim.sgd(0.1, weight_decay=-1.0),
        lambda: optim.adam(0.1, b1=1.0),
        lambda: optim.adam(0.1, b2=-0.1),
        lambda: optim.adam(0.1, eps=0.0),
        lambda: optim.rmsprop(0.1, decay=1.5),
        lambda: optim.rmsprop(0.1, momentum=2.0),
        lambda: optim.clip_by_global_norm(0.0),
        lambda: optim.chain(optim.sgd(0.1)),
        lambda: optim.descend(optim.sgd(0.1)),
        lambda: optim.scale(float("nan")),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError):
        call()


def test_a_misspelt_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="beta1"):
        optim.adam(0.1, beta1=0.9)  # type: ignore[call-arg]
