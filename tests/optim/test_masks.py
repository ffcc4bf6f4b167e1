"""Masks, frozen weights and partitions, each against a computation by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError, TreeError


class Pair(NamedTuple):
    a: Any
    b: Any


def params_and_grads() -> tuple[Any, Any]:
    params = {"body": (np.ones((2, 2)), np.ones(2)), "head": Pair(np.ones(3), [np.ones(1)])}
    return params, tree.map(lambda p: 2 * p, params)


def body_only(params: Any) -> Any:
    return {"body": True, "head": False}


@pytest.mark.parametrize(
    ("mask", "chosen"),
    [
        (True, {"body[0]", "body[1]", "head.a", "head.b"}),
        (False, set()),
        (np.True_, {"body[0]", "body[1]", "head.a", "head.b"}),
        ({"body": True, "head": False}, {"body[0]", "body[1]"}),
        ({"body": (False, True), "head": False}, {"body[1]"}),
        ({"body": False, "head": Pair(True, False)}, {"head.a"}),
        ({"body": False, "head": Pair(False, [True])}, {"head.b"}),
        (body_only, {"body[0]", "body[1]"}),
        (optim.matrices, {"body[0]"}),
    ],
)
def test_a_mask_is_a_tree_a_prefix_or_a_function(mask: Any, chosen: set[str]) -> None:
    params, grads = params_and_grads()
    transform = optim.masked(optim.scale(10.0), mask)
    updates, _ = transform.update(grads, transform.init(params), params)
    assert tree.structure(updates) == tree.structure(params)
    scaled = {
        "body[0]": updates["body"][0], "body[1]": updates["body"][1],
        "head.a": updates["head"].a, "head.b": updates["head"].b[0],
    }  # fmt: skip
    for name, leaf in scaled.items():
        assert np.all(leaf == (20 if name in chosen else 2)), name


def test_matrices_are_leaves_with_two_axes_or_more() -> None:
    model = fcnn.serial(fcnn.conv2d(2, 3), fcnn.batch_norm(), fcnn.flatten, fcnn.dense(3))
    params, _ = model.init(fcnn.key(0), (5, 5, 1))
    mask = optim.matrices(params)
    assert tree.structure(mask) == tree.structure(params)
    found = [path for path, m in zip(tree.paths(mask), tree.leaves(mask), strict=True) if m]
    assert found == ["[0].weight", "[3].weight"]


def test_a_masked_transform_keeps_no_state_for_the_others() -> None:
    params, _ = params_and_grads()
    state = optim.masked(optim.trace(0.9), body_only).init(params)
    assert [leaf.shape for leaf in tree.leaves(state)] == [(2, 2), (2,)]
    assert isinstance(state, optim.MaskedState)
    assert isinstance(state.inner_state, optim.TraceState)


def test_masked_by_hand_over_three_steps() -> None:
    params, grads = (np.ones(2), np.ones(2)), (np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    optimizer = optim.descend(
        optim.chain(optim.masked(optim.trace(0.5), (True, False)), optim.scale(-0.1))
    )
    state, momentum, expected = optimizer.init(params), np.zeros(2), [np.ones(2), np.ones(2)]
    for _ in range(3):
        params, state = optimizer.step(params, grads, state)
        momentum = 0.5 * momentum + grads[0]
        expected[0] = expected[0] - 0.1 * momentum
        expected[1] = expected[1] - 0.1 * grads[1]
    assert tree.allclose(params, tuple(expected), rtol=1e-14)


def test_a_mask_is_copied() -> None:
    mask = {"body": True, "head": False}
    labels = {"body": "a", "head": "b"}
    transforms = {"a": optim.scale(10.0), "b": optim.scale(1.0)}
    for transform in (
        optim.masked(optim.scale(10.0), mask),
        optim.scale(10.0, mask=mask),
        optim.partition(transforms, labels),
    ):
        mask["head"], labels["head"], transforms["b"] = True, "a", optim.trace()
        params, grads = params_and_grads()
        updates, _ = transform.update(grads, transform.init(params), params)
        assert np.all(updates["head"].a == 2)
        mask["head"], labels["head"], transforms["b"] = False, "b", optim.scale(1.0)


def test_frozen_weights_stay_to_the_bit_and_the_others_move(trees: Any) -> None:
    params, grads = trees.params(0), trees.grads(1)
    for mask, frozen in (
        (optim.matrices, {"[0].weight", "[2]['kernel']"}),
        (
            (True, True, {"kernel": False, "gain": True}, False),
            {"[0].weight", "[0].bias", "[2]['gain']"},
        ),
    ):
        optimizer = optim.descend(
            optim.chain(
                optim.add_decayed_weights(0.1), optim.trace(), optim.scale(-0.1), optim.freeze(mask)
            )
        )
        after, state = optimizer.step(params, grads, optimizer.init(params))
        after, _ = optimizer.step(after, grads, state)
        kept = {
            path
            for path, p, new in zip(
                *map(list, (tree.paths(params), tree.leaves(params), tree.leaves(after))),
                strict=True,
            )
            if np.array_equal(p, new)
        }
        assert kept == frozen  # and the statistic, [0].mean, is mixed


def test_freezing_ignores_gradients_that_are_not_finite() -> None:
    params = (np.ones(2), np.ones(2))
    optimizer = optim.descend(optim.chain(optim.scale(-1.0), optim.freeze((True, False))))
    after, _ = optimizer.step(
        params, (np.array([np.nan, np.inf]), params[1]), optimizer.init(params)
    )
    assert tree.equal(after, (np.ones(2), np.zeros(2)))


def test_training_a_head_on_features_is_freezing_the_body() -> None:
    """The way without a backward pass through the frozen layers, which `freeze` documents."""
    body, head = fcnn.serial(fcnn.dense(4), fcnn.tanh), fcnn.dense(2)
    model, loss = fcnn.serial(body, head), fcnn.losses.mean_squared_error
    params, _ = model.init(fcnn.key(0), (3,))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3)).astype(np.float32)
    y = rng.normal(size=(8, 2)).astype(np.float32)
    frozen = optim.partition(
        {"on": optim.sgd(0.1), "off": optim.descend(optim.set_to_zero())}, ("off", "on")
    )
    _, grads = fcnn.value_and_grad(model, loss)(params, x, y)
    after, _ = frozen.step(params, grads, frozen.init(params))

    features = body.apply(params[0], x)
    _, dhead = fcnn.value_and_grad(head, loss)(params[1], features, y)
    sgd = optim.sgd(0.1)
    expected, _ = sgd.step(params[1], dhead, sgd.init(params[1]))
    assert tree.equal(after, (params[0], expected))
    assert not tree.equal(expected, params[1])


LABELS = ("adam", {"w": "sgd", "b": "adam"})


def test_a_partition_is_each_optimizer_on_its_part(trees: Any) -> None:
    rng = np.random.default_rng(0)
    draw = lambda: (rng.normal(size=(2, 3)), {"w": rng.normal(size=4), "b": rng.normal(size=1)})  # noqa: E731
    parts = {"adam": optim.adam(0.1), "sgd": optim.sgd(0.2, momentum=0.5)}
    both = optim.partition(parts, LABELS)
    params = draw()
    alone = {"adam": (params[0], params[1]["b"]), "sgd": (params[1]["w"],)}
    state = both.init(params)
    states = {name: parts[name].init(alone[name]) for name in parts}
    for _ in range(4):
        g = draw()
        params, state = both.step(params, g, state)
        mine = {"adam": (g[0], g[1]["b"]), "sgd": (g[1]["w"],)}
        for name in parts:
            alone[name], states[name] = parts[name].step(alone[name], mine[name], states[name])
    assert tree.equal(params, (alone["adam"][0], {"w": alone["sgd"][0], "b": alone["adam"][1]}))
    assert type(both) is optim.Optimizer
    assert isinstance(state, optim.PartitionState)
    assert state.inner_states["adam"][0].count == 4


def test_a_partition_of_transforms_is_a_transform() -> None:
    params, grads = (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)
    transform = optim.partition(
        {0: optim.scale(-1.0), 1: optim.clip_by_global_norm(1.0)}, (0, 1, 1)
    )
    assert type(transform) is optim.Transform
    updates, state = transform.update(grads, transform.init(params), params)
    # The norm is that of the part.
    assert updates == pytest.approx((-2.0, 0.5**0.5, 0.5**0.5))
    optimizer = optim.descend(transform)
    assert optimizer.step(params, grads, state)[0] == pytest.approx(
        (-1.0, 1 + 0.5**0.5, 1 + 0.5**0.5)
    )


def test_a_partition_mixes_every_statistic_once(trees: Any) -> None:
    params, grads = trees.params(0), trees.grads(1)
    expected = tree.observe(params, grads)[0].mean
    for labels in (
        "a",
        "b",
        (trees.Block("a", "b", "a"), "b", "a", "b"),
        (trees.Block("a", "b", "b"), "b", "a", "b"),
    ):
        for parts in (
            {"a": optim.sgd(0.1), "b": optim.descend(optim.set_to_zero())},
            {"a": optim.scale(-0.1), "b": optim.set_to_zero()},
        ):
            made: Any = optim.partition(parts, labels)
            optimizer = made if isinstance(made, optim.Optimizer) else optim.descend(made)
            after, _ = optimizer.step(params, grads, optimizer.init(params))
            assert np.array_equal(after[0].mean, expected)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ((True,), TreeError, "structure of the params or a prefix of it, got .* at the root"),
        ((True, {"a": True}), TreeError, r"got {'a': True} at \[1\]"),
        ((True, {"b": (True, True)}), TreeError, r"at \[1\]\['b'\]"),
        ((True, None), TreeError, r"got None at \[1\]"),
        ((True, 1), ArgumentError, r"^\[1\]\['b'\]: expected True or False in a mask, got 1"),
        (lambda params: (True, "yes"), ArgumentError, r"^\[1\]\['b'\]: .* got 'yes'"),
        ((np.array([True, False]), True), ArgumentError, r"^\[0\]: .* got array"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_with_the_path(
    mask: Any, error: type[Exception], message: str
) -> None:
    params = (np.ones(2), {"b": np.ones(1)})
    for transform in (optim.masked(optim.trace(), mask), optim.freeze(mask)):
        with pytest.raises(error, match=message):
            transform.init(params)


def test_labels_that_do_not_fit_are_refused_with_the_path() -> None:
    params = (np.ones(2), {"b": np.ones(1)})
    parts = {"a": optim.sgd(0.1)}
    with pytest.raises(
        ArgumentError, match=r"^\[1\]\['b'\]: expected one of the labels \['a'\], got"
    ):
        optim.partition(parts, ("a", "c")).init(params)
    with pytest.raises(TreeError, match="at the root"):
        optim.partition(parts, ("a",)).init(params)
    with pytest.raises(ArgumentError, match=r"got \{\}$"):
        optim.partition({}, "a")
    with pytest.raises(ArgumentError, match="expected an optimizer, got the gradient transform"):
        optim.partition({"a": optim.sgd(0.1), "b": optim.scale(1.0)}, "a")


def test_gradients_of_another_model_are_refused_with_the_path() -> None:
    params, grads = (np.ones(2), np.ones(3)), (np.ones(2), np.ones(4))
    for optimizer in (
        optim.adamw(0.1, mask=(True, False)),
        optim.partition({"a": optim.sgd(0.1)}, "a"),
        optim.descend(optim.freeze(True)),
    ):
        with pytest.raises(TreeError, match=r"\[1\]; gradients and params must be of one model"):
            optimizer.step(params, grads, optimizer.init(params))


def test_a_transform_that_drops_leaves_is_refused_behind_a_mask() -> None:
    @optim.transform
    def drop() -> Any:
        return lambda params: (), lambda grads, state, params: ((), state)

    params = (np.ones(2), np.ones(3))
    transform = optim.masked(drop(), (True, False))
    with pytest.raises(TreeError, match="expected 1 leaves from a transform, got 0"):
        transform.update(params, transform.init(params), params)
