"""Fused layers give what they give one by one, and plans say what is fused."""

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.errors import ArgumentError, DTypeError, ShapeError
from fcnn.fusion import plan

LAYERS = [
    fcnn.conv2d(5, 3),
    fcnn.conv2d(5, 3, bias=None, padding="same"),
    fcnn.conv2d(5, 3, bias="untied", stride=2),
    fcnn.conv2d(6, 3, groups=3, flip=True),
    fcnn.conv2d(3, 3, groups=3),
    fcnn.conv2d(1, 6),
    fcnn.conv2d(4, 1),
    fcnn.batch_norm(),
    fcnn.residual(fcnn.conv2d(3, 3, padding="same")),
    fcnn.concat(fcnn.conv2d(2, 3), fcnn.conv2d(3, 3)),
    fcnn.add(fcnn.conv2d(2, 1)),
    fcnn.add(fcnn.conv2d(3, 1), fcnn.relu),
]
POOLED = [
    (fcnn.conv2d(5, 3), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(5, 3), fcnn.max_pool2d(2), fcnn.relu),
    (fcnn.conv2d(5, 3, bias=None, padding="same"), fcnn.max_pool2d((3, 2))),
    (fcnn.conv2d(6, 3, groups=3, stride=2, flip=True), fcnn.relu, fcnn.max_pool2d((1, 3))),
    (fcnn.conv2d(5, (3, 2), dilation=2), fcnn.relu, fcnn.max_pool2d(4)),
    (fcnn.conv2d(5, 3, bias="untied"), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(5, 3), fcnn.relu, fcnn.max_pool2d(3, stride=2)),
]


NORMED = [
    (fcnn.conv2d(5, 3, padding="same"), fcnn.batch_norm(), fcnn.relu),
    (fcnn.conv2d(5, 3, bias=None), fcnn.batch_norm(eps=0.1)),
    (fcnn.conv2d(6, 3, groups=3, stride=2, flip=True), fcnn.batch_norm(), fcnn.relu),
    (fcnn.conv2d(5, (3, 2), bias="untied"), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(5, 3), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(5, 3, bias=None), fcnn.batch_norm(), fcnn.max_pool2d((3, 2))),
    (fcnn.conv2d(5, 3), fcnn.batch_norm(), fcnn.max_pool2d(2), fcnn.relu),
]


def unfused(ctx):
    return attrs.evolve(ctx, fuse=False)


def run(model, params, x, ctx, dy=None):
    """``(y, dparams, dx)``, dy drawn if it is not given; apply gives the same y."""
    y, pullback = model.vjp(params, x, ctx)
    assert tree.equal(y, model.apply(params, x, ctx))
    dy = np.random.default_rng(5).standard_normal(y.shape).astype(y.dtype) if dy is None else dy
    return (y, *pullback(dy))


def assert_near(found, expected, rtol):
    assert tree.structure(found) == tree.structure(expected)
    for one, other in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        if isinstance(one, tree.Observation):
            assert one.weight == other.weight
            one, other = one.value, other.value
        near = rtol * np.abs(other).max(initial=0)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=near)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_activation_as_epilogue_changes_no_bit(layer, n, train, dtype):
    rng = np.random.default_rng(0)
    model = fcnn.serial(layer, fcnn.relu)
    params = tree.astype(model.init(fcnn.key(0), (14, 13, 3))[0], dtype)
    x = rng.standard_normal((n, 14, 13, 3)).astype(dtype)
    ctx = fcnn.Context(train=train)
    assert tree.equal(run(model, params, x, ctx), run(model, params, x, unfused(ctx)))


@pytest.mark.parametrize("layers", POOLED, ids=repr)
@pytest.mark.parametrize("n", [1, 3, 40])
def test_a_fused_pool_gives_the_same_but_for_the_rounding_of_sums(layers, n):
    model = fcnn.serial(*layers)
    params, _ = model.init(fcnn.key(0), (14, 13, 3))
    x = np.random.default_rng(0).standard_normal((n, 14, 13, 3)).astype(np.float32)
    y, *grads = run(model, params, x, fcnn.EVAL)
    expected, *expected_grads = run(model, params, x, unfused(fcnn.EVAL))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    assert_near(grads, expected_grads, 1e-4)


