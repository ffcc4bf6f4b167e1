from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import fcnn
from fcnn import key, tree
from fcnn._derivatives import examples, stacked
from fcnn.errors import ArgumentError, ShapeError
from fcnn.losses import softmax_cross_entropy
from fcnn.testing._points import map_shape

from .conftest import doubles, tensor, tensors, weights
from .test_forward import halving

CASES = Path(__file__).parent.parent / "layers" / "cases"
TABLE = [case for path in sorted(CASES.glob("*.py")) for case in run_path(str(path))["CASES"]]


@fcnn.losses.loss
def squares():
    """Half the sum of squares of every array of a tree, over the examples; no target is read."""

    def apply(prediction, target):
        return vjp(prediction, target)[0]

    def vjp(prediction, target):
        leaves = tree.leaves(prediction)
        n = len(leaves[0])
        value = sum(float((leaf**2).sum()) for leaf in leaves) / (2 * n)
        return value, lambda d: tree.map(lambda leaf: d * leaf / n, prediction)

    return apply, vjp


def one_by_one(model, loss, params, x, target):
    """Each example's gradient from a batch of one: a list of lists of arrays."""
    f = fcnn.grad(model, loss, jit=False)
    n = len(target)
    return [
        weights(f(params, tree.map(lambda a, i=i: a[i : i + 1], x), target[i : i + 1]))
        for i in range(n)
    ]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's own
def test_is_torchs_vmap_of_grad(net):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    grads = fcnn.per_example_gradients(net.model, net.loss)(net.params, net.x, net.labels)

    def one(leaves, x, label):
        return net.torch_loss(leaves, x[None], label[None])

    expected = torch.func.vmap(torch.func.grad(one), (None, 0, 0))(
        tensors(net.params), tensor(net.x), tensor(net.labels)
    )
    for ours, theirs in zip(weights(grads), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=str)
def test_every_layer_against_a_loop(layer, shape, dtype, rng):
    params = tree.astype(doubles(layer, shape, rng), dtype)
    x = map_shape(lambda one: rng.normal(size=(5, *one)).astype(dtype), shape)
    try:
        layer.apply(params, x)
    except fcnn.errors.DTypeError:  # it takes whole numbers
        x = map_shape(lambda one: np.zeros((5, *one), np.int64), shape)
    target = np.zeros(5)
    grads = fcnn.per_example_gradients(layer, squares())(params, x, target)
    assert tree.structure(grads) == tree.structure(params)
    for i, alone in enumerate(one_by_one(layer, squares(), params, x, target)):
        for ours, theirs in zip(weights(grads), alone, strict=True):
            assert ours.dtype == dtype
            size = np.abs(theirs).max(initial=1)
            error = 1e-4 if dtype == np.float32 else 1e-11
            np.testing.assert_allclose(ours[i], theirs, atol=error * size, rtol=0)


class TestForms:
    @pytest.mark.parametrize(
        ("layer", "shape"),
        [
            (fcnn.dense(3), (2,)),
            (fcnn.dense(3), (4, 2)),
            (fcnn.conv2d(4, (3, 2), stride=(2, 1), padding="same", groups=2), (7, 6, 4)),
            (fcnn.conv2d(2, 2, dilation=2, flip=True, bias="untied"), (5, 6, 2)),
            (fcnn.batch_norm(), (4, 3)),
            (fcnn.conv1d(4, 3, padding="causal", dilation=2), (7, 2)),
            (fcnn.conv3d(2, 2, stride=2), (4, 5, 4, 2)),
            (fcnn.depthwise_conv2d(3, depth_multiplier=2, padding="same"), (5, 4, 3)),
            (fcnn.layer_norm(axes=None), (3, 2, 4)),
            (fcnn.layer_norm(scale=False), (2, 5)),
            (fcnn.group_norm(2, bias=False), (3, 4)),
            (fcnn.prelu(), (3, 2)),
            (fcnn.prelu(tied=True), (3, 2)),
        ],
        ids=str,
    )
    def test_usual_params_need_no_loop(self, layer, shape, rng, monkeypatch):
        monkeypatch.setattr(examples, "one_by_one", None)
        monkeypatch.setattr(stacked, "BUDGET", 1)  # windows of one example at a time
        params = doubles(layer, shape, rng)
        x = rng.normal(size=(3, *shape))
        grads = fcnn.per_example_gradients(layer, squares())(params, x, np.zeros(3))
        for i, alone in enumerate(one_by_one(layer, squares(), params, x, np.zeros(3))):
            for ours, theirs in zip(weights(grads), alone, strict=True):
                np.testing.assert_allclose(ours[i], theirs, atol=1e-12)

    def test_a_layer_that_only_looks_affine(self, rng):
        """Its params have the fields of a dense layer, but it squares its weight."""

        @fcnn.layer
        def squared():
            inner = fcnn.dense(3)

            def of(params):
                return fcnn.DenseParams(params.weight**2, params.bias)

            def vjp(params, x, ctx=fcnn.EVAL):
                y, pullback = inner.vjp(of(params), x, ctx)

                def pull(dy):
                    grads, dx = pullback(dy)
                    return fcnn.DenseParams(2 * params.weight * grads.weight, grads.bias), dx

                return y, pull

            return inner.init, lambda params, x, ctx: inner.apply(of(params), x, ctx), vjp

        params, x = doubles(squared(), (2,), rng), rng.normal(size=(4, 2))
        grads = fcnn.per_example_gradients(squared(), squares())(params, x, np.zeros(4))
        for i, alone in enumerate(one_by_one(squared(), squares(), params, x, np.zeros(4))):
            np.testing.assert_allclose(grads.weight[i], alone[0], atol=1e-12)

    def test_a_wrapper_that_does_more_than_its_layer(self, rng):
        model = fcnn.serial(fcnn.dense(3), halving(fcnn.dense(3)), fcnn.tanh)
        params, x = doubles(model, (2,), rng), rng.normal(size=(4, 2))
        grads = fcnn.per_example_gradients(model, squares())(params, x, np.zeros(4))
        for i, alone in enumerate(one_by_one(model, squares(), params, x, np.zeros(4))):
            np.testing.assert_allclose(grads[0].weight[i], alone[0], atol=1e-12)


