"""The same files in other engines, where they are installed: tract, OpenVINO and OpenCV.

``pip install tract openvino opencv-python-headless`` installs them; CI runs without. What an engine
does not do is a row of ``fcnn/export/ENGINES.md``.
"""

from importlib.util import find_spec

import numpy as np
import pytest

import fcnn
from fcnn import tree

from .conftest import TABLE
from .test_layers import MODELS

onnx = pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", exc_type=ImportError)


def tract(path, x):
    import tract as library

    model = library.onnx().load(path).into_model().into_runnable()
    return [each.to_numpy() for each in model.run(tree.leaves(x))]


def openvino(path, x):
    import openvino as library

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    core = library.Core()
    model = core.compile_model(core.read_model(path), "CPU", options)
    found = model(tree.leaves(x))
    return [found[each] for each in model.outputs]


def opencv(path, x):
    import cv2

    graph, net = onnx.load(path).graph, cv2.dnn.readNetFromONNX(path)
    for each, array in zip(graph.input, tree.leaves(x), strict=True):
        net.setInput(np.ascontiguousarray(array), each.name)
    return net.forward([each.name for each in graph.output])


ENGINES = [
    pytest.param(
        engine, id=engine.__name__, marks=pytest.mark.skipif(not find_spec(name), reason=name)
    )
    for engine, name in [(tract, "tract"), (openvino, "openvino"), (opencv, "cv2")]
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("i", range(len(TABLE)), ids=lambda i: str(TABLE[i][0])[:70])
def test_every_layer(i, engine, agree):
    agree(*TABLE[i], engine=engine, batches=(1, 5))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_every_model(name, engine, agree):
    model, shape, _ = MODELS[name]
    params, _ = model.init(fcnn.key(0), shape)
    agree(model, shape, engine=engine, batches=(1, 5), params=params)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scale", [20.0, 60.0])
def test_inputs_of_large_magnitude(scale, engine, agree):
    for layer in (fcnn.tanh, fcnn.log_softmax, fcnn.softplus(), fcnn.mish, fcnn.gelu("tanh")):
        agree(layer, (3, 4), engine=engine, batches=(5,), scale=scale)
