import numpy as np
import pytest

import fcnn
from fcnn import explain, key, tree
from fcnn._walk import Part, combinator
from fcnn.errors import ArgumentError, MissingKeyError, ShapeError

CNN = fcnn.serial(
    fcnn.conv2d(4, 3),
    fcnn.tanh,
    fcnn.named("last", fcnn.conv2d(5, 3)),
    fcnn.relu,
    fcnn.flatten,
    fcnn.dense(3),
)
SHAPE = (8, 8, 2)


@pytest.fixture
def params():
    return tree.astype(CNN.init(key(0), SHAPE)[0], np.float64)


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, *SHAPE))


@pytest.fixture
def affine(rng):
    model = fcnn.serial(fcnn.flatten, fcnn.dense(4))
    weight = rng.normal(size=(2 * 3 * 1, 4))
    return model, ((), fcnn.DenseParams(weight, rng.normal(size=4))), rng.normal(size=(3, 2, 3, 1))


def twin(params, x):
    """The CNN in PyTorch: its scores, and the feature maps before the relu."""
    import torch
    from torch.nn import functional

    w1, b1, w2, b2, w3, b3 = (torch.tensor(leaf.copy()) for leaf in tree.leaves(params))
    h = functional.conv2d(x.permute(0, 3, 1, 2), w1.permute(3, 2, 0, 1), b1).tanh()
    maps = functional.conv2d(h, w2.permute(3, 2, 0, 1), b2)
    maps.retain_grad()
    y = maps.relu().permute(0, 2, 3, 1).reshape(len(x), -1) @ w3 + b3
    return y, maps


class TestOfAnAffineModel:
    """Every attribution is known: the weight, or the input times the weight."""

    def test_saliency_is_the_weight(self, affine):
        model, params, x = affine
        for target in range(4):
            weight = params[1].weight[:, target].reshape(2, 3, 1)
            found = explain.saliency(model, params, x, target=target)
            np.testing.assert_array_equal(found, np.broadcast_to(weight, x.shape))

    def test_so_is_smoothgrad(self, affine):
        model, params, x = affine
        found = explain.smoothgrad(model, params, x, key=key(0), target=1)
        weight = params[1].weight[:, 1].reshape(2, 3, 1)
        np.testing.assert_allclose(found, np.broadcast_to(weight, x.shape), rtol=1e-13)

    def test_the_noise_of_smoothgrad_does_not_change_the_class(self):
        params = fcnn.DenseParams(np.array([[1.0, -1.0], [1.0, -1.0]]), np.array([0.01, 0.0]))
        x = np.array([[2.0, -2.0]])
        found = explain.smoothgrad(fcnn.dense(2), params, x, key=key(0), noise=1.0)
        np.testing.assert_allclose(found, [[1.0, 1.0]], rtol=1e-13)

    def test_integrated_gradients_are_differences_times_weights(self, affine, rng):
        model, params, x = affine
        base = rng.normal(size=(2, 3, 1))
        found = explain.integrated_gradients(
            model, params, x, target=[0, 1, 2], baseline=base, steps=1
        )
        weight = params[1].weight.T[:3].reshape(3, 2, 3, 1)
        np.testing.assert_allclose(found, (x - base) * weight, rtol=1e-12)

    def test_occlusion_is_what_the_window_adds(self, affine):
        model, params, x = affine
        found = explain.occlusion(model, params, x, window=(1, 2), stride=1, target=2, fill=0.5)
        parts = (x - 0.5)[..., 0] * params[1].weight[:, 2].reshape(2, 3)
        np.testing.assert_allclose(found, parts[:, :, :2] + parts[:, :, 1:], atol=1e-13)

    def test_activation_maximisation_goes_along_the_weight(self, affine):
        model, params, x = affine
        found = explain.activation_maximisation(
            model, params, x.shape[1:], key=key(0), target=3, steps=400, penalty=1.0,
            dtype=np.float64,
        )  # fmt: skip
        weight = params[1].weight[:, 3].reshape(2, 3, 1)
        np.testing.assert_allclose(found, weight / np.sqrt(np.mean(weight**2)), rtol=1e-10)

    def test_the_highest_score_is_the_default(self, affine):
        model, params, x = affine
        best = model.apply(params, x).argmax(axis=1)
        np.testing.assert_array_equal(
            explain.saliency(model, params, x), explain.saliency(model, params, x, target=best)
        )


