import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import Context, conv2d, dense, fold_in, grad, key, serial, training, tree, value_and_grad
from fcnn.errors import ArgumentError, ShapeError
from fcnn.losses import mean_squared_error, sigmoid_cross_entropy, softmax_cross_entropy

CNN = serial(
    conv2d(3, 3, stride=2), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dropout(0.3), dense(4)
)
PLAIN = serial(conv2d(3, 3), fcnn.tanh, fcnn.avg_pool2d(2), fcnn.flatten, dense(4))


@pytest.fixture
def data(rng):
    return rng.normal(size=(10, 8, 8, 1)), rng.integers(0, 4, 10)


def doubles(model, shape, seed=0):
    return tree.astype(model.init(key(seed), shape)[0], np.float64)


class TestAgainstDifferences:
    @pytest.mark.parametrize("ctx", [fcnn.EVAL, training(key(3))], ids=["evaluation", "training"])
    @pytest.mark.parametrize("model", [CNN, PLAIN], ids=str)
    def test_the_whole_gradient_along_random_directions(self, data, model, ctx):
        x, labels = data
        params = doubles(model, (8, 8, 1))
        f = value_and_grad(model, softmax_cross_entropy)

        def vjp(params):
            value, grads = f(params, x, labels, ctx)
            return value, lambda d: (tree.map(lambda g: d * g, grads, statistic=lambda o: o),)

        fcnn.testing.check_vjp(lambda p: f(p, x, labels, ctx)[0], vjp, params)

    def test_entry_by_entry_on_a_small_net(self, rng):
        model = serial(dense(3), fcnn.tanh, dense(1))
        x, t = rng.normal(size=(4, 2)), np.array([[0.0], [1], [1], [0]])
        vector, unravel = tree.ravel(doubles(model, (2,)))
        f = value_and_grad(model, mean_squared_error)
        found, _ = tree.ravel(f(unravel(vector), x, t)[1])
        for i in range(vector.size):
            step = 1e-6 * np.eye(vector.size)[i]
            ahead, behind = (f(unravel(vector + s), x, t)[0] for s in (step, -step))
            assert found[i] == pytest.approx((ahead - behind) / 2e-6, abs=1e-8)


