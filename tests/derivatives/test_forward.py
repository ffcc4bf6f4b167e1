from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import fcnn
from fcnn import key, tree
from fcnn._derivatives import candidates, forward, kinds
from fcnn._walk import Part, combinator
from fcnn.errors import ArgumentError, TreeError
from fcnn.testing._points import map_shape

from .conftest import doubles, like, tensor, tensors, weights

CASES = Path(__file__).parent.parent / "layers" / "cases"
TABLE = [case for path in sorted(CASES.glob("*.py")) for case in run_path(str(path))["CASES"]]
CONTEXTS = {"evaluation": fcnn.EVAL, "training": fcnn.training(key(3))}


def differences(model, params, x, dparams, dx, ctx, h=1e-6):
    def move(a, d, t):
        return a + t * d if a.dtype.kind == "f" else a

    def at(t):
        moved = tree.map(lambda p, d: p + t * d, params, dparams, statistic=lambda p, d: p)
        return model.apply(moved, tree.map(lambda a, d: move(a, d, t), x, dx), ctx)

    return tree.map(lambda a, b: (a - b) / (2 * h), at(h), at(-h))


def drawn(model, shape, rng, n=3):
    params = doubles(model, shape, rng)
    x = map_shape(lambda one: rng.normal(size=(n, *one)), shape)
    return params, x, like(params, rng), like(x, rng)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("train", [False, True])
def test_is_the_forward_mode_of_torch(net, rng, train):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    dparams, dx = like(net.params, rng), rng.normal(size=net.x.shape)
    ctx = fcnn.training(key(0)) if train else fcnn.EVAL
    y, dy = fcnn.jvp(net.model)(net.params, net.x, dparams, dx, ctx)
    expected = torch.func.jvp(
        lambda leaves, x: net.torch(leaves, x, train),
        (tensors(net.params), tensor(net.x)),
        (tensors(dparams), tensor(dx)),
    )
    np.testing.assert_allclose(y, expected[0].numpy(), atol=1e-11)
    np.testing.assert_allclose(dy, expected[1].numpy(), atol=1e-11)


@pytest.mark.parametrize("ctx", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=str)
def test_every_layer_against_differences(layer, shape, rng, ctx):
    try:
        params, x, dparams, dx = drawn(layer, shape, rng)
        y, dy = fcnn.jvp(layer)(params, x, dparams, dx, ctx)
    except fcnn.errors.DTypeError:  # it takes whole numbers
        x = map_shape(lambda one: np.zeros((3, *one), np.int64), shape)
        dx = tree.zeros_like(x)
        y, dy = fcnn.jvp(layer)(params, x, dparams, None, ctx)
    np.testing.assert_array_equal(tree.leaves(y)[0], tree.leaves(layer.apply(params, x, ctx))[0])
    expected = differences(layer, params, x, dparams, dx, ctx)
    assert tree.structure(dy) == tree.structure(expected)
    assert tree.allclose(dy, expected, rtol=1e-6, atol=1e-6)


def refuse(*_):
    raise AssertionError("a row was pulled back by itself")


