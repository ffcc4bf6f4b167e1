"""Networks by the names of public repositories; conversions that fit in shape and are wrong."""

import numpy as np
import pytest

import fcnn
from fcnn.errors import TreeError

torch = pytest.importorskip("torch", exc_type=ImportError)
nn = torch.nn

from tests.weights import torch_models as layouts  # noqa: E402 (imports torch)

NETWORKS = {
    "resnet18": (lambda: layouts.ResNet18(7), lambda: fcnn.models.resnet18(7), 33),
    "resnet20": (lambda: layouts.ResNet20(10), fcnn.models.resnet20, 32),
    "mobilenet_v1": (
        lambda: layouts.MobileNetV1(5, 0.25),
        lambda: fcnn.models.mobilenet_v1(5, width=0.25),
        32,
    ),
    "mobilenet_v2": (lambda: layouts.MobileNetV2(5), lambda: fcnn.models.mobilenet_v2(5), 32),
}


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
@pytest.mark.parametrize("name", NETWORKS)
def test_public_layouts_in_and_out(tmp_path, name, kind):
    safetensors = pytest.importorskip("safetensors.torch", exc_type=ImportError)
    make, model, size = NETWORKS[name]
    module, model, path = layouts.settle(make()), model(), tmp_path / f"net.{kind}"
    state = module.state_dict()
    torch.save(state, path) if kind == "pt" else safetensors.save_file(state, path)
    found = fcnn.weights.load(path, model, (size, size, 3))
    x = np.random.default_rng(0).standard_normal((1, size, size, 3)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(model.apply(found.params, x), y, atol=1e-5)
    back = tmp_path / "back.safetensors"
    fcnn.weights.save(back, model, found.params, shape=(size, size, 3), names=found.names)
    assert safetensors.load_file(back).keys() == state.keys()
    other = make()
    other.load_state_dict(safetensors.load_file(back))
    for (key, one), two in zip(state.items(), other.state_dict().values(), strict=True):
        assert "num_batches" in key or torch.equal(one, two)


def output(module, x):
    with torch.no_grad():
        return module.eval()(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()


@pytest.fixture
def images(rng):
    return rng.standard_normal((8, 8, 8, 3)).astype(np.float32)


def worst(a, b):
    return abs(a - b).max() / abs(b).max()


def test_a_linear_layer_behind_flatten_is_not_only_transposed(tmp_path, images):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    torch.save(module.state_dict(), tmp_path / "a.pt")
    model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.flatten, fcnn.dense(5))
    params = fcnn.weights.load(tmp_path / "a.pt", model, (8, 8, 3)).params
    y = output(module, images)
    assert worst(model.apply(params, images), y) < 1e-5
    transposed = fcnn.DenseParams(module[2].weight.detach().numpy().T.copy(), params[2].bias)
    assert transposed.weight.shape == params[2].weight.shape
    assert worst(model.apply((*params[:2], transposed), images), y) > 0.1


def test_padding_of_one_is_not_same_where_the_stride_is_two(tmp_path, images):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 2, 4))
    torch.save(module.state_dict(), tmp_path / "a.pt")
    y = output(module, images).transpose(0, 2, 3, 1)
    errors = []
    for padding in (1, "same"):
        model = fcnn.serial(fcnn.conv2d(4, 3, stride=2, padding=padding), fcnn.conv2d(2, 4))
        params = fcnn.weights.load(tmp_path / "a.pt", model, (8, 8, 3)).params
        errors.append(worst(model.apply(params, images), y))
    assert errors[0] < 1e-5
    assert errors[1] > 0.1


def test_zeros_that_an_average_pool_counts(tmp_path, images):
    torch.manual_seed(0)
    module = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(3, 2, 8))
    torch.save(module.state_dict(), tmp_path / "a.pt")
    y = output(module, images).transpose(0, 2, 3, 1)
    errors = []
    for counted in (True, False):
        pool = fcnn.avg_pool2d(3, stride=1, padding=1, count_include_pad=counted)
        model = fcnn.serial(pool, fcnn.conv2d(2, 8))
        params = fcnn.weights.load(tmp_path / "a.pt", model, (8, 8, 3)).params
        errors.append(worst(model.apply(params, images), y))
    assert errors[0] < 1e-5
    assert errors[1] > 0.05


def test_an_onnx_file_tells_the_padding(tmp_path):
    """Where the file says it, "same" in the place of 1 is refused."""
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    del onnx
    from tests.weights.test_files import FILES, NETWORKS, SHAPE

    model = NETWORKS["onnx"]
    wrong = fcnn.serial(fcnn.conv2d(4, 3, stride=2, padding="same"), *model.layers[1:])
    with pytest.raises(TreeError, match=r"serial\[0\]: padding \(\(1, 1\), \(1, 1\)\) in the file"):
        fcnn.weights.load(FILES / "onnx.onnx", wrong, SHAPE)