class TestContract:
    def test_the_mean_goes_into_an_optimizers_step(self, net):
        grads = fcnn.per_example_gradients(net.model, net.loss)(net.params, net.x, net.labels)
        mean = tree.map(lambda g: g.mean(axis=0), grads, statistic=lambda seen: seen)
        expected = fcnn.grad(net.model, net.loss)(net.params, net.x, net.labels)
        assert tree.allclose(mean, expected, rtol=1e-10, atol=1e-12)
        sgd = fcnn.optim.sgd(0.1)
        params, _ = sgd.step(net.params, mean, sgd.init(net.params))
        np.testing.assert_array_equal(params[1].mean, net.params[1].mean)

    def test_dropout_drops_what_the_batch_drops(self, rng):
        model = fcnn.serial(fcnn.dense(8), fcnn.dropout(0.5), halving(fcnn.dense(3)))
        params, x = doubles(model, (4,), rng), rng.normal(size=(6, 4))
        labels, ctx = rng.integers(0, 3, 6), fcnn.training(key(5))
        grads = fcnn.per_example_gradients(model, softmax_cross_entropy)(params, x, labels, ctx)
        mean = tree.map(lambda g: g.mean(axis=0), grads)
        expected = fcnn.grad(model, softmax_cross_entropy)(params, x, labels, ctx)
        assert tree.allclose(mean, expected, rtol=1e-10, atol=1e-12)

    def test_layers_with_params_draw_what_they_draw_for_the_batch(self, rng):
        @fcnn.layer
        def noisy():
            """y = x · params² · noise, a form that no stacked product has."""

            def init(key, shape):
                return np.ones(shape), shape

            def apply(params, x, ctx=fcnn.EVAL):
                return vjp(params, x, ctx)[0]

            def vjp(params, x, ctx=fcnn.EVAL):
                noise = fcnn.prng.normal(ctx.key, x.shape, dtype=x.dtype)

                def pullback(dy):
                    return (2 * params * dy * x * noise).sum(axis=0), dy * params**2 * noise

                return x * params**2 * noise, pullback

            return init, apply, vjp

        params, x, ctx = rng.normal(size=4), rng.normal(size=(5, 4)), fcnn.training(key(2))
        grads = fcnn.per_example_gradients(noisy(), squares())(params, x, np.zeros(5), ctx)
        expected = fcnn.grad(noisy(), squares())(params, x, np.zeros(5), ctx)
        np.testing.assert_allclose(grads.mean(axis=0), expected, rtol=1e-12)

    def test_shared_params_have_the_sum_of_their_places(self, rng):
        tied = fcnn.shared(fcnn.dense(3))
        model = fcnn.serial(tied, fcnn.tanh, fcnn.fanout(a=tied, b=fcnn.relu))
        params, x = doubles(model, (3,), rng), rng.normal(size=(4, 3))
        grads = fcnn.per_example_gradients(model, squares())(params, x, np.zeros(4))
        for i, alone in enumerate(one_by_one(model, squares(), params, x, np.zeros(4))):
            for ours, theirs in zip(weights(grads), alone, strict=True):
                np.testing.assert_allclose(ours[i], theirs, atol=1e-12)

    def test_changes_nothing(self, net):
        before = tree.digest((net.params, net.x, net.labels))
        fcnn.per_example_gradients(net.model, net.loss)(net.params, net.x, net.labels)
        assert tree.digest((net.params, net.x, net.labels)) == before

    def test_refusals(self, net):
        f = fcnn.per_example_gradients(net.model, net.loss)
        with pytest.raises(ArgumentError, match="statistics mix its examples"):
            f(net.params, net.x, net.labels, fcnn.training(key(0)))
        with pytest.raises(ShapeError, match="expected 4 targets"):
            f(net.params, net.x, net.labels[:3])
        with pytest.raises(ArgumentError, match="expected a loss"):
            fcnn.per_example_gradients(net.model, "mse")