def trained(layers, dtype, shape=(14, 13, 3)):
    """Params with statistics as after training."""
    rng = np.random.default_rng(1)
    params, _ = fcnn.serial(*layers).init(fcnn.key(0), shape)
    moved = tree.map(
        lambda leaf: leaf + rng.random(leaf.shape, np.float32), params, statistic=lambda s: s + 0.5
    )
    return tree.astype(moved, dtype)


@pytest.mark.parametrize("layers", NORMED, ids=repr)
@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_a_batch_norm_folds_into_the_convolution_in_evaluation_alone(layers, dtype, close):
    model = fcnn.serial(*layers)
    params = trained(layers, dtype)
    x = np.random.default_rng(0).standard_normal((4, 14, 13, 3)).astype(dtype)
    for ctx in (fcnn.EVAL, fcnn.training()):
        y, *grads = run(model, params, x, ctx)
        expected, *expected_grads = run(model, params, x, unfused(ctx))
        assert_near(y, expected, close)
        assert_near(grads, expected_grads, 100 * close)
    assert not tree.equal(*(model.apply(params, x, c) for c in (fcnn.EVAL, unfused(fcnn.EVAL))))
    f = fcnn.grad(model, fcnn.losses.mean_squared_error)  # without an input gradient
    zero = np.zeros_like(model.apply(params, x))
    assert_near(f(params, x, zero), f(params, x, zero, unfused(fcnn.EVAL)), 100 * close)


RENEWED = [
    ((14, 13, 3), (fcnn.relu, fcnn.conv2d(5, 3))),
    ((14, 13, 3), (fcnn.relu, fcnn.conv2d(16, 3, padding=1, padding_mode="reflect"))),
    ((14, 13, 6), (fcnn.elu(), fcnn.conv2d(6, 3, groups=3, bias="untied", flip=True), fcnn.elu())),
    ((14, 13, 3), (fcnn.relu, fcnn.conv2d(3, 3, groups=3, stride=2, padding="same"))),
    ((40, 8), (fcnn.relu, fcnn.conv1d(9, 5, padding="causal"), fcnn.relu)),
    ((6, 7, 8, 8), (fcnn.relu, fcnn.conv3d(8, 3, padding=1, bias=None))),
]


@pytest.mark.parametrize(("shape", "rest"), RENEWED, ids=repr)
@pytest.mark.parametrize("shift", [0, 50])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_read_of_a_batch_norm_is_renewed_with_its_bits(shape, rest, shift, dtype):
    model, ctx = fcnn.serial(fcnn.batch_norm(), *rest), fcnn.training()
    assert [len(stage.layers) for stage in plan(model, train=True)] == [1 + len(rest)]
    params = trained((fcnn.batch_norm(), *rest), dtype, shape)
    x = np.random.default_rng(0).standard_normal((5, *shape)).astype(dtype) + dtype(shift)
    expected = run(model, params, x, unfused(ctx))
    assert tree.equal(run(model, params, x, ctx), expected)
    y, pullback = model.vjp(params, x, ctx)
    dy = np.random.default_rng(5).standard_normal(y.shape).astype(dtype)
    for _ in range(2):  # it may be called again
        assert tree.equal((y, *pullback(dy)), expected)
    model = fcnn.serial(model, fcnn.flatten)
    f, zero = fcnn.grad(model, fcnn.losses.mean_squared_error), np.zeros_like(y).reshape(5, -1)
    params = (params, ())  # without an input gradient
    assert tree.equal(f(params, x, zero, ctx), f(params, x, zero, unfused(ctx)))