class TestAgainstTorch:
    """The formulas once more, by PyTorch's automatic differentiation."""

    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip("torch", exc_type=ImportError)

    def test_saliency(self, params, x, torch):
        at = torch.tensor(x, requires_grad=True)
        y, _ = twin(params, at)
        y[torch.arange(3), torch.tensor([2, 0, 1])].sum().backward()
        found = explain.saliency(CNN, params, x, target=np.array([2, 0, 1]))
        np.testing.assert_allclose(found, at.grad.numpy(), atol=1e-12)

    def test_smoothgrad(self, params, x, torch):
        found = explain.smoothgrad(CNN, params, x, key=key(7), target=1, noise=0.3, samples=4)
        total = 0
        for i in range(4):
            span = np.ptp(x, axis=(1, 2, 3), keepdims=True)
            noise = fcnn.prng.normal(fcnn.fold_in(key(7), i), x.shape, dtype=np.float64)
            at = torch.tensor(x + 0.3 * span * noise, requires_grad=True)
            twin(params, at)[0][:, 1].sum().backward()
            total = total + at.grad.numpy()
        np.testing.assert_allclose(found, total / 4, atol=1e-12)

    def test_integrated_gradients(self, params, x, torch):
        found = explain.integrated_gradients(CNN, params, x, target=1, baseline=0.2, steps=9)
        nodes, weights = np.polynomial.legendre.leggauss(9)
        total = 0
        for node, weight in zip(nodes, weights, strict=True):
            t = (node + 1) / 2
            at = torch.tensor(0.2 + t * (x - 0.2), requires_grad=True)
            twin(params, at)[0][:, 1].sum().backward()
            total = total + weight / 2 * at.grad.numpy()
        np.testing.assert_allclose(found, (x - 0.2) * total, atol=1e-12)

    @pytest.mark.parametrize("layer", [2, "last", -4])
    def test_grad_cam(self, params, x, torch, layer):
        y, maps = twin(params, torch.tensor(x, requires_grad=True))
        y[:, 2].sum().backward()
        weights = maps.grad.mean((2, 3), keepdim=True)
        expected = (weights * maps).sum(1).relu().detach().numpy()
        found = explain.grad_cam(CNN, params, x, layer, target=2)
        assert expected.max() > 0
        np.testing.assert_allclose(found, expected, atol=1e-12)


class TestIntegratedGradients:
    @pytest.mark.parametrize("target", [None, 1, (2,)])
    def test_completeness(self, params, x, target, rng):
        base = rng.normal(size=SHAPE)
        smooth = fcnn.serial(*[fcnn.tanh if each == fcnn.relu else each for each in CNN.layers])
        y, y0 = smooth.apply(params, x), smooth.apply(params, np.broadcast_to(base, x.shape))
        found = explain.integrated_gradients(
            smooth, params, x, baseline=base, target=target, steps=100
        )
        chosen = y.argmax(axis=1) if target is None else np.ravel(target)
        score = (y - y0)[np.arange(3), chosen]
        np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), score, rtol=1e-8)

    def test_completeness_with_kinks_is_up_to_the_quadrature(self, params, x):
        gaps = []
        for steps in (5, 200):
            found = explain.integrated_gradients(CNN, params, x, target=0, steps=steps)
            score = (CNN.apply(params, x) - CNN.apply(params, 0 * x))[:, 0]
            gaps.append(np.abs(found.sum(axis=(1, 2, 3)) - score).max())
        assert gaps[1] < 2e-3 < 5 * gaps[0]

    def test_of_several_inputs(self, rng):
        model = fcnn.serial(fcnn.itemwise(fcnn.dense(2), fcnn.dense(2)), fcnn.multiply())
        params = tree.astype(model.init(key(0), ((3,), (4,)))[0], np.float64)
        x = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
        one, other = explain.integrated_gradients(model, params, x, target=0, steps=2)
        zero = tree.zeros_like(x)
        score = (model.apply(params, x) - model.apply(params, zero))[:, 0]
        np.testing.assert_allclose(one.sum(axis=1) + other.sum(axis=1), score, atol=1e-12)


