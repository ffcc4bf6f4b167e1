"""Errors: each of its type, said by the layer's path, with both shapes and the arithmetic."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn import conv2d, dense, errors, key, serial, training
from fcnn.errors import (
    ArgumentError,
    DTypeError,
    FcnnError,
    LabelError,
    MissingKeyError,
    NonFiniteError,
    ShapeError,
    TreeError,
)
from fcnn.losses import softmax_cross_entropy

MODEL = serial(conv2d(8, 3), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, dense(10))


@pytest.fixture
def params():
    return MODEL.init(key(0), (28, 28, 1))[0]


def message(error, call, *args):
    with pytest.raises(error) as caught:
        call(*args)
    return str(caught.value)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


class TestAtInit:
    def test_a_kernel_larger_than_its_image(self):
        said = message(ShapeError, MODEL.init, key(0), (2, 28, 1))
        assert said == (
            "serial[0] conv2d(8, 3): expected a window no larger than its image, got "
            "rows 1·(3 - 1) + 1 = 3 against 2 + 0 + 0 = 2; use a smaller window or more padding"
        )

    def test_dilation_and_padding_are_in_the_arithmetic(self):
        layer = conv2d(8, 3, dilation=4, padding=(1, 2))
        said = message(ShapeError, layer.init, key(0), (9, 4, 1))
        assert "columns 4·(3 - 1) + 1 = 9 against 4 + 2 + 2 = 8" in said

    def test_a_window_larger_than_what_the_convolution_leaves(self):
        said = message(ShapeError, MODEL.init, key(0), (3, 28, 1))
        assert said.startswith("serial[2] max_pool2d(2): ")
        assert "= 2 against 1 + 0 + 0 = 1" in said

    def test_a_vector_where_an_image_is_wanted(self):
        said = message(ShapeError, MODEL.init, key(0), (784,))
        assert said == "serial[0] conv2d(8, 3): expected an image (h, w, c), got (784,)"

    def test_the_path_goes_through_every_combinator(self):
        inner = fcnn.residual(serial(fcnn.relu, conv2d(4, 9)))
        model = serial(fcnn.relu, fcnn.concat(fcnn.relu, inner))
        said = message(ShapeError, model.init, key(0), (8, 8, 1))
        assert said.startswith("serial[1].concat[1].")
        assert "serial[1] conv2d(4, 9): expected a window" in said

    def test_a_foreign_error_gets_a_note_of_where(self):
        def explode(key, shape):
            raise RuntimeError("boom")

        model = serial(fcnn.relu, serial(dense(2, weight_init=explode)))
        with pytest.raises(RuntimeError, match="boom") as caught:
            model.init(key(0), (3,))
        assert any("serial[0] dense(2" in note for note in caught.value.__notes__)
        assert any("serial[1] serial(" in note for note in caught.value.__notes__)


class TestAtApply:
    @pytest.mark.parametrize("run", ["apply", "vjp"])
    def test_another_image_size_is_told_by_the_layer_that_cannot_take_it(self, params, run):
        said = message(ShapeError, getattr(MODEL, run), params, zeros(2, 20, 28, 1))
        assert said == (
            "serial[4] dense(10): expected an input (n, ..., 1352) for the weight (1352, 10), "
            "got (2, 936)"
        )

    @pytest.mark.parametrize("run", ["apply", "vjp"])
    def test_another_number_of_channels(self, params, run):
        said = message(ShapeError, getattr(MODEL, run), params, zeros(2, 28, 28, 3))
        assert said == (
            "serial[0] conv2d(8, 3): expected images (n, h, w, 1) for the weight (3, 3, 1, 8), "
            "got (2, 28, 28, 3)"
        )

    @pytest.mark.parametrize("run", ["apply", "vjp"])
    def test_one_image_without_its_batch_axis(self, params, run):
        said = message(ShapeError, getattr(MODEL, run), params, zeros(28, 28, 1))
        assert "expected images (n, h, w, 1)" in said
        assert said.endswith("got (28, 28, 1); for one image add the batch axis: x[np.newaxis]")
        dense_params, _ = dense(2).init(key(0), (3,))
        said = message(ShapeError, getattr(dense(2), run), dense_params, zeros(3))
        assert said.endswith("expected an input (n, ..., 3) for the weight (3, 2), got (3,)")

    def test_channels_first_are_told_how_to_turn(self, params):
        said = message(ShapeError, MODEL.apply, params, zeros(2, 1, 28, 28))
        assert said.endswith("channels come last: x.transpose(0, 2, 3, 1)")

    @pytest.mark.parametrize("run", ["apply", "vjp"])
    def test_batch_norms_channels(self, run):
        params, _ = fcnn.batch_norm().init(key(0), (4,))
        said = message(ShapeError, getattr(fcnn.batch_norm(), run), params, zeros(2, 3))
        assert said == "batch_norm(): expected 4 channels on the last axis, got (2, 3)"

    def test_a_dy_of_another_shape(self, params):
        y, pullback = MODEL.vjp(params, zeros(2, 28, 28, 1))
        assert y.shape == (2, 10)
        said = message(ShapeError, pullback, zeros(2, 9))
        assert "expected dy of y's shape (2, 10), got (2, 9)" in said


class TestDType:
    @pytest.mark.parametrize("run", ["apply", "vjp"])
    def test_whole_numbers_are_refused_with_the_cast_to_use(self, params, run):
        said = message(DTypeError, getattr(MODEL, run), params, zeros(1, 28, 28, 1, dtype=np.uint8))
        assert "expected a float32 or float64 array, got uint8" in said
        assert "x.astype(np.float32)" in said

    @pytest.mark.parametrize("dtype", [np.float16, np.complex64, bool, object])
    def test_other_kinds_of_numbers(self, dtype):
        message(DTypeError, fcnn.relu.apply, (), np.zeros((1, 2), dtype))

    def test_a_list_is_no_array(self):
        assert "got list" in message(DTypeError, fcnn.relu.apply, (), [[1.0]])

    @pytest.mark.parametrize("run", ["apply", "vjp"])
    @pytest.mark.parametrize(
        ("layer", "shape"), [(dense(2), (3,)), (conv2d(2, 2), (3, 3, 1)), (fcnn.batch_norm(), (3,))]
    )
    def test_precisions_that_differ(self, layer, shape, run):
        params, _ = layer.init(key(0), shape)
        said = message(DTypeError, getattr(layer, run), params, zeros(2, *shape, dtype=float))
        assert "expected an input of the params' dtype float32, got float64" in said
        assert "fcnn.tree.astype(params, np.float64)" in said


class TestOther:
    def test_a_missing_key_is_told_by_path(self):
        model = serial(fcnn.relu, fcnn.dropout(0.5))
        said = message(MissingKeyError, model.apply, ((), ()), zeros(1, 2), training())
        assert said.startswith("serial[1] dropout(0.5): ")
        assert "training(key)" in said

    def test_a_label_out_of_range(self, params):
        f = fcnn.value_and_grad(MODEL, softmax_cross_entropy)
        said = message(LabelError, f, params, zeros(2, 28, 28, 1), np.array([3, 10]))
        assert said == ("expected labels from 0 to 9 for a prediction of 10 classes, got 3 to 10")

    def test_an_empty_batch(self, params):
        f = fcnn.value_and_grad(MODEL, softmax_cross_entropy)
        said = message(ShapeError, f, params, zeros(0, 28, 28, 1), np.zeros(0, int))
        assert "empty batch" in said

    def test_images_and_labels_of_different_number(self, params):
        f = fcnn.value_and_grad(MODEL, softmax_cross_entropy)
        said = message(ShapeError, f, params, zeros(3, 28, 28, 1), np.zeros(2, int))
        assert said == "expected 3 targets for a batch of 3 examples, got 2"

    def test_params_of_another_model(self, params):
        message(TreeError, serial(fcnn.relu).apply, params, zeros(1, 2))

    def test_a_hyper_parameter_out_of_range(self):
        assert message(ArgumentError, dense, 0) == (
            "expected a whole number of at least 1 for units, got 0"
        )
        assert "two, (rows, columns)" in message(ArgumentError, conv2d, 8, (3, 3, 3))

    def test_nan_in_data(self):
        images = zeros(2, 4, 4, 1)
        images[1, 2, 3, 0] = np.nan
        message(NonFiniteError, lambda: fcnn.data.Dataset(images, np.array([0, 1]), ("a", "b")))


EVERY = [getattr(errors, name) for name in errors.__all__]
BUILT_IN = {
    "ShapeError": ValueError, "DTypeError": TypeError, "ArgumentError": ValueError,
    "MissingKeyError": ValueError, "LabelError": ValueError, "NonFiniteError": ValueError,
    "DataError": ValueError, "TraceError": TypeError, "TreeError": ValueError,
}  # fmt: skip


def test_every_error_is_also_the_built_in_one_that_python_would_raise():
    assert {error.__name__ for error in EVERY} == {"FcnnError", *BUILT_IN}
    for error in EVERY:
        assert issubclass(error, FcnnError)
        assert issubclass(error, BUILT_IN.get(error.__name__, Exception))


@pytest.mark.parametrize("error", EVERY)
def test_every_error_pickles_with_its_place(error):
    raised = error("too big").called("dense(10)").within("serial[4]").within("add[1]")
    again = pickle.loads(pickle.dumps(raised))
    assert type(again) is error
    assert str(again) == str(raised) == "add[1].serial[4] dense(10): too big"
    assert (again.message, again.path, again.call) == ("too big", "add[1].serial[4]", "dense(10)")


def test_the_innermost_call_stands():
    assert str(ShapeError("x").called("dense(10)").called("serial(...)")) == "dense(10): x"
    assert str(ShapeError("x")) == "x"
