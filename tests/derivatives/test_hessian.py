import numpy as np
import pytest

import fcnn
from fcnn import key, tree
from fcnn.errors import ArgumentError, TreeError
from fcnn.losses import mean_squared_error, softmax_cross_entropy
from fcnn.tree import Observation

from .conftest import doubles, like, tensor, tensors, weights
from .test_forward import halving


def relative_error(ours, theirs):
    size = max(float(np.abs(each).max()) for each in theirs)
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)) / size


def inner(a, b):
    return sum(np.vdot(p, q) for p, q in zip(tree.leaves(a), tree.leaves(b), strict=True))


@pytest.mark.parametrize("train", [False, True])
def test_is_torchs_hessian_vector_product(net, rng, train):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    v = like(net.params, rng)
    ctx = fcnn.training(key(0)) if train else fcnn.EVAL
    ours = fcnn.hvp(net.model, net.loss)(net.params, net.x, net.labels, v, ctx)
    x, labels = tensor(net.x), tensor(net.labels)
    _, theirs = torch.autograd.functional.hvp(
        lambda *leaves: net.torch_loss(leaves, x, labels, train), tensors(net.params), tensors(v)
    )
    assert relative_error(weights(ours), [each.numpy() for each in theirs]) < 1e-10
    assert isinstance(ours[1].var, Observation)


def test_is_jaxs_hessian_vector_product(rng):
    jax = pytest.importorskip("jax", exc_type=ImportError)
    model = fcnn.serial(
        fcnn.dense(5), fcnn.tanh, fcnn.dense(4), fcnn.relu, fcnn.dense(3), fcnn.softmax
    )
    params, x = doubles(model, (4,), rng), rng.normal(size=(6, 4))
    target, v = rng.normal(size=(6, 3)), like(params, rng)

    def loss(leaves):
        h = jax.numpy.tanh(x @ leaves[0] + leaves[1])
        h = jax.nn.relu(h @ leaves[2] + leaves[3])
        return ((jax.nn.softmax(h @ leaves[4] + leaves[5]) - target) ** 2).mean()

    with jax.enable_x64(True):
        at, tangents = tree.leaves(params), tree.leaves(v)
        theirs = jax.jvp(jax.grad(loss), (at,), (tangents,))[1]
        theirs = [np.asarray(each) for each in theirs]
    ours = fcnn.hvp(model, mean_squared_error)(params, x, target, v)
    assert relative_error(tree.leaves(ours), theirs) < 1e-10


def test_is_exact_where_nothing_curves_but_the_loss(rng):
    """Relu and max pooling have kinks, which differences of the whole would step over."""
    model = fcnn.serial(
        fcnn.conv2d(4, 3), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, fcnn.dense(2)
    )
    params = doubles(model, (8, 8, 1), rng)
    x = np.round(rng.normal(size=(16, 8, 8, 1)), 1)  # many equal sums, so many near kinks
    v, w = like(params, rng), like(params, rng)
    f = fcnn.hvp(model, mean_squared_error)
    target = rng.normal(size=(16, 2))
    hv, hw = (f(params, x, target, each) for each in (v, w))
    # For squares of a function that is bilinear in two layers: vᵀHw = wᵀHv, and along one layer
    # alone H is 2 JᵀJ / count, which forward mode gives.
    assert inner(hv, w) == pytest.approx(inner(hw, v), rel=1e-11)
    alone = (*tree.zeros_like(v)[:-1], v[-1])
    jv = fcnn.jvp(model)(params, x, alone, None)[1]
    assert inner(f(params, x, target, alone), alone) == pytest.approx(
        2 * float((jv**2).mean()), rel=1e-11
    )