def test_a_renewed_input_is_pooled_like_a_kept_one():
    norm = fcnn.serial(fcnn.batch_norm(), fcnn.relu)
    pooled = fcnn.serial(fcnn.conv2d(5, 3), fcnn.relu, fcnn.max_pool2d(2))
    model, ctx = fcnn.serial(norm, pooled), fcnn.training()
    assert [len(stage.layers) for stage in plan(model, train=True)] == [5]
    params = trained((norm, pooled), np.float32)
    x = np.random.default_rng(0).standard_normal((4, 14, 13, 3)).astype(np.float32)
    between, pull_norm = norm.vjp(params[0], x, ctx)
    y, pull = pooled.vjp(params[1], between, ctx)
    dy = np.random.default_rng(5).standard_normal(y.shape).astype(np.float32)
    dpooled, dbetween = pull(dy)
    dnorm, dx = pull_norm(dbetween)
    assert tree.equal(run(model, params, x, ctx, dy), (y, (dnorm, dpooled), dx))


def test_an_error_behind_a_batch_norm_names_the_convolution():
    model = fcnn.serial(fcnn.batch_norm(), fcnn.relu, fcnn.conv2d(4, 3), fcnn.max_pool2d(5))
    params, x = trained(model.layers[:3], np.float32), np.ones((2, 14, 13, 3), np.float32)
    for call in (model.apply, model.vjp):
        with pytest.raises(ShapeError, match=r"^serial\[0\] batch_norm\(\): expected 3 channels"):
            call((*params, ()), x[..., :2], fcnn.training())
        with pytest.raises(ShapeError, match=r"^serial\[2\] conv2d\(4, 3\): expected a w"):
            call((*params, ()), x[:, :2], fcnn.training())
        with pytest.raises(ShapeError, match=r"^serial\[3\] max_pool2d\(5\): expected a w"):
            call((*params, ()), x[:, :6], fcnn.training())


COMPOSED = [
    (fcnn.conv2d(16, 8), fcnn.conv2d(8, 4, stride=2)),
    (fcnn.conv2d(16, 5, bias=None), fcnn.conv2d(2, 2, stride=2, bias="untied"), fcnn.relu),
    (fcnn.conv2d(9, 4, stride=2, padding="same", flip=True), fcnn.conv2d(2, 2, bias=None)),
    (fcnn.conv2d(16, (4, 3), stride=(3, 1), padding=2), fcnn.conv2d(2, 2, flip=True), fcnn.elu()),
    (fcnn.conv2d(9, 5, padding=2, padding_mode="reflect"), fcnn.conv2d(1, 2), fcnn.relu),
    (fcnn.conv2d(9, 3, bias=None), fcnn.conv2d(1, 2, bias=None), fcnn.max_pool2d((3, 2))),
    (fcnn.conv2d(12, 3), fcnn.conv2d(2, 1, padding=0), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(12, 3), fcnn.conv2d(2, 2, bias=None), fcnn.max_pool2d(2), fcnn.relu6),
]


@pytest.mark.parametrize("layers", COMPOSED, ids=repr)
def test_two_convolutions_are_one(layers):
    model, shape = fcnn.serial(*layers), (13, 12, 3)
    for train in (True, False):
        assert [len(stage.layers) for stage in plan(model, train=train)] == [len(layers)]
    fcnn.testing.check_fusion(model, shape)
    fcnn.testing.check_layer(model, shape)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (fcnn.conv2d(16, 3), fcnn.conv2d(8, 3)),  # more multiplications as one
        (fcnn.conv2d(16, 3), fcnn.conv2d(4, 3)),  # not less than half
        (fcnn.conv2d(2, 8), fcnn.conv2d(1, 1, stride=1, padding=1)),
        (fcnn.conv2d(16, 8), fcnn.conv2d(8, 4, stride=2, padding="same")),
        (fcnn.conv2d(16, 8, bias="untied"), fcnn.conv2d(8, 4, stride=2)),
        (fcnn.conv2d(16, 8, dilation=2), fcnn.conv2d(1, 1)),
        (fcnn.conv2d(16, 8), fcnn.conv2d(1, 2, dilation=2)),
        (fcnn.conv2d(16, 8, groups=2), fcnn.conv2d(1, 2)),
        (fcnn.conv2d(16, 8), fcnn.conv2d(2, 2, groups=2)),
        (fcnn.conv2d(64, 2, stride=3), fcnn.conv2d(1, 2)),
    ],
    ids=repr,
)
def test_two_convolutions_stay_two(first, second):
    assert len(plan(fcnn.serial(first, second), train=False)) == 2