class TestLayers:
    def test_feature_maps_are_the_outputs_on_the_way(self, params, x):
        maps = explain.feature_maps(CNN, params, x)
        assert list(maps) == [visit.path for visit in fcnn.walk(CNN, SHAPE)]
        for i, each in enumerate(maps.values()):
            np.testing.assert_allclose(each, CNN[: i + 1].apply(params[: i + 1], x), atol=1e-12)

    def test_feature_maps_inside_branches(self, rng):
        model = fcnn.serial(
            fcnn.residual(fcnn.dense(3), fcnn.relu), fcnn.multiply(fcnn.dense(2), fcnn.dense(2))
        )
        params, x = model.init(key(0), (3,))[0], rng.normal(size=(4, 3)).astype(np.float32)
        maps = explain.feature_maps(model, params, x)
        assert list(maps) == [visit.path for visit in fcnn.walk(model, (3,))]
        last = maps["serial[1].multiply[0]"] * maps["serial[1].multiply[1]"]
        np.testing.assert_allclose(last, model.apply(params, x), rtol=1e-6)

    def test_feature_maps_inside_wrappers(self, rng):
        model = fcnn.serial(fcnn.frozen(fcnn.serial(fcnn.dense(3), fcnn.dropout(0.5))), fcnn.relu)
        params, x = model.init(key(0), (4,))[0], rng.normal(size=(2, 4)).astype(np.float32)
        maps = explain.feature_maps(model, params, x)
        assert list(maps) == [visit.path for visit in fcnn.walk(model, (4,))]

        @fcnn.layer
        def doubled(inner):
            def vjp(params, x, ctx=fcnn.EVAL):
                y, pullback = inner.vjp(params, x, ctx)
                return 2 * y, lambda dy: pullback(2 * dy)

            return inner.init, lambda params, x, ctx: 2 * inner.apply(params, x, ctx), vjp

        combinator(doubled, wiring="branches")(lambda layer: [Part("", layer.layers[0], ())])
        model = fcnn.serial(doubled(fcnn.serial(fcnn.dense(3), fcnn.relu)), fcnn.tanh)
        maps = explain.feature_maps(model, model.init(key(0), (4,))[0], x)
        assert list(maps) == ["serial[0]", "serial[1]"]

    def test_grad_cam_of_shared_layers(self, rng):
        tied = fcnn.shared(fcnn.conv2d(2, 3, padding="same"))
        model = fcnn.serial(tied, fcnn.relu, tied, fcnn.flatten, fcnn.dense(2))
        params, x = model.init(key(0), (4, 4, 2))[0], rng.normal(size=(2, 4, 4, 2))
        params = tree.astype(params, np.float64)
        apart = fcnn.serial(
            fcnn.conv2d(2, 3, padding="same"), fcnn.relu, fcnn.conv2d(2, 3, padding="same"),
            fcnn.flatten, fcnn.dense(2),
        )  # fmt: skip
        for layer in (0, 1, 2):
            np.testing.assert_array_equal(
                explain.grad_cam(model, params, x, layer, target=1),
                explain.grad_cam(apart, (*params[:2], params[0], *params[3:]), x, layer, target=1),
            )

    def test_filters(self, params):
        found = explain.filters(params[0])
        assert found.shape == (4, 3, 3, 2)
        np.testing.assert_array_equal(found[1], params[0].weight[..., 1])
        np.testing.assert_array_equal(explain.filters(params[0].weight), found)
        dense = explain.filters(params[5], image=(4, 4, 5))
        np.testing.assert_array_equal(dense[2].ravel(), params[5].weight[:, 2])

    def test_receptive_field_is_what_moves_the_output(self, params, x):
        fields = explain.receptive_field(CNN[:4], SHAPE)
        assert fields["last"] == (5, 5)
        dx = explain.saliency(CNN[:4], params[:4], x, target=(1, 1, slice(None)))
        rows, columns = np.nonzero(np.abs(dx).sum(axis=(0, 3)))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == fields["last"]
        assert explain.receptive_field(CNN, SHAPE)["serial[5]"] is None


