"""What the tests of exporters share: params with all fields drawn, and engines that run a file."""

import itertools
from pathlib import Path
from runpy import run_path

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.layers import BatchNormParams
from fcnn.testing._points import map_shape

from .engines import onnxruntime

LAYERS = Path(__file__).parent.parent / "layers" / "cases"
TABLE = [case for path in sorted(LAYERS.glob("*.py")) for case in run_path(str(path))["CASES"]]


def drawn_params(layer, shape, spread=0.1):
    """Params of which no scale is 1 and no bias 0, and variances are positive."""
    rng = np.random.default_rng(0)
    params, _ = layer.init(fcnn.key(0), shape)

    def moved(leaf):
        return (leaf + spread * rng.normal(size=leaf.shape)).astype(leaf.dtype)

    return _positive(tree.map(moved, params, statistic=moved))


def _positive(params):
    if isinstance(params, BatchNormParams):
        return attrs.evolve(params, var=np.abs(params.var) + params.var.dtype.type(0.5))
    if isinstance(params, tuple):
        return tuple(_positive(each) for each in params)
    if isinstance(params, dict):
        return {name: _positive(each) for name, each in params.items()}
    if isinstance(params, fcnn.FrozenParams):
        return fcnn.FrozenParams(_positive(params.params))
    return params


def drawn_inputs(layer, shape, batch, scale=1.0):
    rng = np.random.default_rng(batch)

    def one(size):
        if "embedding" in repr(layer):
            return rng.integers(0, 2, size=(batch, *size))
        return (scale * rng.normal(size=(batch, *size))).astype(np.float32)

    return map_shape(one, shape)


def run(path, x):
    """The outputs of a file in onnxruntime, in order."""
    return onnxruntime(path)(x)


def off_by(found, y):
    """The largest difference between outputs and those of `apply`, relative to the largest."""
    pairs = list(itertools.zip_longest(found, tree.leaves(y)))
    for a, b in pairs:
        assert a.shape == b.shape
        assert np.isfinite(b).all()
    return max(float(np.abs(a - b).max() / max(1, np.abs(b).max())) for a, b in pairs)


def first(array):
    """An array with channels first."""
    return np.moveaxis(array, -1, 1) if array.ndim > 2 else array


@pytest.fixture
def agree(tmp_path):
    """Write a layer, and hold the file to `apply`; give back the file as onnx loads it."""
    import onnx

    def check(
        layer, shape, *, batches=(1, 5, 64), scale=1.0, params=None, engine=onnxruntime, **options
    ):
        path = tmp_path / "model.onnx"
        params = drawn_params(layer, shape) if params is None else params
        fcnn.export.onnx(layer, params, shape, path, **options)
        answers = engine(str(path))
        for batch in batches:
            x = drawn_inputs(layer, shape, batch, scale)
            y = layer.apply(params, x)
            if options.get("channels_first"):
                x, y = tree.map(first, x), tree.map(first, y)
            assert off_by(answers(x), y) < 1e-5
        return onnx.load(path)

    return check


def operators(model):
    """The operators of a file in order."""
    return [node.op_type for node in model.graph.node]
