"""Write the files in ``files/`` with the real frameworks: ``python -m tests.weights.write_files``.

Each holds one network, and ``expected.npz`` an input and each framework's output, so that the
readers are tested where no framework is installed. Written with torch 2.13.0, Keras 3.15.1 (its
torch backend), Flax 0.12.8 and onnx 1.23.2.
"""

import os
from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files"
SHAPE = (6, 5, 2)


def write_torch(x):
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), nn.Flatten(), nn.Linear(36, 3)),
    )
    images = torch.tensor(x.transpose(0, 3, 1, 2))
    net(images)
    net.eval()
    torch.save(net.state_dict(), FILES / "torch.pt")
    torch.save(net.state_dict(), FILES / "legacy.pth", _use_new_zipfile_serialization=False)
    return net(images).detach().numpy()


def write_keras(x):
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv2D(4, 3, padding="same"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    net(x, training=True)
    net.save(FILES / "keras.keras")
    net.save(FILES / "keras.h5")
    net.save_weights(FILES / "keras.weights.h5")
    return np.asarray(net(x).detach())


def write_flax(x):
    import flax
    import flax.linen as nn
    import jax

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.Conv(4, (3, 3), strides=2)(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            x = nn.Conv(4, (3, 3), feature_group_count=2, use_bias=False)(x)
            return nn.Dense(3)(x.reshape(len(x), -1))

    net = Net()
    variables = net.init(jax.random.key(0), x)
    _, new = net.apply(variables, x, train=True, mutable="batch_stats")
    variables = {**variables, **new}
    (FILES / "flax.msgpack").write_bytes(flax.serialization.to_bytes(variables))
    return np.asarray(net.apply(variables, x))


def write_onnx(x):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    rng = np.random.default_rng(0)
    nodes, arrays = [], []

    def array(name, *shape):
        values = rng.standard_normal(shape).astype(np.float32) * 0.5
        arrays.append(numpy_helper.from_array(abs(values) + 0.5 if name == "var" else values, name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}_node", **attributes))
        return output

    first = ["x", array("w1", 4, 2, 3, 3), array("b1", 4)]
    a = node("Conv", first, "a", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    norm = [a, *[array(name, 4) for name in ("scale", "shift", "mean", "var")]]
    b = node("Relu", [node("BatchNormalization", norm, "n", epsilon=1e-3)], "b")
    c = node("Conv", [b, array("w2", 4, 2, 3, 3)], "c", kernel_shape=[3, 3], pads=[1] * 4, group=2)
    d = node("Gemm", [node("Flatten", [c], "f"), array("w3", 36, 5), array("b3", 5)], "d")
    node("Add", [node("MatMul", [d, array("w4", 5, 3)], "e"), array("b4", 3)], "y")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
        for name, shape in (("x", (2, 6, 5)), ("y", (3,)))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], arrays)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, FILES / "onnx.onnx")
    return ReferenceEvaluator(model).run(None, {"x": x.transpose(0, 3, 1, 2)})[0]


if __name__ == "__main__":
    x = np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32)
    writers = {"torch": write_torch, "keras": write_keras, "flax": write_flax, "onnx": write_onnx}
    np.savez(FILES / "expected.npz", x=x, **{name: write(x) for name, write in writers.items()})