def test_nan_goes_where_two_convolutions_put_it():
    model = fcnn.serial(fcnn.conv2d(9, (3, 4), stride=3), fcnn.conv2d(2, 2))
    params, _ = model.init(fcnn.key(0), (12, 13, 1))
    x = np.random.default_rng(0).standard_normal((5, 12, 13, 1)).astype(np.float32)
    x[1, 4, 5], x[3, 9, 9] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, expected = [model.apply(params, x, c) for c in (fcnn.EVAL, unfused(fcnn.EVAL))]
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
    assert 0 < np.isfinite(y).mean() < 1


def test_an_error_in_two_convolutions_names_the_one():
    model = fcnn.serial(*COMPOSED[0])
    params, _ = model.init(fcnn.key(0), (13, 12, 3))
    x = np.ones((1, 13, 12, 3), np.float32)
    for call in (model.apply, model.vjp):
        with pytest.raises(ShapeError, match=r"^serial\[0\] conv2d\(16, 8\): expected images"):
            call(params, x[..., :2])
        with pytest.raises(ShapeError, match=r"^serial\[1\] conv2d\(8, 4, stride=2\): expected i"):
            call((params[0], params[0]), x)
        with pytest.raises(
            ShapeError, match=r"^serial\[1\] conv2d\(8, 4, stride=2\): expected a w"
        ):
            call(params, x[:, :10])


CONV, NORM, POOL, RELU = fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.max_pool2d(2), fcnn.relu
OTHER = fcnn.dropout(0.5)


@pytest.mark.parametrize(
    ("layers", "training", "evaluation"),
    [
        ((CONV, RELU), [2], [2]),
        ((CONV, POOL), [2], [2]),
        ((CONV, RELU, POOL), [3], [3]),
        ((CONV, POOL, RELU), [3], [3]),
        ((CONV, NORM), [1, 1], [2]),
        ((CONV, NORM, RELU), [1, 2], [3]),
        ((CONV, NORM, RELU, POOL), [1, 2, 1], [4]),
        ((CONV, NORM, POOL, RELU), [1, 1, 1, 1], [4]),
        ((NORM, RELU, CONV), [3], [2, 1]),
        ((CONV, NORM, RELU, CONV, NORM, RELU, POOL), [1, 3, 2, 1], [3, 4]),
        ((NORM, RELU, CONV, RELU, POOL), [5], [2, 3]),
        ((NORM, RELU, fcnn.conv2d(4, 3, bias="untied"), RELU, POOL), [4, 1], [2, 2, 1]),
        ((fcnn.add(CONV, CONV), RELU), [2], [2]),
        ((fcnn.residual(NORM), RELU), [2], [2]),
        ((fcnn.concat(CONV, CONV), RELU), [2], [2]),
        ((fcnn.add(CONV), RELU), [1, 1], [1, 1]),
        ((fcnn.multiply(CONV, CONV), RELU), [1, 1], [1, 1]),
        ((CONV, OTHER, RELU), [1, 1, 1], [1, 1, 1]),
        ((CONV, fcnn.tanh), [1, 1], [1, 1]),
        ((CONV, RELU, fcnn.max_pool2d(3, stride=2)), [2, 1], [2, 1]),
        ((CONV, RELU, fcnn.max_pool2d(2, padding="same")), [2, 1], [2, 1]),
        ((CONV, RELU, fcnn.avg_pool2d(2)), [2, 1], [2, 1]),
        ((fcnn.conv2d(4, 3, bias="untied"), RELU, POOL), [2, 1], [2, 1]),
        ((RELU, CONV, RELU, RELU), [1, 2, 1], [1, 2, 1]),
        ((), [], []),
    ],
    ids=str,
)
def test_a_plan_says_which_layers_run_as_one(layers, training, evaluation):
    for model in (fcnn.serial(*layers), fcnn.serial(fcnn.serial(*layers[:2]), *layers[2:])):
        for train, lengths in ((True, training), (False, evaluation)):
            stages = plan(model, train=train)
            assert [len(stage.layers) for stage in stages] == lengths
            assert [each for stage in stages for each in stage.layers] == list(layers)
            assert [len(s.layers) for s in plan(model, train=train, fuse=False)] == [1] * len(
                layers
            )