class TestKinds:
    @pytest.mark.parametrize(
        "layer",
        [
            fcnn.relu, fcnn.tanh, fcnn.softmax, fcnn.log_softmax, fcnn.dense(3), fcnn.flatten,
            fcnn.conv2d(3, 2), fcnn.max_pool2d(3, stride=1, padding=1), fcnn.avg_pool2d(2),
            fcnn.batch_norm(), fcnn.dropout(0.5), fcnn.layer_norm(), fcnn.group_norm(3),
            fcnn.gelu(), fcnn.prelu(), fcnn.conv_transpose2d(2, 3), fcnn.upsample2d(2),
            fcnn.global_avg_pool(), fcnn.global_max_pool(), fcnn.frozen(fcnn.conv2d(2, 2)),
            fcnn.checkpointed(fcnn.serial(fcnn.dense(3), fcnn.tanh, fcnn.dense(2))),
        ],
        ids=str,
    )  # fmt: skip
    @pytest.mark.parametrize("ctx", CONTEXTS.values(), ids=CONTEXTS)
    def test_layers_of_a_known_kind_need_no_row_by_row(self, layer, ctx, rng, monkeypatch):
        monkeypatch.setattr(candidates, "row_by_row", refuse)
        params, x, dparams, dx = drawn(layer, (4, 4, 3), rng)
        fcnn.jvp(layer)(params, x, dparams, dx, ctx)

    @pytest.mark.parametrize(
        "layer",
        [
            fcnn.tanh, fcnn.dense(3), fcnn.conv2d(3, 2), fcnn.avg_pool2d(2), fcnn.batch_norm(),
            fcnn.dropout(0.5), fcnn.layer_norm(scale=False), fcnn.add(fcnn.relu, fcnn.tanh),
        ],
        ids=str,
    )  # fmt: skip
    @pytest.mark.parametrize("ctx", CONTEXTS.values(), ids=CONTEXTS)
    def test_a_users_layer_of_the_same_kind_gets_the_same(self, layer, ctx, rng, monkeypatch):
        params, x, dparams, dx = drawn(layer, (4, 4, 3), rng)
        expected = fcnn.jvp(layer)(params, x, dparams, dx, ctx)[1]
        monkeypatch.setattr(candidates, "row_by_row", refuse)
        monkeypatch.setattr(kinds, "product", lambda *_: None)
        found = fcnn.jvp(layer)(params, x, dparams, dx, ctx)[1]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)

    def test_a_layer_by_a_name_of_ours_is_not_taken_for_ours(self, rng):
        @fcnn.layer
        def dense():
            return tuple(fcnn.tanh)

        x, dx = rng.normal(size=(2, 3, 4))
        y, dy = fcnn.jvp(dense())((), x, None, dx)
        np.testing.assert_allclose(dy, (1 - y**2) * dx, rtol=1e-12)

    def test_ties_of_max_pooling_take_the_element_that_the_pullback_takes(self, rng, monkeypatch):
        monkeypatch.setattr(candidates, "row_by_row", refuse)
        monkeypatch.setattr(candidates, "_rows_at_once", refuse)
        pool = fcnn.max_pool2d(2, stride=1)
        x = rng.integers(0, 2, (2, 5, 5, 1)).astype(float)
        dx, dy = rng.normal(size=x.shape), rng.normal(size=(2, 4, 4, 1))
        tangent = fcnn.jvp(pool)((), x, None, dx)[1]
        pulled = pool.vjp((), x)[1](dy)[1]
        assert np.vdot(tangent, dy) == pytest.approx(np.vdot(pulled, dx), rel=1e-12)
        assert set(tangent.ravel()) <= set(dx.ravel())

    def test_a_scale_of_zero(self, rng):
        norm = fcnn.batch_norm()
        params, x, dparams, dx = drawn(norm, (4,), rng, 6)
        params = fcnn.BatchNormParams(params.scale * [1, 0, 1, 0], *tree.leaves(params)[1:])
        ctx = fcnn.training()
        tangent = fcnn.jvp(norm)(params, x, dparams, dx, ctx)[1]
        expected = differences(norm, params, x, dparams, dx, ctx)
        np.testing.assert_allclose(tangent, expected, rtol=1e-7, atol=1e-7)


@fcnn.layer
def mixing():
    """y[i, j] = x[i, j] · Σ x[:, j+1] · params²: neither affine nor symmetric, and examples mix."""

    def init(key, shape):
        return np.ones(shape, np.float32), shape

    def apply(params, x, ctx=fcnn.EVAL):
        return x * np.roll(x, -1, axis=1).sum(axis=0) * params**2

    def vjp(params, x, ctx=fcnn.EVAL):
        total = np.roll(x, -1, axis=1).sum(axis=0)

        def pullback(dy):
            dtotal = (dy * x * params**2).sum(axis=0)
            dx = dy * total * params**2 + np.roll(dtotal, 1)
            return (dy * x * total).sum(axis=0) * 2 * params, dx

        return apply(params, x), pullback

    return init, apply, vjp


class TestUsersLayers:
    def test_a_layer_of_no_known_kind(self, rng, monkeypatch):
        calls = []
        by_row = candidates.row_by_row
        monkeypatch.setattr(candidates, "row_by_row", lambda *a: calls.append(1) or by_row(*a))
        params, x, dparams, dx = drawn(mixing(), (3,), rng)
        tangent = fcnn.jvp(mixing())(params, x, dparams, dx)[1]
        exact = (
            dx * np.roll(x, -1, axis=1).sum(axis=0) * params**2
            + x * np.roll(dx, -1, axis=1).sum(axis=0) * params**2
            + x * np.roll(x, -1, axis=1).sum(axis=0) * 2 * params * dparams
        )
        np.testing.assert_allclose(tangent, exact, rtol=1e-12, atol=1e-13)
        assert len(calls) == 2

    def test_a_wrapper_that_does_more_than_its_layer(self):
        tangents = []
        for constructor in (halving, wrapping):
            model = fcnn.serial(constructor(fcnn.serial(fcnn.dense(3), fcnn.tanh)), fcnn.dense(1))
            params, x, dparams, dx = drawn(model, (2,), np.random.default_rng(1))
            zero = tree.zeros_like(dparams[1])
            tangents.append(fcnn.jvp(model)(params, x, (dparams[0], zero), dx)[1])
        np.testing.assert_allclose(2 * tangents[0], tangents[1], rtol=1e-12)

    def test_a_wrapper_that_stops_gradients(self, rng):
        @fcnn.layer
        def stopping(inner):
            def vjp(params, x, ctx=fcnn.EVAL):
                y, _ = inner.vjp(params, x, ctx)
                return y, lambda dy: (tree.zeros_like(params), np.zeros_like(x))

            return inner.init, inner.apply, vjp

        model = stopping(fcnn.dense(3))
        params, x, dparams, dx = drawn(model, (2,), rng)
        assert not fcnn.jvp(model)(params, x, dparams, dx)[1].any()


