"""What the strategies draw is what they say, small, and varied."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import fcnn
from fcnn.errors import ArgumentError
from fcnn.testing import check_fusion, check_layer, strategies


def drawn(strategy, condition):
    """The first draw that meets the condition, not made smaller."""
    few = settings(max_examples=2000, database=None, phases=[Phase.generate])
    return find(strategy, condition, settings=few)


@given(strategies.shapes(max_side=4))
def test_shapes(shape):
    assert len(shape) in (1, 3)
    assert all(1 <= side <= 4 for side in shape)


@given(strategies.shapes(axes=3))
def test_shapes_of_images(shape):
    assert len(shape) == 3


def test_shapes_of_other_axes_are_refused():
    with pytest.raises(ArgumentError, match="axes"):
        strategies.shapes(axes=2)


@given(strategies.arrays(strategies.shapes(), dtype=np.float64, largest=3.0))
def test_arrays(array):
    assert array.dtype == np.float64
    assert np.isfinite(array).all()
    assert np.abs(array).max() <= 3


@given(strategies.arrays((2, 3)))
def test_arrays_of_one_shape(array):
    assert array.dtype == np.float32
    assert array.shape == (2, 3)


@given(strategies.keys())
def test_keys(key):
    assert isinstance(key, fcnn.Key)
    assert fcnn.prng.normal(key, (2,)).shape == (2,)


def test_keys_of_every_form_are_drawn():
    for n in range(4):
        assert len(drawn(strategies.keys(), lambda key, n=n: len(key.path) == 2 * n).path) == 2 * n


@given(st.data())
def test_layers_take_the_shape(data):
    shape = data.draw(strategies.shapes())
    layer = data.draw(strategies.layers(shape))
    params, out_shape = layer.init(fcnn.key(0), shape)
    y = layer.apply(params, np.ones((3, *shape), np.float32), fcnn.training(fcnn.key(1)))
    assert y.shape == (3, *out_shape)


@pytest.mark.parametrize("name", [
    "add", "avg_pool2d", "batch_norm", "concat", "conv2d", "dense", "dropout", "flatten",
    "log_softmax", "max_pool2d", "multiply", "relu", "residual", "serial", "sigmoid", "softmax",
    "tanh",
])  # fmt: skip
def test_every_kind_of_layer_is_drawn(name):
    layer = drawn(strategies.layers((4, 3, 2)), lambda layer: layer.spec.name == name)
    assert layer.spec.name == name


@settings(max_examples=8)
@given(strategies.pipelines(max_layers=3))
def test_every_law_holds_for_pipelines(pipeline):
    model, shape = pipeline
    check_layer(model, shape, calls=2)
    check_fusion(model, shape)


@given(strategies.pipelines((5, 5, 1)))
def test_pipelines_of_one_shape(pipeline):
    model, shape = pipeline
    assert shape == (5, 5, 1)
    assert 1 <= len(model) <= 4
    assert model.init(fcnn.key(0), shape)


def test_a_wrong_layer_is_found_in_a_pipeline():
    @fcnn.layer
    def wrong():
        def vjp(params, x, ctx=fcnn.EVAL):
            return 2 * x, lambda dy: ((), 2.002 * dy)

        return (
            lambda key, shape: ((), shape),
            lambda params, x, ctx=fcnn.EVAL: 2 * x,
            vjp,
        )

    @settings(max_examples=5, database=None, phases=[Phase.generate])
    @given(strategies.pipelines(max_layers=2))
    def law(pipeline):
        model, shape = pipeline
        check_layer(fcnn.serial(wrong(), *model.layers), shape, calls=2)

    with pytest.raises(AssertionError, match="breaks the law 'gradient'"):
        law()


def test_importing_the_checks_does_not_import_hypothesis():
    code = "import fcnn.testing.strategies, sys; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_hypothesis_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"install it with fcnn\[test\]"):
        strategies.keys()
