"""The same files in other engines, where they are installed: tract, OpenVINO and OpenCV.

``pip install tract openvino opencv-python-headless`` installs them. What an engine does not do is a
row of ``fcnn/export/ENGINES.md``; ``python -m tests.export.matrix`` tries all combinations.
"""

from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fcnn
from fcnn.errors import FcnnError

from .conftest import TABLE
from .engines import PACKAGES, onnxruntime
from .test_layers import MODELS, OPSETS, convolutions, others, pools

pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", exc_type=ImportError)

ENGINES = [
    pytest.param(
        engine, id=engine.__name__, marks=pytest.mark.skipif(not find_spec(name), reason=name)
    )
    for engine, name in PACKAGES.items()
    if engine is not onnxruntime  # test_layers.py
]


def rotating(i):
    """The opset and batches of a case: all combinations occur, one of them for each case."""
    return {"opset": OPSETS[i % 3], "batches": [(1, 5), (64, 1), (5,)][i // 3 % 3]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("i", range(len(TABLE)), ids=lambda i: str(TABLE[i][0])[:70])
def test_every_layer(i, engine, agree):
    agree(*TABLE[i], engine=engine, **rotating(i))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_every_model(name, engine, agree):
    model, shape, _ = MODELS[name]
    params, _ = model.init(fcnn.key(0), shape)
    agree(model, shape, engine=engine, batches=(1, 5), params=params)


@pytest.mark.parametrize("engine", ENGINES)
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.one_of(convolutions(), pools(), others()),
    st.sampled_from(OPSETS),
    st.sampled_from([1, 5, 64]),
)
def test_drawn_hyper_parameters(engine, agree, drawn, opset, batch):
    made, args, options, shape = drawn
    try:
        layer = made(*args, **options)
        layer.init(fcnn.key(0), shape)
    except FcnnError:  # out of its range, or larger than the image
        return
    agree(layer, shape, engine=engine, opset=opset, batches=(batch,))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scale", [20.0, 60.0])
def test_inputs_of_large_magnitude(scale, engine, agree):
    for layer in (fcnn.tanh, fcnn.log_softmax, fcnn.softplus(), fcnn.mish, fcnn.gelu("tanh")):
        agree(layer, (3, 4), engine=engine, batches=(5,), scale=scale)
