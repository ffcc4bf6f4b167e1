"""Files in 8 bits: what is in them, and how much accuracy they keep."""

import numpy as np
import pytest

import fcnn
from fcnn import data, models
from fcnn.errors import ShapeError
from fcnn.export._ranges import least_error_range
from fcnn.losses import softmax_cross_entropy
from fcnn.optim import adam

from .conftest import drawn_params, operators, run

onnx = pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", exc_type=ImportError)


def written(model, params, shape, path, examples, **options):
    fcnn.export.onnx(model, params, shape, path, quantize=examples, **options)
    return onnx.load(path)


@pytest.fixture(scope="module")
def digits():
    model = models.lenet5()
    train, test = data.mnist("train", 2500), data.mnist("test", 1000)
    fitted = fcnn.fit(
        model, softmax_cross_entropy, adam(0.003), train, epochs=2, key=fcnn.key(0), log=None
    )
    return model, fitted.params, train, test


def test_accuracy_on_digits_and_size(digits, tmp_path):
    model, params, train, test = digits
    whole, eight = tmp_path / "whole.onnx", tmp_path / "eight.onnx"
    fcnn.export.onnx(model, params, (28, 28, 1), whole)
    for opset in (13, 21):
        written(model, params, (28, 28, 1), eight, train.inputs[:200], opset=opset)
        right = [
            (run(p, test.inputs)[0].argmax(axis=1) == test.targets).mean() for p in (whole, eight)
        ]
        assert right[0] > 0.9
        assert abs(right[0] - right[1]) <= 0.003
        assert eight.stat().st_size < 0.275 * whole.stat().st_size


def test_weights_and_biases_are_whole_numbers(digits, tmp_path):
    model, params, train, _ = digits
    file = written(model, params, (28, 28, 1), tmp_path / "m.onnx", train.inputs[:50])
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in file.graph.initializer}
    assert not [a for a in arrays.values() if a.dtype == np.float32 and a.ndim > 1]
    weights = [a for a in arrays.values() if a.dtype == np.int8 and a.ndim > 1]
    assert len(weights) == 5
    assert all(np.abs(a.reshape(len(a), -1)).max(axis=1).min() == 127 for a in weights)
    assert sum(a.dtype == np.int32 for a in arrays.values()) == 5
    assert operators(file)[-1] == "Gemm"  # no pair behind the logits
    assert {"serial[0].Conv", "serial[3].Conv"} <= {node.name for node in file.graph.node}


def test_short_names_are_not_those_of_inputs_and_outputs(tmp_path):
    model = fcnn.serial(fcnn.dense(2), fcnn.relu, fcnn.dense(2))
    params = drawn_params(model, (3,))
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    names = {"input_names": "v1", "output_names": "v0"}
    file = written(model, params, (3,), tmp_path / "m.onnx", x, **names)
    assert (file.graph.input[0].name, file.graph.output[0].name) == ("v1", "v0")
    assert np.abs(run(tmp_path / "m.onnx", x)[0] - model.apply(params, x)).max() < 0.1


def test_the_numbers_are_those_of_the_formulas(tmp_path):
    model = fcnn.serial(fcnn.dense(2), fcnn.relu, fcnn.dense(2))
    params = drawn_params(model, (3,))
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    written(model, params, (3,), tmp_path / "m.onnx", x)

    def rounded(a):
        low, high = least_error_range(a)
        step = np.float32((high - low) / 255)
        zero = np.round(-low / step)
        return lambda b: (np.clip(np.round(b / step) + zero, 0, 255) - zero) * step

    def eight(w):
        step = np.abs(w).max(axis=0) / 127
        return np.round(w / step) * step

    hidden = fcnn.serial(fcnn.dense(2), fcnn.relu).apply(params[:2], x)
    h = np.maximum(rounded(x)(x) @ eight(params[0].weight) + params[0].bias, 0)
    y = rounded(hidden)(h) @ eight(params[2].weight) + params[2].bias
    assert np.abs(run(tmp_path / "m.onnx", x)[0] - y).max() < 0.02 * np.abs(y).max()
    assert np.abs(model.apply(params, x) - y).max() > 0  # the rounding is not for nothing


def test_a_range_is_narrowed_for_outliers_and_never_for_uniform_values():
    rng = np.random.default_rng(0)
    uniform = rng.uniform(-1, 3, size=10_000)
    assert least_error_range(uniform) == (uniform.min(), uniform.max())
    long_tail = np.append(rng.exponential(size=100_000), 30.0)
    low, high = least_error_range(long_tail)

    def error(low, high):
        step = (high - low) / 255
        return ((np.clip(np.round(long_tail / step), 0, 255) * step - long_tail) ** 2).sum()

    assert low == 0
    assert 20 < high < 29
    assert error(0, high) < 0.95 * error(0, 30)
    assert error(0, high) <= 1.02 * min(error(0, top) for top in np.linspace(9, 30, 211))


@pytest.mark.parametrize("data", [[0.0, 0.0], [2.0], [-3.0, -1.0], [np.inf, 1.0], [1e-45]])
def test_ranges_of_few_values_hold_zero(data):
    low, high = least_error_range(np.array(data, np.float32))
    assert low == min(*np.float32(data), 0)
    assert high == max(*np.float32(data), 0)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (models.resnet20(4), (8, 8, 3)),
        (models.squeezenet(4), (32, 32, 3)),
        (models.unet(2, levels=1, width=4), (8, 8, 1)),
        (fcnn.serial(fcnn.conv1d(4, 3), fcnn.squeeze_excite(2), fcnn.conv1d(2, 1)), (9, 2)),
        (fcnn.serial(fcnn.embedding(5, 4), fcnn.flatten, fcnn.dense(3)), (4,)),
        (fcnn.itemwise(a=fcnn.dense(3), b=fcnn.conv2d(2, 2)), {"a": (4,), "b": (3, 3, 1)}),
        (fcnn.serial(fcnn.dense(2, weight_init=fcnn.initializers.zeros), fcnn.dense(2)), (4,)),
    ],
    ids=lambda part: str(part)[:40],
)  # fmt: skip
def test_models_of_many_kinds(model, shape, tmp_path):
    from .conftest import drawn_inputs

    params, _ = model.init(fcnn.key(0), shape)
    x = drawn_inputs(model, shape, 16)
    written(model, params, shape, tmp_path / "m.onnx", x)
    found, y = run(tmp_path / "m.onnx", x), fcnn.tree.leaves(model.apply(params, x))
    for a, b in zip(found, y, strict=True):
        assert np.abs(a - b).max() <= 0.08 * np.abs(b).max()


def test_with_normalisation_and_channels_first(digits, tmp_path):
    model, params, train, test = digits
    path, bytes_of = tmp_path / "m.onnx", 255 * train.inputs[:100]
    options = {"normalise": (0, 255), "channels_first": True}
    written(model, params, (28, 28, 1), path, bytes_of, **options)
    found = run(path, 255 * test.inputs.transpose(0, 3, 1, 2))[0].argmax(axis=1)
    assert (found == model.apply(params, test.inputs).argmax(axis=1)).mean() > 0.99


def test_calibration_examples_of_another_shape(digits, tmp_path):
    model, params, _, _ = digits
    for examples in (np.zeros((3, 28, 28)), np.zeros((0, 28, 28, 1))):
        with pytest.raises(ShapeError, match=r"expected examples \(n, 28, 28, 1\) to quantize"):
            written(model, params, (28, 28, 1), tmp_path / "m.onnx", examples)
