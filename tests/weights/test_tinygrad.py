"""What tinygrad writes; its CPU device needs clang."""

import numpy as np
import pytest

import fcnn

tinygrad = pytest.importorskip("tinygrad", exc_type=ImportError)
from tinygrad import nn  # noqa: E402 (only where it is installed)
from tinygrad.nn.state import get_state_dict, safe_save  # noqa: E402

Tensor = tinygrad.Tensor


@pytest.fixture(autouse=True)
def device():
    try:
        Tensor([1.0]).realize().numpy()
    except RuntimeError:
        pytest.skip("tinygrad has no device here")


class Net:
    def __init__(self):
        self.layers = [
            *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm(4), Tensor.relu),
            *(nn.Conv2d(4, 4, 3, groups=2, bias=False), nn.GroupNorm(2, 4), Tensor.tanh),
            *(nn.ConvTranspose2d(4, 2, 2, 2), nn.InstanceNorm(2), lambda x: x.flatten(1)),
            *(nn.Linear(192, 5), nn.LayerNorm(5), *[nn.Linear(5, 5) for _ in range(3)]),
        ]

    def __call__(self, x):
        return x.sequential(self.layers)


def test_a_network(tmp_path):
    net, rng = Net(), np.random.default_rng(0)
    for name, each in get_state_dict(net).items():
        if not name.endswith("num_batches_tracked"):
            drawn = 0.3 * rng.random(each.shape) + 0.2
            each.assign(Tensor(drawn.astype(np.float32))).realize()
    path = tmp_path / "net.safetensors"
    safe_save(get_state_dict(net), str(path))
    model = fcnn.serial(
        *(fcnn.conv2d(4, 3, padding=1), fcnn.batch_norm(), fcnn.relu),
        *(fcnn.conv2d(4, 3, groups=2, bias=None), fcnn.group_norm(2), fcnn.tanh),
        *(fcnn.conv_transpose2d(2, 2, stride=2), fcnn.instance_norm(), fcnn.flatten),
        *(fcnn.dense(5), fcnn.layer_norm(), *[fcnn.dense(5)] * 3),
    )
    found = fcnn.weights.load(path, model, (8, 6, 3))
    x = rng.standard_normal((2, 8, 6, 3)).astype(np.float32)
    y = net(Tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    np.testing.assert_allclose(model.apply(found.params, x), y, atol=1e-5 * abs(y).max())
    assert found.ignored == ["layers.1.num_batches_tracked"]
