"""Every defect of the articles: their formula is wrong by differences, and ours is right.

Each test writes the article's formula in a line or two, holds it against `numeric`, the
central differences of the function itself, and then does the same with fcnn.
"""

import warnings

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

import fcnn
from fcnn import ConvParams, conv2d, key
from fcnn.losses import (
    binary_cross_entropy,
    categorical_cross_entropy,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)


def numeric(f, x, step=1e-6):
    """The gradient of a number f(x), entry by entry."""
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        offset = np.zeros_like(x)
        offset[place] = step
        grad[place] = (f(x + offset) - f(x - offset)) / (2 * step)
    return grad


def error(wrong, right):
    return np.linalg.norm(wrong - right) / np.linalg.norm(right)


def cosine(a, b):
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def images(*arrays):
    """(h, w) arrays as a batch of one example with so many channels."""
    return np.stack(arrays, axis=-1)[None]


def softmax(z):
    return fcnn.softmax.apply((), z[None])[0]


class Test000:
    @pytest.mark.parametrize(("z", "least"), [(-35.0, 0.3), (-40.0, 0.99)])
    def test_clipping_the_loss_at_1e_15_kills_the_gradient(self, z, least):
        p = 1 / (1 + np.exp(-z))
        clipped = np.clip(p, 1e-15, 1 - 1e-15)
        articles = (1 - 1) / (1 - clipped) - 1 / clipped
        through_sigmoid = articles * p * (1 - p)  # towards the target 1
        assert abs(through_sigmoid - (p - 1)) / abs(p - 1) > least

        ours = sigmoid_cross_entropy.vjp(np.array([[z]]), np.array([[1.0]]))[1](1.0)
        assert ours[0, 0] == pytest.approx(p - 1, rel=1e-12)
        by_two_steps, pull = fcnn.sigmoid.vjp((), np.array([[z]]))
        _, dz = pull(binary_cross_entropy.vjp(by_two_steps, np.array([[1.0]]))[1](1.0))
        assert dz[0, 0] == pytest.approx(p - 1, rel=1e-12)

    def test_its_exponential_overflows_at_minus_800(self):
        with pytest.warns(RuntimeWarning, match="overflow"):
            1 / (1 + np.exp(-np.array([-800.0])))
        y, pull = fcnn.sigmoid.vjp((), np.array([[-800.0, 800.0]]))
        np.testing.assert_array_equal(y, [[0, 1]])
        assert np.isfinite(pull(y)[1]).all()

    def test_in_float32_a_saturated_output_gives_nan(self):
        p, t = np.array([[1.0]], np.float32), np.array([[1.0]], np.float32)
        clipped = np.clip(p, np.float32(1e-15), np.float32(1 - 1e-15))
        assert clipped[0, 0] == 1  # there is no float32 between
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.isnan(t * np.log(clipped) + (1 - t) * np.log(1 - clipped)).all()
        value, pull = binary_cross_entropy.vjp(p, t)
        assert value == 0
        assert np.isfinite(pull(1.0)).all()
        assert np.isfinite(binary_cross_entropy.vjp(p, 1 - t)[1](1.0)).all()

    def test_weights_of_deviation_1_saturate_the_hidden_sigmoids(self, rng):
        x = rng.uniform(size=(200, 26 * 26 * 5)).astype(np.float32)

        def saturated(weight_init):
            params, _ = fcnn.dense(100, weight_init=weight_init).init(key(0), x.shape[1:])
            y = fcnn.sigmoid.apply((), x @ params.weight)
            return (y * (1 - y) < 1e-3).mean()

        assert saturated(fcnn.initializers.normal(1.0)) > 0.8
        assert saturated(fcnn.initializers.glorot_normal) < 0.01


