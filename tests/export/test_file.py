"""What stands in a file: layout, names, attributes, metadata; and what is refused."""

import json
import sys

import numpy as np
import pytest

import fcnn
from fcnn import models
from fcnn.errors import ArgumentError, DTypeError, ShapeError

from .conftest import drawn_params, off_by, operators, run

onnx = pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", exc_type=ImportError)

NET = fcnn.serial(
    *(fcnn.conv2d(4, 3, bias=None), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2)),
    *(fcnn.dropout(0.5), fcnn.flatten, fcnn.dense(3), fcnn.softmax),
)
SHAPE = (8, 6, 2)


def dims(info):
    return [each.dim_param or each.dim_value for each in info.type.tensor_type.shape.dim]


def attributes(node):
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def test_one_transpose_in_and_one_before_flatten(agree):
    file = agree(NET, SHAPE)
    assert operators(file) == [
        "Transpose", "Conv", "Relu", "MaxPool", "Transpose", "Reshape", "Gemm", "Softmax",
    ]  # fmt: skip
    assert dims(file.graph.input[0]) == ["N", 8, 6, 2]
    assert dims(file.graph.output[0]) == ["N", 3]


def test_channels_first_at_both_ends(agree):
    file = agree(models.unet(2, levels=1, width=2), (4, 6, 3), channels_first=True)
    assert "Transpose" not in operators(file)
    assert dims(file.graph.input[0]) == ["N", 3, 4, 6]
    assert dims(file.graph.output[0]) == ["N", 2, 4, 6]
    mixed = agree(NET, SHAPE, channels_first=True)
    assert operators(mixed).count("Transpose") == 1


def test_an_image_comes_out_with_channels_last(agree):
    file = agree(models.unet(2, levels=1, width=2), (4, 6, 3))
    assert operators(file).count("Transpose") == 2
    assert dims(file.graph.output[0]) == ["N", 4, 6, 2]


@pytest.mark.parametrize(("opset", "ir"), [(13, 7), (17, 8), (21, 10)])
def test_versions_are_written_and_attributes_too(agree, opset, ir):
    file = agree(NET, SHAPE, opset=opset, batches=(2,))
    assert (file.ir_version, file.opset_import[0].version) == (ir, opset)
    assert [each.domain for each in file.opset_import] == [""]
    conv, pool = file.graph.node[1], file.graph.node[3]
    assert attributes(conv) == {
        "kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0],
        "group": 1,
    }  # fmt: skip
    assert set(attributes(pool)) >= {"kernel_shape", "strides", "dilations", "pads", "ceil_mode"}
    names = [node.name for node in file.graph.node]
    assert len(set(names)) == len(names)
    assert "serial[0].Conv" in names


def test_an_odd_padding_is_explicit(agree):
    layer = fcnn.serial(
        fcnn.conv2d(2, 2, padding="same"), fcnn.max_pool2d(2, stride=1, padding="same")
    )
    file = agree(layer, (5, 5, 1))
    pads = [attributes(node)["pads"] for node in file.graph.node if "pads" in attributes(node)]
    assert pads == [[0, 0, 1, 1]] * 2


def test_batch_norm_is_folded_or_kept(agree):
    assert "BatchNormalization" not in operators(agree(NET, SHAPE))
    kept = agree(NET, SHAPE, fold_batch_norm=False)
    (norm,) = [node for node in kept.graph.node if node.op_type == "BatchNormalization"]
    assert "training_mode" not in attributes(norm)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (fcnn.serial(fcnn.conv2d(4, 2, groups=2), fcnn.batch_norm(eps=0.1)), (4, 3, 2)),
        (fcnn.serial(fcnn.conv_transpose2d(4, 2, groups=2), fcnn.batch_norm()), (2, 3, 4)),
        (fcnn.serial(fcnn.conv_transpose1d(3, 2, bias=None), fcnn.batch_norm()), (3, 2)),
        (fcnn.serial(fcnn.depthwise_conv2d(2), fcnn.dropout(0.1), fcnn.batch_norm()), (3, 3, 2)),
        (fcnn.serial(fcnn.dense(3), fcnn.batch_norm(), fcnn.batch_norm()), (4,)),
    ],
    ids=str,
)
def test_batch_norm_is_folded_into(layer, shape, agree):
    assert "BatchNormalization" not in operators(agree(layer, shape))


def test_batch_norm_stays_where_others_read_what_it_reads(agree):
    tied = fcnn.serial(fcnn.conv2d(2, 1), fcnn.add(fcnn.batch_norm(), fcnn.relu))
    first = fcnn.serial(fcnn.batch_norm(), fcnn.conv2d(2, 1))
    untied = fcnn.serial(fcnn.conv2d(2, 1, bias="untied"), fcnn.batch_norm())
    output = fcnn.serial(fcnn.dense(2), fcnn.fanout(fcnn.serial(), fcnn.batch_norm()))
    for layer, shape in [
        (tied, (2, 2, 2)),
        (first, (2, 2, 2)),
        (untied, (2, 3, 1)),
        (output, (3,)),
    ]:
        assert "BatchNormalization" in operators(agree(layer, shape))


def test_shared_weights_are_written_once(agree):
    layer = fcnn.shared(fcnn.dense(4))
    file = agree(fcnn.serial(layer, fcnn.tanh, layer, fcnn.relu, layer), (4,))
    assert sum(len(each.dims) == 2 for each in file.graph.initializer) == 1


