import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import EVAL, Context, dense, fold_in, key, training
from fcnn.errors import DTypeError, ShapeError


class TestContext:
    def test_evaluation_is_the_default(self):
        assert Context() == EVAL == Context(train=False, key=None, input_grad=True)
        assert training(key(0)) == Context(train=True, key=key(0))
        assert training() == Context(train=True)

    def test_is_a_frozen_value(self):
        with pytest.raises(AttributeError):
            EVAL.train = True
        assert eval(repr(training(key(3))), {"Context": Context, "Key": fcnn.Key}) == training(
            key(3)
        )
        assert len({EVAL, Context(), training()}) == 2

    @given(st.integers(0, 99), st.integers(0, 99), st.booleans(), st.booleans(), st.booleans())
    def test_a_child_has_a_key_of_its_own(self, i, j, train, input_grad, fuse):
        ctx = Context(train, key(0), input_grad, fuse)
        child = ctx.child(i)
        assert child == Context(train, fold_in(key(0), i), input_grad, fuse)
        assert (child.key == ctx.child(j).key) == (i == j)

    def test_a_child_without_a_key_has_none(self):
        assert training().child(3) == training()
        assert EVAL.child(3).at((), False) == Context(input_grad=False)


class TestLayer:
    def test_unpacks_into_its_three_functions(self):
        layer = dense(2)
        init, apply, vjp = layer
        assert (init, apply, vjp) == (layer.init, layer.apply, layer.vjp)

    def test_a_serial_gives_its_layers(self):
        model = fcnn.serial(dense(2), fcnn.relu, dense(3), fcnn.flatten)
        assert model[0] == dense(2)
        assert model[-1] is fcnn.flatten
        assert model[:2] == fcnn.serial(dense(2), fcnn.relu)
        assert model[::2] == fcnn.serial(dense(2), dense(3))
        assert len(model) == len(model.layers) == 4
        assert model.layers == (dense(2), fcnn.relu, dense(3), fcnn.flatten)
        with pytest.raises(IndexError):
            model[4]
        params, _ = model.init(key(0), (4,))
        x = np.ones((1, 4), np.float32)
        np.testing.assert_array_equal(
            model[2:].apply(params[2:], model[:2].apply(params[:2], x)), model.apply(params, x)
        )

    def test_a_call_says_what_to_write(self):
        with pytest.raises(TypeError, match=r"expected relu without a call.*write relu, not relu"):
            fcnn.relu()
        with pytest.raises(TypeError, match=r"model\.apply\(params, x\), not model\(x\)"):
            dense(2)(np.ones((1, 3)))

    def test_other_layers_have_no_slices(self):
        assert dense(2).layers == ()
        assert bool(dense(2))
        assert fcnn.residual(dense(2), fcnn.relu)[1] is fcnn.relu
        with pytest.raises(TypeError, match="expected a serial to take a slice of"):
            fcnn.add(dense(2), dense(2))[:1]

    def test_nothing_that_vjp_returns_can_be_changed_through_another(self):
        for layer in (fcnn.relu, fcnn.serial(), fcnn.flatten, fcnn.dropout(0.0), dense(3)):
            params, _ = layer.init(key(0), (3,))
            x, dy = np.ones((1, 3)), np.ones((1, 3))
            y, pullback = layer.vjp(fcnn.tree.astype(params, float), x)
            grads, dx = pullback(dy)
            with pytest.raises(ValueError, match="read-only"):
                y[:] = 7
            before = fcnn.tree.digest((grads, dx))
            dy[:] = 7
            assert fcnn.tree.digest((grads, dx)) == before
            assert x.flags.writeable

    def test_the_default_context_is_evaluation(self):
        x = np.ones((2, 50), np.float32)
        np.testing.assert_array_equal(fcnn.dropout(0.5).apply((), x), x)
        np.testing.assert_array_equal(fcnn.dropout(0.5).vjp((), x)[0], x)

    def test_init_takes_any_sequence_for_a_shape(self):
        assert dense(2).init(key(0), [4])[1] == (2,)

    def test_init_is_float32(self):
        model = fcnn.serial(
            fcnn.conv2d(2, 2, bias="untied"), fcnn.batch_norm(), fcnn.flatten, dense(2)
        )
        params, _ = model.init(key(0), (4, 4, 1))
        assert {leaf.dtype for leaf in fcnn.tree.leaves(params)} == {np.dtype(np.float32)}

    def test_what_a_user_writes_is_checked_as_well(self):
        @fcnn.layer
        def halves():
            def init(key, shape):
                if shape[-1] % 2:
                    raise ShapeError(f"expected an even last axis, got {shape}")
                return (), (*shape[:-1], shape[-1] // 2)

            def apply(params, x, ctx=EVAL):
                return x[..., ::2]

            def vjp(params, x, ctx=EVAL):
                def pullback(dy):
                    dx = np.zeros_like(x)
                    dx[..., ::2] = dy
                    return (), dx

                return apply(params, x), pullback

            return init, apply, vjp

        fcnn.testing.check_layer(halves(), (3, 4))
        with pytest.raises(ShapeError, match=r"serial\[1\] halves\(\): expected an even last axis"):
            fcnn.serial(fcnn.relu, halves()).init(key(0), (3,))
        with pytest.raises(DTypeError, match=r"halves\(\): "):
            halves().apply((), np.arange(4)[None])
        with pytest.raises(ShapeError, match=r"halves\(\): expected dy of"):
            halves().vjp((), np.ones((1, 4)))[1](np.ones((1, 4)))


@pytest.mark.usefixtures("no_global_generator")
def test_a_whole_training_step_is_a_function_of_its_arguments():
    model = fcnn.serial(
        fcnn.conv2d(3, 3), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten,
        fcnn.dropout(0.5), dense(4),
    )  # fmt: skip
    step = fcnn.value_and_grad(model, fcnn.losses.softmax_cross_entropy)
    x, labels = np.linspace(0, 1, 3 * 64, dtype=np.float32).reshape(3, 8, 8, 1), np.array([0, 1, 3])

    def run(seed):
        params, _ = model.init(key(seed), (8, 8, 1))
        return fcnn.tree.digest(step(params, x, labels, training(fold_in(key(seed), 1))))

    assert run(0) == run(0) != run(1)