@fcnn.layer
def halving(inner):
    def vjp(params, x, ctx=fcnn.EVAL):
        y, pullback = inner.vjp(params, x, ctx)
        return y / 2, lambda dy: pullback(dy / 2)

    return inner.init, lambda params, x, ctx=fcnn.EVAL: inner.apply(params, x, ctx) / 2, vjp


@fcnn.layer
def wrapping(inner):
    return inner.init, inner.apply, inner.vjp


for _made in (halving, wrapping):
    combinator(_made, wiring="branches")(
        lambda model: [Part("", model.spec.arguments["inner"], ())]
    )


class TestContract:
    def test_none_is_a_tangent_of_zero(self, net, rng):
        f = fcnn.jvp(net.model)
        dparams, dx = like(net.params, rng), like(net.x, rng)
        both = f(net.params, net.x, dparams, dx)[1]
        one, other = (f(net.params, net.x, *each)[1] for each in ((dparams, None), (None, dx)))
        np.testing.assert_allclose(one + other, both, atol=1e-11)
        assert not f(net.params, net.x, None, None)[1].any()

    def test_statistics_have_no_tangent(self, net, rng):
        dparams = like(net.params, rng)
        still = tree.map(lambda d: d, dparams, statistic=lambda d: np.full_like(d, np.nan))
        f = fcnn.jvp(net.model)
        one, other = (f(net.params, net.x, each, None)[1] for each in (dparams, still))
        np.testing.assert_array_equal(one, other)

    def test_shared_params_move_in_all_their_places(self, rng):
        tied = fcnn.shared(fcnn.dense(3))
        model = fcnn.serial(tied, fcnn.tanh, fcnn.residual(tied))
        params, x, dparams, dx = drawn(model, (3,), rng)
        tangent = fcnn.jvp(model)(params, x, dparams, dx)[1]
        expected = differences(model, params, x, dparams, dx, fcnn.EVAL)
        np.testing.assert_allclose(tangent, expected, rtol=1e-7, atol=1e-8)

    def test_trees_of_inputs_and_outputs(self, rng):
        model = fcnn.serial(
            fcnn.itemwise(a=fcnn.dense(3), b=fcnn.tanh),
            fcnn.multiply(),
            fcnn.fanout(left=fcnn.dense(2), right=fcnn.softmax),
        )
        params, x, dparams, dx = drawn(model, {"a": (2,), "b": (3,)}, rng)
        tangent = fcnn.jvp(model)(params, x, dparams, dx)[1]
        expected = differences(model, params, x, dparams, dx, fcnn.EVAL)
        assert tree.allclose(tangent, expected, rtol=1e-7, atol=1e-8)

    def test_keeps_the_dtype_and_its_arguments(self, rng):
        model = fcnn.serial(fcnn.dense(3), fcnn.tanh)
        params, x, dparams, dx = tree.astype(drawn(model, (2,), rng), np.float32)
        before = tree.digest((params, x, dparams, dx))
        y, dy = fcnn.jvp(model)(params, x, dparams, dx)
        assert y.dtype == dy.dtype == np.float32
        assert tree.digest((params, x, dparams, dx)) == before
        wide = tree.astype((params, x, dparams, dx), np.float64)
        np.testing.assert_allclose(dy, fcnn.jvp(model)(*wide)[1], rtol=1e-6)

    def test_refusals(self, net):
        with pytest.raises(ArgumentError, match="expected a layer as the model"):
            fcnn.jvp(fcnn.dense)
        with pytest.raises(TreeError):
            fcnn.jvp(net.model)(net.params, net.x, (), None)
        with pytest.raises(ArgumentError, match="expected a Context"):
            fcnn.jvp(net.model)(net.params, net.x, None, None, True)

    def test_a_wrong_candidate_does_not_hold(self, rng):
        norm = fcnn.serial(fcnn.dense(3), fcnn.tanh)
        params, x, dparams, dx = drawn(norm, (2,), rng)
        certificate = forward._Certificate(forward.point(norm, params, x, fcnn.EVAL))
        right = fcnn.jvp(norm)(params, x, dparams, dx)[1]
        assert certificate.holds(right, dparams, dx)
        for place in np.ndindex(right.shape):
            wrong = right.copy()
            wrong[place] += 1e-9
            assert not certificate.holds(wrong, dparams, dx)
        assert not certificate.holds(np.full_like(right, np.nan), dparams, dx)
        assert len(weights(params)) == 2