def test_trees_of_inputs_and_outputs_have_names(agree):
    model = fcnn.serial(
        fcnn.itemwise(image=fcnn.serial(fcnn.conv2d(2, 2), fcnn.flatten), size=fcnn.dense(2)),
        fcnn.fanout(sum=fcnn.concat(), same=fcnn.serial()),
    )
    shape = {"image": (3, 3, 1), "size": (4,)}
    file = agree(model, shape)
    assert [each.name for each in file.graph.input] == ["input_image", "input_size"]
    assert [each.name for each in file.graph.output] == [
        "output_same_image", "output_same_size", "output_sum",
    ]  # fmt: skip
    file = agree(model, shape, input_names=("x", "y"), output_names=("a", "b", "c"))
    assert [each.name for each in (*file.graph.input, *file.graph.output)] == [
        "x",
        "y",
        "a",
        "b",
        "c",
    ]


def test_what_is_input_and_output_at_once(agree):
    assert operators(agree(fcnn.serial(), (3,))) == ["Identity"]
    file = agree(fcnn.fanout(fcnn.serial(), fcnn.relu, fcnn.relu), (2, 2, 1))
    assert [each.name for each in file.graph.output] == ["output_0", "output_1", "output_2"]
    twice = fcnn.serial(fcnn.tanh, fcnn.fanout(fcnn.serial(), fcnn.dropout(0.1)))
    agree(twice, (3,))


def test_a_name_of_an_output_that_a_value_within_has(agree):
    agree(fcnn.serial(fcnn.relu, fcnn.tanh), (3,), output_names="serial[0].Relu")


def test_integers_are_an_input_of_integers(agree):
    file = agree(fcnn.serial(fcnn.embedding(3, 2), fcnn.conv1d(2, 2)), (4,))
    assert file.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    with pytest.raises(DTypeError, match=r"^serial\[1\] embedding\(3, 2\): expected whole numbers"):
        agree(fcnn.serial(fcnn.relu, fcnn.embedding(3, 2)), (4,))


def test_metadata_and_normalisation(tmp_path):
    path, params = tmp_path / "m.onnx", drawn_params(NET, SHAPE)
    mean, std = [0.5, 0.25], 2.0
    names = ["null", "eins", "zwei"]
    fcnn.export.onnx(NET, params, SHAPE, path, normalise=(mean, std), class_names=names)
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    y = NET.apply(params, (x - np.asarray(mean, np.float32)) / np.float32(std))
    assert off_by(run(path, x), y) < 1e-5
    file = onnx.load(path)
    found = {each.key: each.value for each in file.metadata_props}
    assert json.loads(found["class_names"]) == names
    assert json.loads(found["normalise"]) == {"mean": mean, "std": std}
    assert found["fcnn.model"] == repr(NET)
    assert (file.producer_name, file.producer_version) == ("fcnn", fcnn.__version__)


def test_params_in_float64_are_rounded_and_said_so(tmp_path):
    params = fcnn.tree.astype(drawn_params(NET, SHAPE), np.float64)
    with pytest.warns(UserWarning, match="written in float32"):
        fcnn.export.onnx(NET, params, SHAPE, tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(4, *SHAPE))
    assert off_by(run(tmp_path / "m.onnx", x.astype(np.float32)), NET.apply(params, x)) < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 12}, "opset from 13 to 21, got 12"),
        ({"opset": True}, "got True"),
        ({"normalise": (0, 0)}, "std above 0"),
        ({"normalise": ([0, 0, 0], 1)}, "numbers or 2 each"),
        ({"normalise": 3}, r"normalise=\(mean, std\)"),
        ({"input_names": ("a", "b")}, "1 different input_names"),
        ({"output_names": ()}, "1 different output_names"),
        ({"output_names": "input"}, "'input' twice"),
        ({"class_names": "abc"}, "class_names as a sequence"),
    ],
)
def test_arguments_out_of_their_range(options, message, tmp_path):
    with pytest.raises(ArgumentError, match=message):
        fcnn.export.onnx(NET, drawn_params(NET, SHAPE), SHAPE, tmp_path / "m.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_other_mistakes(tmp_path):
    params = drawn_params(NET, SHAPE)
    with pytest.raises(ShapeError, match=r"^serial\[0\] conv2d"):
        fcnn.export.onnx(NET, params, (2, 2, 2), tmp_path / "m.onnx")
    with pytest.raises(ArgumentError, match="expected a layer, got 3"):
        fcnn.export.onnx(3, params, SHAPE, tmp_path / "m.onnx")
    two = fcnn.itemwise(fcnn.relu, fcnn.relu)
    with pytest.raises(ArgumentError, match="a model of one input"):
        fcnn.export.onnx(two, ((), ()), ((2,), (3,)), tmp_path / "m.onnx", normalise=(0, 1))


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fcnn\[export\]'"):
        fcnn.export.onnx(NET, drawn_params(NET, SHAPE), SHAPE, tmp_path / "m.onnx")


def test_logits_of_large_magnitude(agree):
    """Operators of engines that are replaced since they overflow: see ENGINES.md."""
    for layer in (
        fcnn.log_softmax,
        fcnn.softplus(),
        fcnn.mish,
        fcnn.log_sigmoid,
        fcnn.gelu("tanh"),
    ):
        agree(layer, (5,), scale=60.0)
