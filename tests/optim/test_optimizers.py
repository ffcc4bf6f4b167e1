"""What a step computes, by hand, and the laws that every optimizer obeys."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn import optim, tree
from fcnn.errors import ArgumentError, DTypeError
from fcnn.optim import _contracts


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
        (optim.sgd(optim.step_decay(0.1, every=1, factor=0.5)), [2.0, 2.0], 1 - 0.2 - 0.1),
        (optim.sgd(lambda step: 0.5 / (step + 1)), [1.0, 1.0], 0.25),
    ],
    ids=repr,
)
def test_first_steps_by_hand(optimizer: Any, grads: list[float], expected: float) -> None:
    assert one(optimizer, grads) == pytest.approx(expected, rel=1e-6)


def test_mask_restricts_weight_decay() -> None:
    params = {"w": np.ones((2, 2)), "b": np.ones(2)}
    zero = tree.zeros_like(params)
    for name, mask in (("w", optim.matrices), ("b", {"w": False, "b": True})):
        for make in (
            lambda **o: optim.sgd(0.5, momentum=0.9, **o),
            lambda **o: optim.adamw(0.5, **o),
        ):
            optimizer = make(weight_decay=0.5, mask=mask)
            after, _ = optimizer.step(params, zero, optimizer.init(params))
            assert {n: float(a.ravel()[0]) for n, a in after.items()} == {
                n: 0.75 if n == name else 1.0 for n in "wb"
            }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("grad_dtype", [np.float32, np.float64])
def test_a_step_keeps_structure_dtype_and_shape_and_mutates_nothing(
    optimizer: Any, trees: Any, dtype: Any, grad_dtype: Any
) -> None:
    params, grads = trees.params(0, dtype), trees.grads(1, grad_dtype)
    loose = tuple(leaf.copy() for leaf in tree.leaves(params)[:2])  # writeable, in no node
    for p, g in ((params, grads), (loose, tuple(leaf.astype(grad_dtype) for leaf in loose))):
        before = tree.digest((p, g))
        state = optimizer.init(p)
        kept = tree.digest(state)
        after, later = optimizer.step(p, g, state)
        again, later_again = optimizer.step(p, g, state)
        assert tree.digest((p, g)) == before
        assert tree.digest(state) == kept
        assert tree.digest((again, later_again)) == tree.digest((after, later))
        assert tree.structure(after) == tree.structure(p)
        for old, new in zip(tree.leaves(p), tree.leaves(after), strict=True):
            assert type(new) is np.ndarray
            assert (new.dtype, new.shape) == (old.dtype, old.shape)
            assert new is old or not np.shares_memory(old, new)
            assert new is old or not new.flags.writeable
        arrays = [leaf for leaf in tree.leaves(later) if isinstance(leaf, np.ndarray)]
        assert all(leaf.dtype == dtype for leaf in arrays)
    assert all(leaf.flags.writeable for leaf in loose)


def test_float64_gradients_of_float32_params_are_cast_first(optimizer: Any, trees: Any) -> None:
    params, wide = trees.params(0), trees.grads(1, np.float64)
    narrow = tree.astype(wide, np.float32)
    found, state = optimizer.step(params, wide, optimizer.init(params))
    found, _ = optimizer.step(found, wide, state)
    expected, state = optimizer.step(params, narrow, optimizer.init(params))
    expected, _ = optimizer.step(expected, narrow, state)
    if "clip" in repr(optimizer):  # the norm is that of the gradients as they are
        assert tree.allclose(found, expected, rtol=1e-5)
    else:
        assert tree.digest(found) == tree.digest(expected)


@pytest.mark.parametrize("make", [optim.sgd, optim.adam, lambda r: optim.sgd(r, momentum=0.9)])
def test_params_of_whole_numbers_are_refused_with_the_path(make: Any) -> None:
    params = (np.ones(2), {"n": np.arange(3)})
    for grads in (params, tree.astype(params, np.float64), (np.ones(2), {"n": np.ones(3)})):
        optimizer = make(0.1)
        with pytest.raises(DTypeError, match=r"^\[1\]\['n'\]: expected params of floats, got int"):
            optimizer.step(params, grads, optimizer.init(params))
    kept = optim.partition(
        {"on": make(0.1), "off": optim.descend(optim.set_to_zero())}, ("on", "off")
    )
    after, _ = kept.step(params, params, kept.init(params))
    assert np.array_equal(after[1]["n"], np.arange(3))
    assert not np.array_equal(after[0], params[0])


def test_the_same_numbers_whatever_the_layout_in_memory(optimizer: Any) -> None:
    params, grads = (np.arange(12.0).reshape(3, 4),), (np.cos(np.arange(12.0)).reshape(3, 4),)
    fortran = (np.asfortranarray(params[0]),), (np.asfortranarray(grads[0]),)
    expected, _ = optimizer.step(params, grads, optimizer.init(params))
    found, _ = optimizer.step(*fortran, optimizer.init(fortran[0]))
    assert np.array_equal(found[0], expected[0])


def test_a_resumed_run_ends_in_the_same_bits(optimizer: Any, trees: Any) -> None:
    params = trees.params(0)
    whole = trees.run(optimizer, params, optimizer.init(params), range(8))
    half = trees.run(optimizer, params, optimizer.init(params), range(4))
    again, back = pickle.loads(pickle.dumps((optimizer, half)))
    assert tree.equal(back, half)
    assert tree.digest(trees.run(again, *back, range(4, 8))) == tree.digest(whole)


def test_it_prints_as_its_call_compares_hashes_and_pickles(optimizer: Any, optimizers: Any) -> None:
    names = {**vars(optim), "by_axes": next(iter(_label_functions(optimizers)))}
    assert eval(repr(optimizer), names) == optimizer
    again = pickle.loads(pickle.dumps(optimizer))
    assert again == optimizer
    assert hash(again) == hash(optimizer)
    assert sum(optimizer == other for other in optimizers) == 1


def _label_functions(optimizers: Any) -> Any:
    found = [o.spec.args[1] for o in optimizers if o.spec.name == "partition"]
    assert found
    return found


def test_trees_of_numbers_and_empty_trees(optimizer: Any) -> None:
    params, grads = (1.0, {"a": 2.0}), (0.5, {"a": 0.5})
    after, state = optimizer.step(params, grads, optimizer.init(params))
    after, _ = optimizer.step(after, grads, state)
    assert all(type(leaf) is float for leaf in tree.leaves(after))
    for nothing in ((), None, [], {}):
        assert optimizer.step(nothing, nothing, optimizer.init(nothing))[0] == nothing


def test_a_numpy_scalar_keeps_its_type(optimizer: Any) -> None:
    params = (np.float32(1.0), np.ones((2, 2)))
    after, _ = optimizer.step(params, params, optimizer.init(params))
    assert type(after[0]) is np.float32


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.floats(-(2.0**50), 2.0**50, width=32), min_size=1, max_size=5),
)
def test_finite_gradients_give_finite_params(
    optimizers: Any, chosen: int, values: list[float]
) -> None:
    optimizer = optimizers[chosen % len(optimizers)]
    params: Any = (np.zeros(len(values), np.float32),)
    state = optimizer.init(params)
    for grads in ((np.array(values, np.float32),), tree.zeros_like(params)):
        params, state = optimizer.step(params, grads, state)
        assert np.isfinite(params[0]).all()


RATE = optim.warmup(2, 0.1)


@pytest.mark.parametrize(
    ("optimizer", "transforms"),
    [
        (optim.sgd(RATE), []),
        (optim.sgd(RATE, momentum=0.9), [optim.trace(0.9)]),
        (
            optim.sgd(RATE, momentum=0.9, nesterov=True, weight_decay=0.1),
            [optim.add_decayed_weights(0.1), optim.trace(0.9, nesterov=True)],
        ),
        (optim.adam(RATE), [optim.scale_by_adam()]),
        (
            optim.adamw(RATE, mask=optim.matrices),
            [optim.scale_by_adam(), optim.add_decayed_weights(0.01, mask=optim.matrices)],
        ),
        (optim.rmsprop(RATE, momentum=0.5), [optim.scale_by_rms(), optim.trace(0.5)]),
    ],
    ids=repr,
)
def test_an_optimizer_is_its_chain_to_the_bit(optimizer: Any, transforms: Any, trees: Any) -> None:
    chained = optim.descend(optim.chain(*transforms, optim.scale_by_learning_rate(RATE)))
    params = trees.params(0)
    assert tree.equal(optimizer.init(params), chained.init(params))
    found = trees.run(optimizer, params, optimizer.init(params), range(4))
    expected = trees.run(chained, params, chained.init(params), range(4))
    assert tree.digest(found) == tree.digest(expected)


def test_apply_updates_adds_to_weights_and_keeps_dtypes(trees: Any) -> None:
    params, updates = trees.params(0), trees.grads(1, np.float64)
    after = optim.apply_updates(params, updates)
    for p, u, new in zip(*map(tree.leaves, (params, updates, after)), strict=True):
        if isinstance(u, tree.Observation):
            assert np.allclose(new, 0.75 * p + 0.25 * u.value, rtol=1e-6)
        else:
            assert np.allclose(new, p + u, rtol=1e-6, atol=1e-7)
        assert new.dtype == np.float32


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.sgd(-0.1),
        lambda: optim.sgd(float("nan")),
        lambda: optim.sgd(float("inf")),
        lambda: optim.sgd("fast"),  # type: ignore[arg-type]
        lambda: optim.sgd(0.1, momentum=1.0),
        lambda: optim.sgd(0.1, momentum=-0.1),
        lambda: optim.sgd(0.1, nesterov=True),
        lambda: optim.sgd(0.1, weight_decay=-1.0),
        lambda: optim.sgd(0.1, mask=optim.matrices),  # and no weight decay
        lambda: optim.adamw(0.1, weight_decay=0.0, mask=optim.matrices),
        lambda: optim.adam(0.1, b1=1.0),
        lambda: optim.adam(0.1, b2=-0.1),
        lambda: optim.adam(0.1, eps=0.0),
        lambda: optim.rmsprop(0.1, decay=1.5),
        lambda: optim.rmsprop(0.1, momentum=2.0),
        lambda: optim.sgd(lambda step: -1.0).init((1.0,)),
        lambda: optim.sgd(lambda step: float("nan")).init((1.0,)),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^expected .*, got "):
        call()


def test_a_learning_rate_out_of_range_is_refused_at_its_step() -> None:
    optimizer = optim.sgd(lambda step: 0.1 if step < 2 else -0.1)
    params: Any = (1.0,)
    state = optimizer.init(params)
    for _ in range(2):
        params, state = optimizer.step(params, params, state)
    with pytest.raises(ArgumentError, match=r"got -0\.1 from the schedule at step 2"):
        optimizer.step(params, params, state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.adam(lr=0.1), "use learning_rate"),  # type: ignore[call-arg]
        (lambda: optim.adam(0.1, beta1=0.9), "beta1"),  # type: ignore[call-arg]
        (lambda: optim.adamw(0.1, where=None), "use mask"),  # type: ignore[call-arg]
        (lambda: optim.clip_by_global_norm(norm=1.0), "max_norm"),  # type: ignore[call-arg]
    ],
)
def test_a_misspelt_keyword_is_refused_with_the_right_one(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (
            optim.scale_by_adam(),
            r"got the gradient transform scale_by_adam\(\); use fcnn\.optim\.descend\(scale_by_ad",
        ),
        (optim.adam, r"got the function adam; call it: adam\(0\.001\)$"),
        (optim.descend, r"got the function descend; call it: descend\(\.\.\.\)$"),
        (optim.scale_by_adam, r"got <function scale_by_adam"),
        (optim.cosine(0.1, 5), r"got cosine\(0\.1, 5\); fcnn\.optim has sgd"),
        (None, "got None; fcnn.optim has sgd"),
    ],
    ids=lambda given: getattr(given, "__name__", repr(given)),
)
def test_what_is_no_optimizer_is_refused(thing: Any, message: str) -> None:
    for check in (
        _contracts.check_optimizer,
        lambda thing: optim.params_ema(thing, 0.9),
        lambda thing: optim.partition({"a": optim.sgd(0.1), "b": thing}, "a"),
    ):
        with pytest.raises(ArgumentError, match=f"^expected an optimizer, {message}"):
            check(thing)
    _contracts.check_optimizer(optim.sgd(0.1))


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.chain(optim.sgd(0.1)),
        lambda: optim.descend(optim.sgd(0.1)),
        lambda: optim.masked(optim.sgd(0.1), True),
        lambda: optim.partition({"a": optim.scale(1.0), "b": optim.sgd(0.1)}, "a"),
        lambda: optim.chain([optim.scale(0.1)]),  # type: ignore[arg-type]
        lambda: optim.chain(optim.scale),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_transform_is_refused(call: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^expected a gradient transform, got "):
        call()


def test_constructors_of_your_own() -> None:
    @optim.transform
    def power(exponent: float) -> Any:
        def update(grads: Any, state: Any, params: Any) -> Any:
            return tree.map(lambda g: g**exponent, grads), state

        return lambda params: (), update

    @optim.transform
    def cube() -> Any:
        return power(3)

    @optim.optimizer
    def cubic(learning_rate: float) -> Any:
        return optim.chain(cube(), optim.scale_by_learning_rate(learning_rate))

    @optim.optimizer
    def slow(learning_rate: float) -> Any:
        return optim.accumulate(cubic(learning_rate), 2)

    @optim.optimizer
    def plain(factor: float) -> Any:
        return lambda params: (), lambda params, grads, state: (params * factor, state)

    assert [repr(each) for each in (power(3), cube(), cubic(0.5), slow(0.1), plain(2.0))] == [
        "power(3)", "cube()", "cubic(0.5)", "slow(0.1)", "plain(2.0)",
    ]  # fmt: skip
    assert cubic(0.5) == cubic(0.5) != cubic(0.25)
    assert cubic(0.5).step((1.0,), (2.0,), cubic(0.5).init((1.0,)))[0] == (-3.0,)
    assert type(slow(0.1)) is optim.Optimizer
    assert plain(2.0).step(3.0, 1.0, ())[0] == 6.0

    @optim.transform
    def wrong() -> Any:
        return 3

    with pytest.raises(ArgumentError, match="expected wrong to return init, update, got 3"):
        wrong()
