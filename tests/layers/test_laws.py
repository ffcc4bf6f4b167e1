"""One table runs every layer and every combinator through every law."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import fcnn
from fcnn import conv2d, dense, dropout, flatten, max_pool2d, relu, serial, softmax
from fcnn._value import values_in
from fcnn.testing import check_layer
from fcnn.testing._points import map_shape

CASES = Path(__file__).parent / "cases"  # a file a family: its layers, each with an input's shape
TABLE = [case for path in sorted(CASES.glob("*.py")) for case in run_path(str(path))["CASES"]]


@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=lambda part: str(part))
def test_every_law(layer, shape):
    check_layer(layer, shape)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_batch_length(batch):
    model = serial(conv2d(2, 2), relu, max_pool2d(2), dropout(0.5), flatten, dense(2), softmax)
    check_layer(model, (5, 5, 1), batch=batch)


def test_the_table_has_every_public_layer():
    names = set()
    for name in fcnn.__all__:
        found = getattr(fcnn, name)
        is_constructor = getattr(found, "__module__", "").startswith("fcnn.layers") and not (
            isinstance(found, type)
        )
        if isinstance(found, fcnn.Layer) or is_constructor:
            names.add(name)
    tested = {value.spec.name for layer, _ in TABLE for value in values_in(layer)}
    assert len(names) >= 17
    assert names <= tested


@pytest.mark.usefixtures("no_global_generator")
@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=lambda part: str(part))
def test_nothing_is_drawn_from_the_global_generator(layer, shape):
    before = np.random.mtrand._rand.get_state()[1].tolist()  # the generator itself, unpatched
    params, _ = layer.init(fcnn.key(0), shape)
    dtype = np.int64 if "embedding" in repr(layer) else np.float32
    x = map_shape(lambda one: np.ones((2, *one), dtype), shape)
    y, pullback = layer.vjp(params, x, fcnn.training(fcnn.key(1)))
    pullback(y)
    assert np.random.mtrand._rand.get_state()[1].tolist() == before
