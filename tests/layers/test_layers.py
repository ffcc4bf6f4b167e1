"""What each layer is for, beyond the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fcnn
from fcnn import add, conv2d, dense, dropout, key, residual, serial, training
from fcnn.errors import ArgumentError, FcnnError, MissingKeyError, ShapeError, TreeError


def image(rows):
    return np.array(rows, float)[None, :, :, None]


class TestConv2d:
    @given(
        st.integers(1, 20),
        st.integers(1, 5),
        st.integers(1, 4),
        st.integers(0, 4),
        st.integers(1, 3),
    )
    def test_output_size_is_the_formula(self, size, k, stride, padding, dilation):
        room = size + 2 * padding - (dilation * (k - 1) + 1)
        layer = conv2d(1, k, stride=stride, padding=padding, dilation=dilation)
        if room < 0:
            with pytest.raises(ShapeError, match="larger than its image"):
                layer.init(key(0), (size, size, 1))
        else:
            out = room // stride + 1
            assert layer.init(key(0), (size, size, 1))[1] == (out, out, 1)

    @given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
    def test_same_gives_the_image_over_the_stride_rounded_up(self, size, k, stride, dilation):
        layer = conv2d(1, k, stride=stride, padding="same", dilation=dilation)
        assert layer.init(key(0), (size, 1, 1))[1] == (-(-size // stride), -(-1 // stride), 1)

    def test_same_puts_the_odd_padding_below_and_to_the_right(self):
        layer = conv2d(1, 2, padding="same", bias=None)
        params = fcnn.ConvParams(np.array([[1.0, 0], [0, 10]]).reshape(2, 2, 1, 1), ())
        y = layer.apply(params, image([[1, 2], [3, 4]]))
        np.testing.assert_array_equal(y[0, :, :, 0], [[41, 2], [3, 4]])

    def test_flip_rotates_the_kernel_by_180_degrees(self, rng):
        x, weight = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(3, 2, 2, 4))
        flipped = conv2d(4, (3, 2), bias=None, flip=True)
        plain = conv2d(4, (3, 2), bias=None)
        y = flipped.apply(fcnn.ConvParams(weight, ()), x)
        np.testing.assert_array_equal(y, plain.apply(fcnn.ConvParams(weight[::-1, ::-1], ()), x))

    def test_depthwise_sees_its_own_channel_only(self, rng):
        layer = conv2d(2, 3, groups=2)
        params, _ = layer.init(key(0), (5, 5, 2))
        assert params.weight.shape == (3, 3, 1, 2)
        x = rng.normal(size=(1, 5, 5, 2)).astype(np.float32)
        other = x.copy()
        other[..., 1] += 1
        y, changed = layer.apply(params, x), layer.apply(params, other)
        np.testing.assert_array_equal(y[..., 0], changed[..., 0])
        assert not np.allclose(y[..., 1], changed[..., 1])

    def test_bias_shapes(self):
        shapes = {
            bias: np.shape(conv2d(5, 3, bias=bias).init(key(0), (28, 28, 1))[0].bias)
            for bias in ("tied", "untied", None)
        }
        assert shapes == {"tied": (5,), "untied": (26, 26, 5), None: (0,)}

    @pytest.mark.parametrize(
        "options",
        [
            {"filters": 0},
            {"filters": 2.5},
            {"filters": True},
            {"kernel": 0},
            {"kernel": (3, 3, 3)},
            {"kernel": "3"},
            {"stride": 0},
            {"dilation": (1, 0)},
            {"padding": "full"},
            {"padding": -1},
            {"padding": (1, 2, 3)},
            {"padding": 1.5},
            {"groups": 0},
            {"groups": 3},
            {"bias": True},
            {"bias": "none"},
        ],
        ids=str,
    )
    def test_refuses_hyper_parameters_out_of_range(self, options):
        with pytest.raises(ArgumentError):
            conv2d(**{"filters": 4, "kernel": 3, **options})

    def test_refuses_channels_that_do_not_divide(self):
        with pytest.raises(ShapeError, match="3 channels do not divide into 2 groups"):
            conv2d(4, 3, groups=2).init(key(0), (5, 5, 3))

    def test_refuses_an_untied_bias_of_another_image_size(self):
        layer = conv2d(2, 3, bias="untied")
        params, _ = layer.init(key(0), (5, 5, 1))
        with pytest.raises(ShapeError, match=r"untied bias \(3, 3, 2\)"):
            layer.apply(params, np.zeros((1, 6, 6, 1), np.float32))


class TestPooling:
    @given(arrays(np.float64, (2, 5, 6, 2), elements=st.integers(-1, 1).map(float)))
    def test_a_tie_sends_its_gradient_to_one_place(self, x):
        y, pullback = fcnn.max_pool2d(2).vjp((), x)
        dy = np.arange(1.0, y.size + 1).reshape(y.shape)
        _, dx = pullback(dy)
        assert dx.sum() == dy.sum()
        assert np.count_nonzero(dx) == dy.size

    def test_a_tie_sends_its_gradient_to_the_first_place_in_row_major_order(self):
        x = image([[0, 1, 2, 0], [1, 1, 2, 2], [3, 3, 0, 0], [0, 3, 0, 0]])
        _, pullback = fcnn.max_pool2d(2).vjp((), x)
        _, dx = pullback(image([[10, 20], [30, 40]]))
        expected = [[0, 10, 20, 0], [0, 0, 0, 0], [30, 0, 40, 0], [0, 0, 0, 0]]
        np.testing.assert_array_equal(dx[0, :, :, 0], expected)

    def test_overlapping_windows_add_their_gradients(self):
        x = image([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
        _, pullback = fcnn.max_pool2d(2, stride=1).vjp((), x)
        _, dx = pullback(image([[1, 2], [3, 4]]))
        np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0, 0], [0, 10, 0], [0, 0, 0]])

    def test_what_is_left_over_falls_away(self):
        layer = fcnn.max_pool2d(2)
        assert layer.init(key(0), (23, 23, 1))[1] == (11, 11, 1)
        _, pullback = layer.vjp((), np.ones((1, 23, 23, 1)))
        _, dx = pullback(np.ones((1, 11, 11, 1)))
        assert dx.shape == (1, 23, 23, 1)
        assert not dx[:, 22].any()
        assert not dx[:, :, 22].any()

    def test_padding_never_wins(self):
        y = fcnn.max_pool2d(2, padding=1, stride=2).apply((), -np.ones((1, 2, 2, 1)))
        np.testing.assert_array_equal(y, -np.ones((1, 2, 2, 1)))

    def test_padding_is_not_counted_in_a_mean(self):
        y = fcnn.avg_pool2d(3, stride=1, padding="same").apply((), np.ones((1, 4, 4, 1)))
        np.testing.assert_allclose(y, np.ones((1, 4, 4, 1)), rtol=1e-15)

    @pytest.mark.parametrize("make", [fcnn.max_pool2d, fcnn.avg_pool2d])
    def test_refuses_what_does_not_fit(self, make):
        with pytest.raises(ArgumentError, match="padding must be smaller than the window"):
            make(2, padding=2)
        with pytest.raises(ArgumentError, match="window"):
            make(0)
        with pytest.raises(ShapeError, match="larger than its image"):
            make(3).init(key(0), (2, 5, 1))
        with pytest.raises(ShapeError, match="images"):
            make(2).apply((), np.zeros((2, 4)))


class TestDropout:
    def test_evaluation_is_the_identity(self, rng):
        x = rng.normal(size=(3, 4))
        np.testing.assert_array_equal(dropout(0.9).apply((), x), x)

    def test_rate_is_the_fraction_dropped_and_the_rest_is_scaled_up(self):
        x = np.ones((100, 100))
        y = dropout(0.2).apply((), x, training(key(0)))
        assert set(np.unique(y)) == {0.0, 1 / 0.8}
        assert (y == 0).mean() == pytest.approx(0.2, abs=0.01)
        assert y.mean() == pytest.approx(1, abs=0.02)

    def test_backward_uses_the_same_mask_with_the_same_scale(self, rng):
        x = np.ones((20, 20))
        y, pullback = dropout(0.4).vjp((), x, training(key(3)))
        np.testing.assert_array_equal(pullback(x)[1], y)

    def test_precision_does_not_change_the_mask(self):
        single, double = (
            dropout(0.5).apply((), np.ones((9, 9), dtype), training(key(0)))
            for dtype in (np.float32, np.float64)
        )
        np.testing.assert_array_equal(single, double)

    def test_keys_decide(self):
        x = np.ones((1, 200))
        one, same, other = (dropout(0.5).apply((), x, training(key(i))) for i in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_two_dropouts_in_a_row_do_not_share_a_mask(self):
        x = np.ones((1, 1000))
        y = serial(dropout(0.5), dropout(0.5)).apply(((), ()), x, training(key(0)))
        assert (y > 0).mean() == pytest.approx(0.25, abs=0.05)
        branches = add(dropout(0.5), dropout(0.5)).apply(((), ()), x, training(key(0)))
        assert set(np.unique(branches)) == {0.0, 2.0, 4.0}

    def test_needs_a_key_in_training(self):
        for run in (dropout(0.5).apply, dropout(0.5).vjp):
            with pytest.raises(MissingKeyError, match=r"dropout\(0.5\): .* needs a key"):
                run((), np.ones((1, 2)), training())

    @pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), "0.5", True, None])
    def test_refuses_a_rate_out_of_range(self, rate):
        with pytest.raises(ArgumentError, match="rate"):
            dropout(rate)


class TestBatchNorm:
    def test_training_normalises_each_channel(self, rng):
        layer = fcnn.batch_norm(epsilon=0)
        x = 5 + 3 * rng.normal(size=(8, 6, 6, 2))
        params = fcnn.tree.astype(layer.init(key(0), (6, 6, 2))[0], np.float64)
        y = layer.apply(params, x, training())
        np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(axis=(0, 1, 2)), 1, rtol=1e-12)

    def test_evaluation_uses_what_is_stored(self, rng):
        x = rng.normal(size=(4, 3))
        scale, shift, mean, variance = rng.uniform(0.5, 2, size=(4, 3))
        params = fcnn.BatchNormParams(scale, shift, mean, variance)
        expected = scale * (x - mean) / np.sqrt(variance + 1e-5) + shift
        np.testing.assert_allclose(fcnn.batch_norm().apply(params, x), expected, rtol=1e-13)

    @given(st.floats(0, 1), st.integers(2, 9))
    def test_stored_minus_gradient_is_the_running_statistic(self, momentum, n):
        rng = np.random.default_rng(n)
        x = rng.normal(size=(n, 3))
        params = fcnn.BatchNormParams(*rng.uniform(0.5, 2, size=(4, 3)))
        layer = fcnn.batch_norm(momentum=momentum)
        _, pullback = layer.vjp(params, x, training())
        grads, _ = pullback(rng.normal(size=x.shape))
        mean = momentum * params.mean + (1 - momentum) * x.mean(axis=0)
        variance = momentum * params.variance + (1 - momentum) * x.var(axis=0, ddof=1)
        np.testing.assert_allclose(params.mean - grads.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(params.variance - grads.variance, variance, rtol=1e-12)

    def test_evaluation_moves_no_statistic(self, rng):
        params = fcnn.BatchNormParams(*rng.uniform(0.5, 2, size=(4, 3)))
        _, pullback = fcnn.batch_norm().vjp(params, rng.normal(size=(5, 3)))
        grads, _ = pullback(rng.normal(size=(5, 3)))
        assert not grads.mean.any()
        assert not grads.variance.any()

    def test_a_thousand_steps_find_the_data(self, rng):
        layer = fcnn.batch_norm(momentum=0.9)
        params = fcnn.tree.astype(layer.init(key(0), (1,))[0], np.float64)
        for _ in range(1000):
            _, pullback = layer.vjp(params, 7 + 2 * rng.normal(size=(64, 1)), training())
            grads, _ = pullback(np.zeros((64, 1)))
            params = fcnn.tree.map(
                lambda p, g: p, params, grads, statistic=lambda stored, g: stored - g
            )
        assert params.mean[0] == pytest.approx(7, abs=0.3)
        assert params.variance[0] == pytest.approx(4, abs=0.8)

    def test_refuses_a_single_element_in_training(self):
        layer = fcnn.batch_norm()
        params, _ = layer.init(key(0), (2,))
        with pytest.raises(ShapeError, match="two elements or more"):
            layer.apply(params, np.ones((1, 2), np.float32), training())

    @pytest.mark.parametrize("options", [{"momentum": 1.1}, {"momentum": -1}, {"epsilon": -1e-5}])
    def test_refuses_hyper_parameters_out_of_range(self, options):
        with pytest.raises(ArgumentError):
            fcnn.batch_norm(**options)


class TestReshape:
    def test_row_major_like_numpy(self, rng):
        x = rng.normal(size=(2, 3, 4, 5))
        np.testing.assert_array_equal(fcnn.flatten.apply((), x), x.reshape(2, 60))
        np.testing.assert_array_equal(fcnn.reshape(-1, 6).apply((), x), x.reshape(2, 10, 6))

    def test_an_empty_batch_keeps_its_shape(self):
        assert fcnn.flatten.apply((), np.zeros((0, 3, 4))).shape == (0, 12)
        assert fcnn.reshape(2, -1).apply((), np.zeros((0, 3, 4))).shape == (0, 2, 6)

    @pytest.mark.parametrize("shape", [(0,), (-2,), (-1, -1), (2, 0), (2.5,), ("3",)])
    def test_refuses_axes_that_are_none(self, shape):
        with pytest.raises(ArgumentError):
            fcnn.reshape(*shape)

    @pytest.mark.parametrize("shape", [(3,), (5, -1), (2, 3)])
    def test_refuses_another_number_of_elements(self, shape):
        with pytest.raises(ShapeError, match="has 4 elements"):
            fcnn.reshape(*shape).init(key(0), (4,))
        with pytest.raises(ShapeError, match="has 4 elements"):
            fcnn.reshape(*shape).apply((), np.zeros((1, 4)))


class TestActivations:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_exact_at_a_thousand(self, dtype):
        x = np.array([[-1000, 0, 1000]], dtype)
        np.testing.assert_array_equal(fcnn.sigmoid.apply((), x), [[0, 0.5, 1]])
        np.testing.assert_array_equal(fcnn.softmax.apply((), x), [[0, 0, 1]])
        np.testing.assert_array_equal(fcnn.log_softmax.apply((), x), [[-2000, -1000, 0]])
        np.testing.assert_array_equal(fcnn.tanh.apply((), x), [[-1, 0, 1]])
        np.testing.assert_array_equal(fcnn.relu.apply((), x), [[0, 0, 1000]])

    def test_relus_derivative_at_zero_is_zero(self):
        _, pullback = fcnn.relu.vjp((), np.array([[-1.0, -0.0, 0.0, 1.0]]))
        np.testing.assert_array_equal(pullback(np.ones((1, 4)))[1], [[0, 0, 0, 1]])


class TestCombinators:
    def test_serial_of_nothing_is_the_identity(self, rng):
        x = rng.normal(size=(2, 3))
        params, out_shape = serial().init(key(0), (3,))
        y, pullback = serial().vjp(params, x)
        assert (params, out_shape) == ((), (3,))
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(pullback(x)[1], x)

    def test_serial_is_composition(self, rng):
        model = serial(dense(3), fcnn.tanh, dense(2))
        params, _ = model.init(key(0), (4,))
        x = rng.normal(size=(5, 4)).astype(np.float32)
        by_hand = np.tanh(x @ params[0].weight + params[0].bias) @ params[2].weight
        np.testing.assert_allclose(model.apply(params, x), by_hand + params[2].bias, rtol=1e-5)

    def test_nesting_does_not_change_the_function(self, rng):
        flat, nested = (
            serial(dense(3), fcnn.tanh, dense(2)),
            serial(serial(dense(3), fcnn.tanh), dense(2)),
        )
        (a, b, c), _ = flat.init(key(0), (4,))
        x = rng.normal(size=(5, 4)).astype(np.float32)
        np.testing.assert_array_equal(flat.apply((a, b, c), x), nested.apply(((a, b), c), x))

    def test_residual_is_add_of_shortcut_and_serial(self, rng):
        body = (dense(4), fcnn.relu)
        short, long = residual(*body), add(serial(), serial(*body))
        params, _ = short.init(key(0), (4,))
        assert fcnn.tree.equal(params, long.init(key(0), (4,))[0])
        x = rng.normal(size=(5, 4)).astype(np.float32)
        np.testing.assert_array_equal(short.apply(params, x), long.apply(params, x))

    def test_concat_puts_its_branches_side_by_side(self, rng):
        x = rng.normal(size=(2, 4, 4, 3))
        y = fcnn.concat(fcnn.max_pool2d(2), fcnn.avg_pool2d(2)).apply(((), ()), x)
        np.testing.assert_array_equal(y[..., :3], fcnn.max_pool2d(2).apply((), x))
        np.testing.assert_array_equal(y[..., 3:], fcnn.avg_pool2d(2).apply((), x))

    def test_every_layer_draws_from_a_key_of_its_own(self):
        params, _ = serial(dense(4), dense(4)).init(key(0), (4,))
        assert not np.array_equal(params[0].weight, params[1].weight)
        params, _ = add(dense(4), dense(4)).init(key(0), (4,))
        assert not np.array_equal(params[0].weight, params[1].weight)

    def test_without_input_grad_no_dx_comes_back(self, rng):
        x = rng.normal(size=(2, 4)).astype(np.float32)
        for model in (serial(dense(3)), serial(fcnn.relu, dense(3)), add(dense(4), fcnn.relu)):
            params, _ = model.init(key(0), (4,))
            y, pullback = model.vjp(params, x, fcnn.Context(input_grad=False))
            assert pullback(y)[1] is None

    def test_params_may_be_bare_arrays(self, rng):
        @fcnn.layer
        def shift():
            def init(key, shape):
                return np.zeros(shape), shape

            def apply(params, x, ctx=fcnn.EVAL):
                return x + params

            def vjp(params, x, ctx=fcnn.EVAL):
                return x + params, lambda dy: (dy.sum(axis=0), dy)

            return init, apply, vjp

        for model in (serial(shift()), serial(fcnn.relu, shift()), add(shift(), shift())):
            params, _ = model.init(key(0), (3,))
            _, pullback = model.vjp(params, np.ones((2, 3)), fcnn.Context(input_grad=False))
            grads, _ = pullback(np.ones((2, 3)))
            assert fcnn.tree.structure(grads) == fcnn.tree.structure(params)
            np.testing.assert_array_equal(fcnn.tree.leaves(grads)[0], [2, 2, 2])

    @pytest.mark.parametrize("combine", [serial, add, fcnn.concat, residual])
    @pytest.mark.parametrize(
        "intruder",
        [dense, 3, None, np.tanh],
        ids=["a constructor", "a number", "None", "a function"],
    )
    def test_refuses_what_is_no_layer(self, combine, intruder):
        with pytest.raises(ArgumentError, match=r"\[1\] must be a layer"):
            combine(fcnn.relu, intruder)

    @pytest.mark.parametrize("combine", [add, fcnn.concat])
    def test_refuses_to_join_nothing(self, combine):
        with pytest.raises(ArgumentError, match="needs a branch"):
            combine()

    def test_refuses_branches_that_do_not_fit(self):
        with pytest.raises(ShapeError, match=r"add.*: the branches' outputs must have one shape"):
            add(dense(3), dense(4)).init(key(0), (2,))
        with pytest.raises(ShapeError, match=r"concat.*agree in all axes but the last"):
            fcnn.concat(fcnn.max_pool2d(2), serial()).init(key(0), (4, 4, 1))
        with pytest.raises(ShapeError, match="one shape"):
            residual(conv2d(2, 3)).init(key(0), (5, 5, 2))

    @pytest.mark.parametrize("params", [(), ((), (), ()), [(), ()], None])
    def test_refuses_params_of_another_model(self, params):
        for combine in (serial, add, fcnn.concat):
            with pytest.raises(TreeError, match="a tuple of 2"):
                combine(fcnn.relu, fcnn.tanh).apply(params, np.ones((1, 2)))

    @pytest.mark.parametrize("stride", [1, 2])
    def test_an_empty_batch_is_no_error_to_a_layer(self, stride):
        first = conv2d(2, 3, stride=stride, padding="same")
        model = serial(first, fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, dense(3), fcnn.softmax)
        params, _ = model.init(key(0), (6, 6, 1))
        x = np.zeros((0, 6, 6, 1), np.float32)
        assert model.apply(params, x).shape == (0, 3)
        y, pullback = model.vjp(params, x)
        grads, dx = pullback(y)
        assert dx.shape == x.shape
        assert fcnn.tree.equal(grads, fcnn.tree.zeros_like(params))

    def test_every_error_is_an_fcnn_error(self):
        with pytest.raises(FcnnError):
            serial(dense(3)).init(key(0), ())