def test_a_plan_prints():
    model = fcnn.serial(CONV, fcnn.serial(NORM, RELU), fcnn.named("head", fcnn.dense(3)))
    assert str(plan(model, train=True)).splitlines() == [
        "serial[0]              conv2d(4, 3)",
        "serial[1].serial[0:2]  batch_norm() + relu",
        "head                   dense(3)",
    ]
    assert str(plan(model, train=False)).splitlines() == [
        "serial[0] … serial[1].serial[1]  conv2d(4, 3) + batch_norm() + relu",
        "head                             dense(3)",
    ]
    assert str(plan(model[:1], train=True)) == "serial[0]  conv2d(4, 3)"
    block = fcnn.residual(CONV, NORM, shortcut=CONV)
    assert str(plan(fcnn.serial(block, RELU), train=False)).splitlines() == [
        "serial[0:2]                          residual(conv2d(4, 3), batch_norm(), "
        "shortcut=conv2d(4, 3)) + relu",
        "  serial[0].residual[0]              conv2d(4, 3)",
        "  serial[0].residual[1].serial[0:2]  conv2d(4, 3) + batch_norm()",
    ]
    assert str(plan(CONV, train=True)) == "model  conv2d(4, 3)"


@pytest.mark.parametrize("train", [False, True])
def test_what_is_nested_runs_as_what_is_flat(train, rng):
    layers = (CONV, NORM, RELU, POOL, fcnn.conv2d(3, 2), RELU, OTHER)
    flat = fcnn.serial(*layers)
    nested = fcnn.serial(
        CONV,
        fcnn.serial(NORM, fcnn.serial(RELU, POOL)),
        fcnn.serial(fcnn.conv2d(3, 2)),
        RELU,
        OTHER,
    )
    (a, b, c, d, e, f, g), _ = flat.init(fcnn.key(0), (12, 12, 2))
    x = rng.normal(size=(3, 12, 12, 2)).astype(np.float32)
    ctx = fcnn.Context(train=train, key=fcnn.key(1))
    y, grads, dx = run(flat, (a, b, c, d, e, f, g), x, ctx)
    params = (a, (b, (c, d)), (e,), f, g)
    if train:  # dropout draws by its place
        ctx_of_nested = fcnn.Context(train=True, key=fcnn.key(1))
        y_nested, pullback = nested[:4].vjp(params[:4], x, ctx_of_nested)
        y_flat, pullback_flat = flat[:6].vjp((a, b, c, d, e, f), x, ctx)
        dy = rng.normal(size=y_flat.shape).astype(np.float32)
        (na, (nb, (nc, nd)), (ne,), nf), ndx = pullback(dy)
        assert tree.equal((y_nested, (na, nb, nc, nd, ne, nf), ndx), (y_flat, *pullback_flat(dy)))
        return
    found, (na, (nb, (nc, nd)), (ne,), nf, ng), ndx = run(nested, params, x, ctx)
    assert tree.equal((found, (na, nb, nc, nd, ne, nf, ng), ndx), (y, grads, dx))


def test_a_users_rule_takes_part_and_the_longest_wins(monkeypatch):
    monkeypatch.setattr(fcnn.fusion, "_RULES", list(fcnn.fusion._RULES))
    asked = []

    @fcnn.fusion.rule(fcnn.tanh, fcnn.sigmoid)
    def make(first, second):
        asked.append((first, second))

        def apply(params, x, ctx):
            return second.apply(params[1], first.apply(params[0], x, ctx), ctx)

        def vjp(params, x, ctx):
            y, one = first.vjp(params[0], x, ctx)
            z, two = second.vjp(params[1], y, ctx)

            def pullback(dz):
                _, dy = two(dz)
                _, dx = one(dy)
                return ((), ()), dx

            return z, pullback

        return fcnn.fusion.Fused(apply, vjp)

    model = fcnn.serial(fcnn.tanh, fcnn.sigmoid, fcnn.tanh)
    assert [len(stage.layers) for stage in plan(model, train=True)] == [2, 1]
    assert set(asked) == {(fcnn.tanh, fcnn.sigmoid)}
    fcnn.testing.check_layer(model, (3,))
    with pytest.raises(ArgumentError, match="two layers or more"):
        fcnn.fusion.rule(fcnn.tanh)