class TestMaximisation:
    def test_raises_the_score_of_a_channel(self, params):
        head, own = CNN[:3], params[:3]
        arguments = {"key": key(1), "target": (..., 2), "dtype": np.float64}
        start, end = (
            explain.activation_maximisation(head, own, SHAPE, steps=steps, **arguments)
            for steps in (0, 20)
        )
        before, after = (head.apply(own, at[None])[..., 2].sum() for at in (start, end))
        assert after > before + 10
        np.testing.assert_array_equal(
            start[None], 0.1 * fcnn.prng.normal(key(1), (1, *SHAPE), dtype=np.float64)
        )


CALLS = {
    "saliency": lambda p, x: explain.saliency(CNN, p, x),
    "smoothgrad": lambda p, x: explain.smoothgrad(CNN, p, x, key=key(0), samples=2),
    "integrated_gradients": lambda p, x: explain.integrated_gradients(CNN, p, x, steps=3),
    "grad_cam": lambda p, x: explain.grad_cam(CNN, p, x, "last"),
    "occlusion": lambda p, x: explain.occlusion(CNN, p, x, window=4),
    "activation_maximisation": lambda p, x: explain.activation_maximisation(
        CNN, p, SHAPE, key=key(0), target=0, steps=2, dtype=x.dtype
    ),
    "filters": lambda p, x: explain.filters(p[0]),
    "feature_maps": lambda p, x: explain.feature_maps(CNN, p, x)["serial[5]"],
}  # fmt: skip


class TestContract:
    def test_the_table_is_complete(self):
        assert set(CALLS) | {"receptive_field"} == set(explain.__all__)

    @pytest.mark.parametrize("name", CALLS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_pure_and_keeps_the_dtype(self, name, dtype, params, x):
        params, x = tree.astype((params, x), dtype)
        before = tree.digest((params, x))
        one, again = CALLS[name](params, x), CALLS[name](params, x)
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, again)
        assert tree.digest((params, x)) == before
        assert not any(np.shares_memory(one, leaf) for leaf in tree.leaves((params, x)))

    def test_refusals(self, params, x):
        with pytest.raises(ArgumentError, match="expected classes from 0 to 2, got 3"):
            explain.saliency(CNN, params, x, target=3)
        with pytest.raises(ArgumentError, match="one class for each of 3 examples"):
            explain.saliency(CNN, params, x, target=[0, 1])
        with pytest.raises(ShapeError, match="pass an index"):
            explain.saliency(CNN[:3], params[:3], x, target=0)
        with pytest.raises(MissingKeyError):
            explain.smoothgrad(CNN, params, x, key=None)
        with pytest.raises(ArgumentError, match=r"expected one of \['serial\[0\]', .*'last'"):
            explain.grad_cam(CNN, params, x, "first")
        with pytest.raises(ArgumentError, match="expected a serial"):
            explain.grad_cam(fcnn.dense(1), params[5], x, 0)
        with pytest.raises(ShapeError, match="expected feature maps"):
            explain.grad_cam(CNN, params, x, 4)
        with pytest.raises(ShapeError, match="at least 9 x 9 pixels"):
            explain.occlusion(CNN, params, x, window=9)
        with pytest.raises(ShapeError, match="for a dense layer pass"):
            explain.filters(params[5])
        with pytest.raises(ArgumentError, match="expected params of one layer"):
            explain.filters(params)