class Test001:
    def test_its_kernels_never_learn(self, rng):
        x, dy = rng.normal(size=(6, 6)), rng.normal(size=(4, 4))
        kernel = rng.normal(size=(3, 3))
        right = numeric(lambda k: np.vdot(dy, correlate2d(x, k, "valid")), kernel)
        articles = np.zeros((3, 3))
        assert error(articles, right) == 1

        _, pull = conv2d(1, 3, bias=None).vjp(ConvParams(kernel[:, :, None, None], ()), images(x))
        dparams, dx = pull(images(dy))
        assert error(dparams.weight[:, :, 0, 0], right) < 1e-8
        right = numeric(lambda x: np.vdot(dy, correlate2d(x, kernel, "valid")), x)
        assert error(dx[0, :, :, 0], right) < 1e-8

    def test_its_loss_gradient_goes_through_the_softmax_twice(self, rng):
        z, y = 10 * rng.normal(size=10), np.eye(10)[3]
        right = numeric(lambda z: -np.vdot(y, np.log(softmax(z))), z)
        p = softmax(z)
        jacobian = np.diag(p) - np.outer(p, p)
        articles = jacobian @ ((p - y) / 10)
        assert error(10 * articles, right) > 0.3  # whatever the factor
        assert error(articles, right) > 0.9
        half_brier = numeric(lambda z: np.sum((softmax(z) - y) ** 2) / 2, z)
        assert error(10 * articles, half_brier) < 1e-6

        dz = softmax_cross_entropy.vjp(z[None], np.array([3]))[1](1.0)
        assert error(dz[0], right) < 1e-6
        p, pull = fcnn.softmax.vjp((), z[None])
        _, dz = pull(categorical_cross_entropy.vjp(p, np.array([3]))[1](1.0))
        assert error(dz[0], right) < 1e-6

    def test_a_misclassified_example_gets_a_hundredth_of_its_gradient(self):
        z, y = np.array([10.0] + [0.0] * 9), np.eye(10)[3]
        p = softmax(z)
        articles = (np.diag(p) - np.outer(p, p)) @ ((p - y) / 10)
        ours = softmax_cross_entropy.vjp(z[None], np.array([3]))[1](1.0)[0]
        assert np.linalg.norm(articles) < 0.01 * np.linalg.norm(ours)

    def test_its_loss_is_a_tenth_of_the_cross_entropy(self, rng):
        p, y = rng.dirichlet(np.ones(10))[:, None], np.eye(10)[3][:, None]
        articles = -np.mean(np.sum(y * np.log(p), axis=1))  # a column has one number a row
        assert articles == pytest.approx(-np.log(p[3, 0]) / 10)
        ours = categorical_cross_entropy(p.T, y.T)
        assert ours == pytest.approx(-np.log(p[3, 0]), rel=1e-12)

    @pytest.mark.parametrize("rate", [0.05, 0.5])
    def test_its_dropout_lacks_the_scale_in_its_backward_pass(self, rng, rate):
        x, dy = rng.normal(size=(2, 1, 30))
        ctx = fcnn.training(key(0))
        layer = fcnn.dropout(rate)
        right = numeric(lambda x: np.vdot(dy, layer.apply((), x, ctx)), x)
        mask = layer.apply((), np.ones_like(x), ctx) > 0
        assert error(dy * mask, right) == pytest.approx(rate, rel=1e-6)
        _, pull = layer.vjp((), x, ctx)
        assert error(pull(dy)[1], right) < 1e-8

    def test_its_softmax_is_nan_from_a_logit_of_710(self):
        z = np.array([710.0, 0.0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.isnan(np.exp(z) / np.exp(z).sum()).any()
        np.testing.assert_allclose(softmax(z), [1, 0], atol=1e-300)
        assert softmax_cross_entropy(z[None], np.array([1])) == 710


class Test002And004:
    @pytest.fixture
    def relu_conv(self, rng):
        """An image, a filter, a gradient, and the right gradients of relu(correlation)."""
        x, kernel, dy = rng.normal(size=(8, 8)), rng.normal(size=(3, 3)), rng.normal(size=(6, 6))

        def f(x, kernel):
            return np.vdot(dy, np.maximum(correlate2d(x, kernel, "valid"), 0))

        return x, kernel, dy, numeric(lambda k: f(x, k), kernel), numeric(lambda x: f(x, kernel), x)

    def test_it_skips_relus_derivative(self, relu_conv):
        x, kernel, dy, dkernel, dx = relu_conv
        assert error(correlate2d(x, dy, "valid"), dkernel) > 0.3

        model = fcnn.serial(conv2d(1, 3, bias=None), fcnn.relu)
        _, pull = model.vjp((ConvParams(kernel[:, :, None, None], ()), ()), images(x))
        (ours, _), our_dx = pull(images(dy))
        assert error(ours.weight[:, :, 0, 0], dkernel) < 1e-7
        assert error(our_dx[0, :, :, 0], dx) < 1e-7

    def test_its_input_gradient_correlates_where_it_should_convolve(self, rng):
        x, kernel, dy = rng.normal(size=(8, 8)), rng.normal(size=(3, 3)), rng.normal(size=(6, 6))
        right = numeric(lambda x: np.vdot(dy, correlate2d(x, kernel, "valid")), x)
        articles = correlate2d(dy, kernel, "full")
        assert error(articles, right) > 1
        assert abs(cosine(articles, right)) < 0.5
        assert error(convolve2d(dy, kernel, "full"), right) < 1e-8

        _, pull = conv2d(1, 3, bias=None).vjp(ConvParams(kernel[:, :, None, None], ()), images(x))
        assert error(pull(images(dy))[1][0, :, :, 0], right) < 1e-8

    @pytest.mark.parametrize("kind", ["tied", "untied"])
    def test_it_updates_a_bias_that_it_never_adds(self, rng, kind):
        x, dy = rng.normal(size=(5, 5)), rng.normal(size=(3, 3))
        kernel = rng.normal(size=(3, 3))
        articles_effect = numeric(
            lambda bias: np.vdot(dy, correlate2d(x, kernel, "valid")), np.zeros((3, 3))
        )
        assert not articles_effect.any()  # it has no effect,
        assert np.linalg.norm(dy - articles_effect) > 1  # and is stepped by dy

        layer = conv2d(1, 3, bias=kind)
        bias = rng.normal(size=(1,) if kind == "tied" else (3, 3, 1))

        def f(bias):
            return np.vdot(
                images(dy), layer.apply(ConvParams(kernel[:, :, None, None], bias), images(x))
            )

        _, pull = layer.vjp(ConvParams(kernel[:, :, None, None], bias), images(x))
        ours = pull(images(dy))[0].bias
        assert ours.any()
        assert error(ours, numeric(f, bias)) < 1e-8

    def test_its_pooling_counts_a_tie_in_every_tied_place(self):
        patch, dy = np.zeros((2, 2)), 1.0
        articles = dy * (patch == patch.max())
        assert articles.sum() == 4  # moving the window by t moves its maximum by t, not by 4 t
        _, pull = fcnn.max_pool2d(2).vjp((), images(patch))
        ours = pull(np.full((1, 1, 1, 1), dy))[1][0, :, :, 0]
        np.testing.assert_array_equal(ours, [[1, 0], [0, 0]])

    def test_a_tenth_of_the_windows_after_relu_tie(self, rng):
        """Ties are no rarity: relu makes windows of zeros, and each must count once."""
        x = np.maximum(rng.normal(size=(1, 22, 22, 1)), 0)
        y, pull = fcnn.max_pool2d(2).vjp((), x)
        dy = rng.normal(size=y.shape)
        windows = x[0, :, :, 0].reshape(11, 2, 11, 2).swapaxes(1, 2).reshape(11, 11, 4)
        ties = (windows == windows.max(axis=-1, keepdims=True)).sum(axis=-1)
        assert (ties > 1).mean() > 0.03
        articles = (ties * dy[0, :, :, 0]).sum()
        along = np.vdot(dy, fcnn.max_pool2d(2).apply((), x + 1) - y)  # everything moves by one
        assert abs(articles - along) > 1e-3
        assert pull(dy)[1].sum() == pytest.approx(along)

    def test_its_loss_and_gradient_are_divided_by_the_number_of_classes(self, rng):
        p, y = rng.dirichlet(np.full(10, 5.0)), np.eye(10)[2]
        right = numeric(lambda p: -np.vdot(y, np.log(p)), p)
        articles_loss = -np.sum(y * np.log(p)) / 10
        articles_gradient = -y / (p + 1e-7) / len(y)
        assert articles_loss == pytest.approx(-np.log(p[2]) / 10)
        assert error(10 * articles_gradient, right) < 1e-5
        assert error(articles_gradient, right) == pytest.approx(0.9, abs=1e-4)

        value, pull = categorical_cross_entropy.vjp(p[None], np.array([2]))
        assert value == pytest.approx(-np.log(p[2]))
        assert error(pull(1.0)[0], right) < 1e-6

    @pytest.mark.parametrize("probability", [1e-7, 1e-9, 1e-30])
    def test_its_1e_7_damps_the_gradient_of_an_improbable_class(self, probability):
        z = np.array([[0.0, np.log(probability) - np.log1p(-probability)]])
        p = softmax(z[0])
        jacobian = np.diag(p) - np.outer(p, p)
        articles = jacobian @ (-np.array([0, 1]) / (p + 1e-7))
        right = p - np.array([0, 1])
        assert error(articles, right) == pytest.approx(1e-7 / (1e-7 + probability), rel=1e-3)

        ours = softmax_cross_entropy.vjp(z, np.array([1]))[1](1.0)[0]
        assert error(ours, right) < 1e-12
        two, pull = fcnn.softmax.vjp((), z)
        _, dz = pull(categorical_cross_entropy.vjp(two, np.array([1]))[1](1.0))
        assert error(dz[0], right) < 1e-12

    def test_004_takes_the_shape_of_the_set_for_that_of_an_image(self):
        # The shape of an example has no batch axis; an error says so.
        with pytest.raises(fcnn.errors.ShapeError, match="expected an image"):
            conv2d(1, 6).init(key(0), (5000, 28, 28, 1))

    def test_its_accuracy_divides_by_the_length_of_another_set(self):
        right, elsewhere = np.arange(10), np.arange(40)
        assert fcnn.metrics.accuracy(right, right) == 1
        with pytest.raises(fcnn.errors.ShapeError, match=r"10.*40"):
            fcnn.metrics.accuracy(right, elsewhere)


class Test003:
    @staticmethod
    def strided(x, kernel, step):
        return correlate2d(x, kernel, "valid")[::step, ::step]

    def test_the_strides_place_in_the_second_kernels_gradient(self, rng):
        x, kernel, dy = rng.normal(size=(21, 21)), rng.normal(size=(4, 4)), rng.normal(size=(9, 9))
        right = numeric(lambda k: np.vdot(dy, self.strided(x, k, 2)), kernel)
        # As if dy stood at neighbouring pixels, when it stands at every other one.
        articles = correlate2d(x, dy, "valid")[:4, :4]
        assert error(articles, right) > 0.8
        assert abs(cosine(articles, right)) < 0.6

        layer = conv2d(1, 4, stride=2, bias=None)
        _, pull = layer.vjp(ConvParams(kernel[:, :, None, None], ()), images(x))
        dparams, dx = pull(images(dy))
        assert error(dparams.weight[:, :, 0, 0], right) < 1e-8
        right = numeric(lambda x: np.vdot(dy, self.strided(x, kernel, 2)), x)
        assert error(dx[0, :, :, 0], right) < 1e-8

    def test_weights_updated_before_the_gradient_goes_through_them(self, rng):
        x, labels = rng.uniform(size=(1, 648)), np.array([3])
        model = fcnn.serial(fcnn.dense(100), fcnn.dense(10))
        params, _ = model.init(key(0), (648,))
        params = fcnn.tree.astype(params, float)

        def loss(first):
            return softmax_cross_entropy(model.apply((first, params[1]), x), labels)

        f = fcnn.value_and_grad(model, softmax_cross_entropy)
        _, (ours, second) = f(params, x, labels)
        hidden, z = x @ params[0].weight + params[0].bias, model.apply(params, x)
        dz = softmax_cross_entropy.vjp(z, labels)[1](1.0)
        updated = params[1].weight - 0.0003 * 30 * hidden.T @ dz
        articles = dz @ updated.T  # the bias's gradient one layer down
        right = numeric(
            lambda bias: loss(fcnn.DenseParams(params[0].weight, bias)), params[0].bias.copy()
        )
        assert error(articles[0], right) > 1e-3
        assert error(ours.bias, right) < 1e-6
        assert fcnn.tree.allclose(second.weight, hidden.T @ dz)

    def test_the_step_and_the_shape_in_the_first_kernels_gradient(self, rng):
        x, kernel = rng.normal(size=(28, 24)), rng.normal(size=(8, 8))
        dy = rng.normal(size=(11, 9))
        right = numeric(lambda k: np.vdot(dy, self.strided(x, k, 2)), kernel)
        height, width = dy.shape
        with pytest.raises(ValueError, match="broadcast"):
            x[:width, :height] * dy  # the two swapped: it works for squares only
        articles = correlate2d(x, dy, "valid")[:8, :8]  # and the step left out
        assert error(articles, right) > 0.5

        layer = conv2d(1, 8, stride=2, bias=None)
        _, pull = layer.vjp(ConvParams(kernel[:, :, None, None], ()), images(x))
        assert error(pull(images(dy))[0].weight[:, :, 0, 0], right) < 1e-8

    def test_without_the_texts_relu_logits_are_affine_in_the_image(self, rng):
        def model(*between):
            layers = (
                conv2d(4, 8), *between, conv2d(3, 4, stride=2), *between, fcnn.flatten,
                fcnn.dense(10),
            )  # fmt: skip
            net = fcnn.serial(*layers)
            params = fcnn.tree.astype(net.init(key(0), (28, 28, 1))[0], float)
            return lambda x: net.apply(params, x)

        a, b = rng.uniform(size=(2, 1, 28, 28, 1))

        def bend(f):
            return error(f((a + b) / 2), (f(a) + f(b)) / 2)

        assert bend(model()) < 1e-12
        assert bend(model(fcnn.relu)) > 1e-3

    def test_its_bias_gradients_are_never_applied(self, rng):
        x, labels = rng.uniform(size=(4, 12, 12, 1)), np.array([0, 1, 2, 3])
        model = fcnn.serial(conv2d(4, 8), conv2d(3, 4, stride=2), fcnn.flatten, fcnn.dense(10))
        params = fcnn.tree.astype(model.init(key(0), (12, 12, 1))[0], float)
        _, grads = fcnn.value_and_grad(model, softmax_cross_entropy)(params, x, labels)
        stepped = fcnn.tree.map(lambda p, g: p - 0.0003 * g, params, grads)
        for i in (0, 1):
            assert not params[i].bias.any()
            assert stepped[i].bias.all()

    def test_its_softmax_has_no_shift(self):
        z = np.array([187.0, 710.0, -3.0])  # 187 is where its training starts
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.isnan(np.exp(z) / np.sum(np.exp(z))).any()
        value, pull = softmax_cross_entropy.vjp(z[None], np.array([0]))
        assert value == 710 - 187
        np.testing.assert_allclose(pull(1.0), [[-1, 1, 0]], atol=1e-15)