def test_a_fused_model_prints_and_has_the_params_of_its_layers():
    model = fcnn.serial(fcnn.conv2d(5, 3), fcnn.relu)
    assert repr(model) == "serial(conv2d(5, 3), relu)"
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    assert len(params) == len(model) == 2
    _, pullback = model.vjp(params, np.ones((2, 8, 8, 1), np.float32))
    grads, _ = pullback(np.ones((2, 6, 6, 5), np.float32))
    assert tree.structure(grads) == tree.structure(params)


def test_ties_go_to_the_first_place_row_by_row():
    """All four windows of ones tie; the filter of one element says where each gradient went."""
    model = fcnn.serial(fcnn.conv2d(1, 1, bias=None), fcnn.relu, fcnn.max_pool2d(2))
    params, _ = model.init(fcnn.key(0), (4, 4, 1))
    params = (type(params[0])(np.ones((1, 1, 1, 1), np.float32), ()), *params[1:])
    x = np.ones((1, 4, 4, 1), np.float32)
    x[0, :2, :2, 0] = [[0, 1], [1, 0]]
    _, pullback = model.vjp(params, x)
    _, dx = pullback(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32).reshape(1, 2, 2, 1))
    expected = [[0, 1, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


@pytest.mark.parametrize("with_relu", [False, True])
@pytest.mark.parametrize("with_norm", [False, True])
def test_an_error_names_the_layer_it_comes_from(with_relu, with_norm):
    layers = (
        fcnn.conv2d(2, 3),
        *([fcnn.batch_norm()] if with_norm else []),
        *([fcnn.relu] if with_relu else []),
        fcnn.max_pool2d(5),
    )
    model = fcnn.serial(*layers)
    params, _ = model.init(fcnn.key(0), (9, 9, 1))
    for call in (model.apply, model.vjp):
        with pytest.raises(ShapeError, match=rf"^serial\[{len(layers) - 1}\] max_pool2d\(5\): "):
            call(params, np.ones((1, 6, 6, 1), np.float32))
        with pytest.raises(ShapeError, match=r"^serial\[0\] conv2d\(2, 3\): expected images"):
            call(params, np.ones((1, 6, 6, 4), np.float32))
    nested = fcnn.serial(fcnn.relu, fcnn.serial(*layers))
    with pytest.raises(ShapeError, match=rf"^serial\[1\].serial\[{len(layers) - 1}\] max_pool"):
        nested.apply(((), params), np.ones((1, 6, 6, 1), np.float32))


def test_an_error_in_a_folded_batch_norm_names_it():
    model = fcnn.serial(fcnn.conv2d(2, 3), fcnn.batch_norm(), fcnn.relu)
    params, _ = model.init(fcnn.key(0), (9, 9, 1))
    x = np.ones((1, 9, 9, 1), np.float32)
    other, _ = fcnn.batch_norm().init(fcnn.key(0), (9, 9, 1))
    for call in (model.apply, model.vjp):
        with pytest.raises(ShapeError, match=r"serial\[1\] batch_norm\(\): expected 1 channels"):
            call((params[0], other, params[2]), x)
        with pytest.raises(DTypeError, match=r"serial\[1\] batch_norm\(\): expected an input"):
            call((params[0], tree.astype(params[1], np.float64), params[2]), x)


@pytest.mark.parametrize("error", [MemoryError("no room"), ShapeError("odd")])
def test_an_error_in_a_fused_run_runs_nothing_twice(error, monkeypatch):
    calls = []

    def fails(*args, **kwargs):
        calls.append(args)
        raise error

    monkeypatch.setattr("fcnn.layers.fused.correlate_pooled", fails)
    model = fcnn.serial(CONV, RELU, POOL)
    params, _ = model.init(fcnn.key(0), (9, 9, 1))
    with pytest.raises(type(error)) as caught:
        model.apply(params, np.ones((1, 9, 9, 1), np.float32))
    assert len(calls) == 1
    if isinstance(error, MemoryError):
        assert caught.value.__notes__ == [
            "in serial[0] conv2d(4, 3) + serial[1] relu + serial[2] max_pool2d(2)"
        ]
    else:
        assert str(caught.value) == "serial[0] conv2d(4, 3): odd"


def test_a_gradient_in_evaluation_runs_the_convolution_once(monkeypatch):
    from fcnn._ops.conv_nd import KERNELS

    calls = []
    real = KERNELS[2].correlate

    def counted(*args, **kwargs):
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setitem(KERNELS, 2, KERNELS[2]._replace(correlate=counted))
    model = fcnn.serial(CONV, NORM, RELU)
    params, _ = model.init(fcnn.key(0), (9, 9, 1))
    y, pullback = model.vjp(params, np.ones((2, 9, 9, 1), np.float32))
    pullback(np.ones_like(y))
    assert len(calls) == 1


def test_statistics_of_another_precision_fold_too():
    layers = (fcnn.conv2d(2, 3), fcnn.batch_norm())
    params, _ = fcnn.serial(*layers).init(fcnn.key(0), (9, 9, 1))
    norm = params[1]
    wide = type(norm)(norm.scale, norm.bias, norm.mean.astype(np.float64), norm.var)
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 1)).astype(np.float32)
    y = fcnn.serial(*layers).apply((params[0], wide), x)
    expected = fcnn.serial(*layers).apply((params[0], wide), x, unfused(fcnn.EVAL))
    assert y.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


