"""ONNX files by node: those of `fcnn.export.onnx`, and of PyTorch's two exporters."""

import logging
import warnings
from copy import deepcopy

import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.errors import DataError, TreeError
from tests.export.conftest import TABLE, drawn_inputs, drawn_params

onnx = pytest.importorskip("onnx", exc_type=ImportError)

NOT_READ = {
    "'untied'": "no other framework has it",
    "weight_standardized": "the file holds the standardised weights",
    "layer_norm(axes=": "several axes are written channels last",
    "multiply(dense(3)": "two layers of one shape side by side: names= says which",
    "padding_mode='circular'": "written as slices and a concatenation",
}


def is_read(layer, shape):
    if any(each in repr(layer) for each in NOT_READ):
        return False
    params = layer.init(fcnn.prng.abstract_key(), shape)[0]
    return bool(tree.leaves(params)) and shape not in ((3, 3, 3), (2, 2))  # of which see below


@pytest.mark.parametrize(
    ("layer", "shape"), [case[:2] for case in TABLE if is_read(*case[:2])], ids=repr
)
def test_what_fcnn_writes(tmp_path, layer, shape):
    params = drawn_params(layer, shape)
    path = tmp_path / "a.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of float64
        fcnn.export.onnx(layer, params, shape, path, fold_batch_norm=False)
    found = fcnn.weights.load(path, layer, shape)
    x = drawn_inputs(layer, shape, 3)
    for one, two in zip(
        tree.leaves(layer.apply(found.params, x)), tree.leaves(layer.apply(params, x)), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-5 * max(1, abs(two).max()))


@pytest.mark.parametrize("norm", [fcnn.batch_norm(), fcnn.layer_norm(), fcnn.prelu()], ids=repr)
def test_what_stands_behind_flatten_has_its_order(tmp_path, norm):
    body = fcnn.serial(fcnn.conv2d(2, 2), fcnn.flatten, norm, fcnn.tanh)
    model, path = fcnn.serial(fcnn.concat(body, fcnn.flatten), fcnn.dense(2)), tmp_path / "a.onnx"
    params = drawn_params(model, (4, 3, 3))
    fcnn.export.onnx(model, params, (4, 3, 3), path, fold_batch_norm=False)
    assert fcnn.weights.load(path, model, (4, 3, 3)).params == params


@pytest.mark.parametrize("shape", [(4, 3, 2), (3, 3, 3)])
@pytest.mark.parametrize("channels_first", [False, True])
def test_features_of_an_input_that_is_flattened(tmp_path, shape, channels_first):
    """The declared shape tells where the channels are; that of a cube does not."""
    model = fcnn.serial(fcnn.relu, fcnn.flatten, fcnn.dense(2))
    params, path = drawn_params(model, shape), tmp_path / "a.onnx"
    fcnn.export.onnx(model, params, shape, path, channels_first=channels_first)
    if shape == (3, 3, 3) and not channels_first:
        with pytest.raises(TreeError, match=r"does not tell whether .* pixels or channels first"):
            fcnn.weights.load(path, model, shape)
    else:
        found = fcnn.weights.load(path, model, shape).params
        assert found == params


def test_layers_that_share_their_params(tmp_path):
    """Two nodes of the same arrays are one layer of the model, or two of equal params."""
    tied = fcnn.shared(fcnn.dense(4))
    model, path = fcnn.serial(tied, fcnn.tanh, tied, fcnn.dense(2)), tmp_path / "a.onnx"
    params = drawn_params(model, (4,))
    fcnn.export.onnx(model, params, (4,), path)
    assert fcnn.weights.load(path, model, (4,)).params == params
    apart = fcnn.serial(fcnn.dense(4), fcnn.tanh, fcnn.dense(4), fcnn.dense(2))
    found = fcnn.weights.load(path, apart, (4,)).params
    assert found[0] == found[2]
    x = np.ones((1, 4), np.float32)
    assert np.array_equal(apart.apply(found, x), model.apply(params, x))


def chain(torch, normed):
    """A module and its model; `torch.onnx.export(dynamo=True)` folds its batch norms."""
    nn = torch.nn
    norm = nn.BatchNorm2d(4) if normed else nn.Identity()
    module = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), norm, nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, 2, groups=4, bias=not normed), deepcopy(norm)),
        *(nn.ConvTranspose2d(4, 2, 2, 2), nn.PReLU(2), nn.Flatten(), nn.Linear(96, 5), nn.ReLU()),
        *(nn.LayerNorm(5), nn.Linear(5, 5), nn.Linear(5, 5)),
    )
    norm = fcnn.batch_norm() if normed else fcnn.serial()
    model = fcnn.serial(
        *(fcnn.conv2d(4, 3, padding=1), norm, fcnn.relu),
        *(fcnn.depthwise_conv2d(3, stride=2, bias=None if normed else "tied"), norm),
        *(fcnn.conv_transpose2d(2, 2, stride=2), fcnn.prelu(), fcnn.flatten),
        *(fcnn.dense(5), fcnn.relu, fcnn.layer_norm(), fcnn.dense(5), fcnn.dense(5)),
    )
    return module.eval(), model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["script", "script, opset 13", "export"])
@pytest.mark.parametrize("drawn", [True, False])
def test_what_pytorch_writes(tmp_path, way, drawn):
    """Norms as they are made have equal arrays, which the first exporter writes once."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    module, model = chain(torch, way != "export")
    with torch.no_grad():
        for name, each in module.state_dict().items():
            if drawn and each.dtype == torch.float32:
                each.copy_(torch.rand(each.shape) + 0.2 * (name.endswith("var")))
    path, example = tmp_path / "a.onnx", (torch.zeros(2, 3, 10, 8),)
    if way == "export":
        pytest.importorskip("onnxscript", exc_type=ImportError)
        logging.disable(logging.WARNING)
        torch.onnx.export(module, example, path, dynamo=True, verbose=False)
        logging.disable(logging.NOTSET)
    else:
        preserve = torch.onnx.TrainingMode.PRESERVE
        opset = 13 if "13" in way else 17
        options = {"training": preserve, "do_constant_folding": False, "opset_version": opset}
        torch.onnx.export(module, example, str(path), dynamo=False, **options)
    found = fcnn.weights.load(path, model, (10, 8, 3))
    x = np.random.default_rng(0).standard_normal((2, 10, 8, 3)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(model.apply(found.params, x), y, atol=1e-5 * abs(y).max())


def test_computed_weights_are_refused(tmp_path):
    make, arrays = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = [make("Mul", ["w", "s"], ["v"]), make("Gemm", ["x", "v"], ["y"])]
    w, s = np.ones((3, 2), np.float32), np.full((1,), 2, np.float32)
    ends = [onnx.helper.make_tensor_value_info(n, 1, ["N", k]) for n, k in (("x", 3), ("y", 2))]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [arrays(w, "w"), arrays(s, "s")])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    with pytest.raises(DataError, match="got computed ones"):
        fcnn.weights.load(tmp_path / "a.onnx", fcnn.dense(2), (3,))
