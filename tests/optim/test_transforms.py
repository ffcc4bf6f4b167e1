"""Each gradient transform against its formula, chains, and clipping at the ends of the range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn import optim, tree
from fcnn.errors import ArgumentError, DTypeError, TreeError

TRANSFORMS: dict[str, Any] = {
    # name: how it is made from a mask
    "scale": lambda mask: optim.scale(0.5, mask=mask),
    "scale_by_schedule": lambda m: optim.scale_by_schedule(optim.cosine(1.0, 3), mask=m),
    "scale_by_learning_rate": lambda mask: optim.scale_by_learning_rate(0.1, mask=mask),
    "trace": lambda mask: optim.trace(0.9, mask=mask),
    "nesterov": lambda mask: optim.trace(0.5, nesterov=True, mask=mask),
    "ema": lambda mask: optim.ema(0.9, mask=mask),
    "scale_by_adam": lambda mask: optim.scale_by_adam(mask=mask),
    "scale_by_rms": lambda mask: optim.scale_by_rms(mask=mask),
    "scale_by_adagrad": lambda mask: optim.scale_by_adagrad(mask=mask),
    "scale_by_adadelta": lambda mask: optim.scale_by_adadelta(mask=mask),
    "scale_by_adamax": lambda mask: optim.scale_by_adamax(mask=mask),
    "scale_by_amsgrad": lambda mask: optim.scale_by_amsgrad(mask=mask),
    "scale_by_nadam": lambda mask: optim.scale_by_nadam(mask=mask),
    "scale_by_radam": lambda mask: optim.scale_by_radam(mask=mask),
    "scale_by_lion": lambda mask: optim.scale_by_lion(mask=mask),
    "scale_by_trust_ratio": lambda mask: optim.scale_by_trust_ratio(mask=mask),
    "scale_by_muon": lambda mask: optim.scale_by_muon(mask=mask),
    "add_decayed_weights": lambda mask: optim.add_decayed_weights(0.1, mask=mask),
    "clip_by_global_norm": lambda mask: optim.clip_by_global_norm(0.3, mask=mask),
}
each_transform = pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)


def run(transform: optim.Transform, grads: list[Any], params: Any) -> tuple[list[Any], Any]:
    state, found = transform.init(params), []
    for g in grads:
        updates, state = transform.update(g, state, params)
        found.append(updates)
    return found, state


def numbers(transform: optim.Transform, grads: list[float], p: float = 0.0) -> list[float]:
    updates, _ = run(transform, [(np.array([g]),) for g in grads], (np.array([p]),))
    return [float(u[0][0]) for u in updates]


def test_each_formula_by_hand() -> None:
    assert numbers(optim.scale(-3.0), [1.0, 2.0]) == [-3.0, -6.0]
    assert numbers(optim.scale_by_schedule(lambda step: step + 1.0), [1.0, 1.0]) == [1.0, 2.0]
    assert numbers(optim.scale_by_learning_rate(0.5), [1.0, 2.0]) == [-0.5, -1.0]
    assert numbers(optim.trace(0.5), [1.0, 1.0, 1.0]) == [1.0, 1.5, 1.75]
    assert numbers(optim.trace(0.5, nesterov=True), [1.0, 1.0]) == [1.5, 1.75]
    assert numbers(optim.ema(0.5, debias=False), [2.0, 8.0]) == [1.0, 4.5]
    assert numbers(optim.ema(0.5), [2.0, 8.0]) == [2.0, 6.0]
    assert numbers(optim.add_decayed_weights(0.5), [1.0], p=4.0) == [3.0]
    assert numbers(optim.scale_by_rms(0.75), [4.0]) == pytest.approx([2.0])
    assert numbers(optim.set_to_zero(), [4.0]) == [0.0]


def test_adam_by_algorithm_1() -> None:
    b1, b2, eps = 0.7, 0.9, 0.1
    m = v = 0.0
    expected = []
    for t, g in enumerate([1.0, -3.0, 0.5], start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        expected.append(m / (1 - b1**t) / (math.sqrt(v / (1 - b2**t)) + eps))
    found = numbers(optim.scale_by_adam(b1=b1, b2=b2, eps=eps), [1.0, -3.0, 0.5])
    assert found == pytest.approx(expected, rel=1e-13)


@each_transform
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_update_keeps_structure_and_dtype_passes_observations_and_mutates_nothing(
    make: Any, dtype: Any, trees: Any
) -> None:
    transform, params, grads = make(None), trees.params(0, dtype), trees.grads(1, dtype)
    state = transform.init(params)
    before = tree.digest((params, grads, state))
    updates, after = transform.update(grads, state, params)
    assert tree.digest((params, grads, state)) == before
    assert tree.structure(updates) == tree.structure(grads)
    assert updates[0].mean is grads[0].mean
    for p, u in zip(tree.leaves(params), tree.leaves(updates), strict=True):
        assert (p.dtype, p.shape) == (u.dtype, u.shape)
    assert tree.digest(transform.update(grads, state, params)) == tree.digest((updates, after))


@each_transform
def test_a_mask_applies_it_to_some_weights_and_passes_the_others(make: Any, trees: Any) -> None:
    """With a mask, the weights in it fare as if they were alone."""
    params, grads = trees.params(0), [trees.grads(seed) for seed in (1, 2, 3)]
    found, _ = run(make(optim.matrices), grads, params)

    def kernels(t: Any) -> Any:
        return t[0].weight, t[2]["kernel"]

    expected, _ = run(make(None), [kernels(g) for g in grads], kernels(params))
    for updates, alone, g in zip(found, expected, grads, strict=True):
        assert tree.digest(kernels(updates)) == tree.digest(alone)
        assert updates[0].bias is g[0].bias
        assert updates[0].mean is g[0].mean
        assert updates[2]["gain"] is g[2]["gain"]
        assert updates[3][0] is g[3][0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([make(None) for make in TRANSFORMS.values()]), max_size=5),
    st.integers(0, 5),
)
def test_a_chain_is_its_transforms_in_turn_to_the_bit(
    trees: Any, transforms: Any, cut: int
) -> None:
    params, grads = trees.params(0), trees.grads(1)
    flat = optim.chain(*transforms)
    nested = optim.chain(optim.chain(*transforms[:cut]), optim.chain(*transforms[cut:]))
    found, state = run(flat, [grads] * 3, params)
    states, updates = [t.init(params) for t in transforms], grads
    for _ in range(3):
        updates = grads
        for i, t in enumerate(transforms):
            updates, states[i] = t.update(updates, states[i], params)
    assert tree.digest(found[-1]) == tree.digest(updates)
    assert tree.equal(state, tuple(states))
    assert tree.digest(run(nested, [grads] * 3, params)[0][-1]) == tree.digest(updates)


# Clipping.


@given(st.floats(1e-3, 1e3), st.floats(-30, 30), st.integers(0, 9))
def test_clipping_bounds_the_norm_and_keeps_the_direction(
    trees: Any, max_norm: float, exponent: float, seed: int
) -> None:
    grads = trees.params(seed)[2]
    grads = tree.map(lambda g: np.asarray(g * np.float32(10**exponent)), grads)
    transform = optim.clip_by_global_norm(max_norm)
    clipped, _ = transform.update(grads, transform.init(grads), grads)
    wide = tree.astype(grads, np.float64)
    norm = math.sqrt(sum(np.sum(leaf**2) for leaf in tree.leaves(wide)))
    factor = min(1.0, max_norm / norm)
    assert np.allclose(clipped["kernel"], wide["kernel"] * factor, rtol=1e-5, atol=1e-35)
    if norm <= max_norm:
        assert tree.digest(clipped) == tree.digest(grads)


@pytest.mark.parametrize(
    ("grads", "max_norm", "expected"),
    [
        ((3e200, 4e200), 1.0, (0.6, 0.8)),
        ((3e300, 4e300), 1.0, (0.6, 0.8)),
        ((3e-300, 4e-300), 1e-300, (0.6e-300, 0.8e-300)),
        ((3e-300, 4e-300), 1.0, (3e-300, 4e-300)),
        ((3e300, 4e300), 1e-300, (0.6e-300, 0.8e-300)),
        ((3e200, 4e200), 1e250, (3e200, 4e200)),
        ((-1.6e308, 0.0), 1e307, (-1e307, 0.0)),
        ((3.0, 4.0), 5.0, (3.0, 4.0)),
    ],
)
def test_clipping_from_1e_minus_300_to_1e300(grads: Any, max_norm: float, expected: Any) -> None:
    transform = optim.clip_by_global_norm(max_norm)
    for g in (np.array(grads), tuple(np.array([each]) for each in grads), grads):
        found, _ = transform.update(g, transform.init(g), g)
        vector = tree.ravel(found)[0]
        assert vector == pytest.approx(np.array(expected), rel=1e-14, abs=0)


def test_clipping_float32_whose_norm_is_no_float32() -> None:
    grads = (np.full(100, -3e38, np.float32), np.full(50, 1e30, np.float32))
    transform = optim.clip_by_global_norm(1.0)
    found, _ = transform.update(grads, transform.init(grads), grads)
    assert found[0].dtype == np.float32
    assert found[0] == pytest.approx(np.full(100, -0.1), rel=1e-6)
    assert found[1] == pytest.approx(np.full(50, 1e30 / 3e39), rel=1e-6)


def test_clipping_leaves_statistics_out_of_the_norm(trees: Any) -> None:
    (block, *_), transform = trees.params(0), optim.clip_by_global_norm(1.0)
    huge = trees.Block(
        block.weight * 0 + 3, block.bias * 0, tree.Observation(block.mean * 1e9, 0.5)
    )
    found, _ = transform.update(huge, transform.init(block), block)
    assert found.weight == pytest.approx(3 / math.sqrt(6 * 9))
    assert found.mean is huge.mean


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_clipping_what_is_not_finite_does_what_pytorch_and_optax_do(bad: float) -> None:
    grads = (np.array([1.0, bad]), np.array([2.0]))
    transform = optim.clip_by_global_norm(1.0)
    found, _ = transform.update(grads, transform.init(grads), grads)
    rest = math.nan if math.isnan(bad) else 0.0
    assert np.array_equal(found[0], [rest, math.nan], equal_nan=True)
    assert np.array_equal(found[1], [rest], equal_nan=True)


# What is refused.


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.clip_by_global_norm(0.0),
        lambda: optim.clip_by_global_norm(math.inf),
        lambda: optim.scale(math.nan),
        lambda: optim.add_decayed_weights(-1.0),
        lambda: optim.trace(1.0),
        lambda: optim.ema(-0.1),
        lambda: optim.scale_by_adam(eps=-1.0),
        lambda: optim.scale_by_rms(2.0),
        lambda: optim.scale_by_learning_rate(-0.1),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^expected a number .*, got "):
        call()


@each_transform
def test_an_array_in_place_of_an_observation_is_refused_with_the_path(
    make: Any, trees: Any
) -> None:
    params, transform = (trees.params(0)[0],), make(None)
    # A norm above the limit, so that clipping acts.
    grads = (trees.Block(params[0].weight * 100, params[0].bias, params[0].mean),)
    with pytest.raises(DTypeError, match=r"^\[0\]\.mean: expected an Observation .*, got ndarray"):
        transform.update(grads, transform.init(params), params)


@pytest.mark.parametrize("make", [m for n, m in TRANSFORMS.items() if n != "clip_by_global_norm"])
def test_updates_of_another_shape_are_refused_with_the_path(make: Any) -> None:
    params, transform = (np.ones(2), {"a": np.ones((2, 3))}), make(None)
    for other in (np.ones((3, 2)), 1.0, np.array(1.0), (), np.ones((2, 1))):
        with pytest.raises(TreeError, match=r"\[1\]\['a'\]"):
            transform.update((np.ones(2), {"a": other}), transform.init(params), params)