RECTIFIERS = [
    fcnn.relu6, fcnn.leaky_relu(), fcnn.leaky_relu(0.0), fcnn.leaky_relu(1.5), fcnn.elu(),
    fcnn.elu(0.3), fcnn.selu, fcnn.celu(0.4),
]  # fmt: skip


@pytest.mark.parametrize("activation", RECTIFIERS, ids=repr)
def test_every_rectifier_is_an_epilogue(activation):
    """With the same bits where it is all that is fused; with pools and norms as relu is."""
    rng = np.random.default_rng(0)
    x = 3 * rng.standard_normal((5, 14, 13, 3)).astype(np.float32)
    for layer in (fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.add(fcnn.relu, fcnn.conv2d(3, 1))):
        model = fcnn.serial(layer, activation)
        assert [len(stage.layers) for stage in plan(model, train=True)] == [2]
        params, _ = model.init(fcnn.key(0), (14, 13, 3))
        for ctx in (fcnn.EVAL, fcnn.training()):
            assert tree.equal(run(model, params, x, ctx), run(model, params, x, unfused(ctx)))
    pooled = fcnn.serial(fcnn.conv2d(4, 3), fcnn.batch_norm(), activation, fcnn.max_pool2d(2))
    swapped = fcnn.serial(fcnn.conv2d(4, 3), fcnn.max_pool2d(2), activation)
    assert [len(stage.layers) for stage in plan(pooled, train=False)] == [4]
    assert [len(stage.layers) for stage in plan(swapped, train=True)] == [3]
    for model in (pooled, swapped):
        fcnn.testing.check_fusion(model, (8, 7, 2))


def test_rules_are_copied_for_another_layer():
    assert str(plan(fcnn.serial(fcnn.conv2d(3, 1), fcnn.silu), train=True)).count("+") == 0
    rules = fcnn.fusion._RULES
    named = [sum(fcnn.relu in each.pattern for each in rules)]
    named += [sum(each in known.pattern for known in rules) for each in (fcnn.elu, fcnn.relu6)]
    assert len(set(named)) == 1
    assert named[0] >= 9