def test_kinks_nearby_are_not_stepped_over():
    """Of Σ relu(w)², twice the tangent where w > 0, however near to 0."""
    model = fcnn.serial(fcnn.dense(6), fcnn.relu)
    weight = np.array([[1.0, -1e-5, 1e-5, -1e-7, 1e-7, 2.0]])
    params = (fcnn.DenseParams(weight, np.zeros(6)), ())
    v = (fcnn.DenseParams(np.array([[1.0, 2, 3, 4, 5, 6]]), np.zeros(6)), ())
    found = fcnn.hvp(model, mean_squared_error)(params, np.ones((1, 1)), np.zeros((1, 6)), v)
    np.testing.assert_allclose(found[0].weight, [[2 / 6, 0, 1, 0, 10 / 6, 2]], rtol=1e-9)


class TestContract:
    def test_dropout_and_shared_params(self, rng):
        tied = fcnn.shared(fcnn.dense(4))
        model = fcnn.serial(tied, fcnn.tanh, fcnn.dropout(0.5), fcnn.residual(tied), fcnn.dense(2))
        params, x = doubles(model, (4,), rng), rng.normal(size=(3, 4))
        labels, v, ctx = np.array([0, 1, 1]), like(params, rng), fcnn.training(key(2))
        ours = fcnn.hvp(model, softmax_cross_entropy)(params, x, labels, v, ctx)
        g = fcnn.grad(model, softmax_cross_entropy)

        def at(t):
            return g(tree.map(lambda p, d: p + t * d, params, v), x, labels, ctx)

        expected = tree.map(lambda a, b: (a - b) / 2e-5, at(1e-5), at(-1e-5))
        assert tree.allclose(ours, expected, rtol=1e-6, atol=1e-8)

    def test_trees_and_unknown_combinators(self, rng):
        model = fcnn.serial(
            fcnn.itemwise(a=fcnn.dense(3), b=halving(fcnn.dense(3))),
            fcnn.multiply(),
            fcnn.tanh,
            fcnn.fanout(one=fcnn.dense(2), two=fcnn.dense(1)),
        )
        params = doubles(model, {"a": (2,), "b": (4,)}, rng)
        x = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=(3, 4))}
        target = {"one": rng.normal(size=(3, 2)), "two": rng.normal(size=(3, 1))}
        loss = fcnn.losses.combine(
            {"one": (mean_squared_error, 1.0), "two": (mean_squared_error, 2.0)}
        )
        v = like(params, rng)
        ours = fcnn.hvp(model, loss)(params, x, target, v)
        g = fcnn.grad(model, loss)

        def at(t):
            return g(tree.map(lambda p, d: p + t * d, params, v), x, target)

        expected = tree.map(lambda a, b: (a - b) / 2e-5, at(1e-5), at(-1e-5))
        assert tree.allclose(ours, expected, rtol=1e-6, atol=1e-7)

    def test_is_linear_in_the_tangent(self, net, rng):
        v = like(net.params, rng)
        f = fcnn.hvp(net.model, net.loss)
        once = f(net.params, net.x, net.labels, v)
        long = f(net.params, net.x, net.labels, tree.map(lambda d: -1e6 * d, v))
        errors = zip(weights(once), weights(long), strict=True)
        assert max(np.abs(-1e6 * a - b).max() / np.abs(b).max() for a, b in errors) < 1e-9
        zero = f(net.params, net.x, net.labels, tree.zeros_like(v))
        assert not any(each.any() for each in weights(zero))

    def test_keeps_the_dtype_and_its_arguments(self, net, rng):
        arguments = tree.astype((net.params, net.x), np.float32)
        v = like(net.params, rng)
        before = tree.digest((*arguments, net.labels, v))
        found = fcnn.hvp(net.model, net.loss)(*arguments, net.labels, v)
        assert {leaf.dtype for leaf in weights(found)} == {np.dtype(np.float32)}
        assert tree.digest((*arguments, net.labels, v)) == before

    def test_refusals(self, net):
        f = fcnn.hvp(net.model, net.loss)
        with pytest.raises(TreeError):
            f(net.params, net.x, net.labels, net.params[:-1])
        with pytest.raises(ArgumentError, match="expected a loss"):
            fcnn.hvp(net.model, net.model)