class TestContract:
    def test_is_the_loss_of_the_models_output(self, data):
        x, labels = data
        params = doubles(PLAIN, (8, 8, 1))
        (value, prediction), grads = value_and_grad(PLAIN, softmax_cross_entropy, has_aux=True)(
            params, x, labels
        )
        np.testing.assert_array_equal(prediction, PLAIN.apply(params, x))
        assert value == softmax_cross_entropy(prediction, labels)
        plain_value, plain_grads = value_and_grad(PLAIN, softmax_cross_entropy)(params, x, labels)
        assert plain_value == value
        assert type(value) is float
        assert tree.equal(grads, plain_grads)
        assert tree.equal(grads, grad(PLAIN, softmax_cross_entropy)(params, x, labels))
        assert tree.structure(grads) == tree.structure(params)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_keeps_the_dtype(self, data, dtype):
        x, labels = data
        params = tree.astype(doubles(CNN, (8, 8, 1)), dtype)
        for shard_size in (None, 4):
            f = value_and_grad(CNN, softmax_cross_entropy, shard_size=shard_size)
            _, grads = f(params, x.astype(dtype), labels, training(key(0)))
            assert {leaf.dtype for leaf in tree.leaves(grads)} == {np.dtype(dtype)}

    def test_changes_nothing(self, data):
        x, labels = data
        params = doubles(CNN, (8, 8, 1))
        before = tree.digest((params, x, labels))
        for shard_size in (None, 3):
            f = value_and_grad(CNN, softmax_cross_entropy, shard_size=shard_size)
            f(params, x, labels, training(key(0)))
        assert tree.digest((params, x, labels)) == before

    def test_is_deterministic_in_its_key(self, data):
        x, labels = data
        params = doubles(CNN, (8, 8, 1))
        f = value_and_grad(CNN, softmax_cross_entropy)
        one, same, other = (tree.digest(f(params, x, labels, training(key(i)))) for i in (0, 0, 1))
        assert one == same != other

    def test_asks_for_no_input_gradient(self):
        asked = []

        @fcnn.layer
        def spy():
            def vjp(params, x, ctx=fcnn.EVAL):
                asked.append(ctx.input_grad)
                return x + params, lambda dy: (dy.sum(axis=0), dy)

            return (lambda key, shape: (np.zeros(shape), shape)), (lambda p, x, ctx: x + p), vjp

        f = value_and_grad(serial(spy(), spy()), mean_squared_error)
        f((np.zeros(2), np.zeros(2)), np.ones((3, 2)), np.zeros((3, 2)))
        assert asked == [False, True]
        f = value_and_grad(serial(spy()), mean_squared_error)
        f((np.zeros(2),), np.ones((3, 2)), np.zeros((3, 2)), Context(input_grad=True))
        assert asked[2:] == [False]

    def test_any_layer_is_a_model(self, rng):
        layer, x = dense(2), rng.normal(size=(3, 4))
        params = doubles(layer, (4,))
        _, grads = value_and_grad(layer, sigmoid_cross_entropy)(params, x, np.zeros((3, 2)))
        assert grads.weight.shape == (4, 2)
        value, nothing = value_and_grad(fcnn.relu, mean_squared_error)((), x, np.zeros((3, 4)))
        assert value == pytest.approx(np.mean(np.maximum(x, 0) ** 2))
        assert nothing == ()

    def test_refuses_what_does_not_fit(self, data):
        x, labels = data
        params = doubles(PLAIN, (8, 8, 1))
        f = value_and_grad(PLAIN, softmax_cross_entropy)
        with pytest.raises(
            ShapeError, match="expected 10 targets for a batch of 10 examples, got 9"
        ):
            f(params, x, labels[:9])
        with pytest.raises(ShapeError, match="empty batch"):
            f(params, x[:0], labels[:0])
        with pytest.raises(ArgumentError, match="shard_size"):
            value_and_grad(PLAIN, softmax_cross_entropy, shard_size=0)

    @pytest.mark.parametrize("ctx", [key(0), True, None])
    def test_refuses_another_context(self, data, ctx):
        x, labels = data
        params = doubles(PLAIN, (8, 8, 1))
        with pytest.raises(ArgumentError, match=r"expected a Context, got .*fcnn.training\(key\)"):
            value_and_grad(PLAIN, softmax_cross_entropy)(params, x, labels, ctx)
        for run in (PLAIN.apply, PLAIN.vjp):
            with pytest.raises(ArgumentError, match="expected a Context"):
                run(params, x, ctx)

    def test_refuses_a_list_of_arrays(self, data):
        x, labels = data
        f = value_and_grad(PLAIN, softmax_cross_entropy)
        with pytest.raises(ShapeError, match=r"got a list of arrays; use tuple"):
            f(doubles(PLAIN, (8, 8, 1)), [x, x], labels)


class TestShards:
    @given(st.integers(1, 12))
    def test_gradients_of_shards_add_up_to_that_of_the_batch(self, shard_size):
        rng = np.random.default_rng(0)
        x, labels = rng.normal(size=(10, 8, 8, 1)), rng.integers(0, 4, 10)
        params = doubles(PLAIN, (8, 8, 1))
        (value, prediction), grads = value_and_grad(PLAIN, softmax_cross_entropy, has_aux=True)(
            params, x, labels
        )
        (sharded, parts), sharded_grads = value_and_grad(
            PLAIN, softmax_cross_entropy, has_aux=True, shard_size=shard_size
        )(params, x, labels)
        assert sharded == pytest.approx(value, rel=1e-12)
        assert tree.allclose(sharded_grads, grads, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(parts, prediction, rtol=1e-9, atol=1e-12)

    def test_statistics_are_the_mean_of_the_shards_weighted_by_their_examples(self, rng):
        model = serial(fcnn.batch_norm(momentum=0.5), dense(1))
        params = doubles(model, (3,))
        x, t = rng.normal(size=(5, 3)), np.zeros((5, 1))
        _, grads = value_and_grad(model, mean_squared_error, shard_size=3)(params, x, t, training())
        means = 0.6 * x[:3].mean(axis=0) + 0.4 * x[3:].mean(axis=0)
        np.testing.assert_allclose(grads[0].mean.value, means, rtol=1e-12)
        assert grads[0].mean.weight == 0.5

    def test_every_shard_has_a_key_of_its_own(self):
        model = fcnn.dropout(0.5)
        f = value_and_grad(model, mean_squared_error, has_aux=True, shard_size=2)
        (_, y), _ = f((), np.ones((4, 60)), np.zeros((4, 60)), training(key(0)))
        assert not np.array_equal(y[:2], y[2:])
        expected = model.apply((), np.ones((2, 60)), training(fold_in(key(0), 1)))
        np.testing.assert_array_equal(y[2:], expected)
