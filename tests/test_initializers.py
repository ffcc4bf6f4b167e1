import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import initializers, key
from fcnn.errors import ArgumentError, ShapeError

SHAPE = (5, 4, 30, 60)
FAN_IN, FAN_OUT = 5 * 4 * 30, 5 * 4 * 60
SCALED = {
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
}
EVERY = [
    *(getattr(initializers, name) for name in SCALED),
    initializers.normal(),
    initializers.normal(0.01, mean=2),
    initializers.uniform(-0.5, 0.5),
    initializers.zeros,
    initializers.ones,
    initializers.constant(0.5),
]


def test_the_table_has_every_initializer():
    skipped = {"Initializer", "initializer"}
    assert {each.spec.name for each in EVERY} == set(initializers.__all__) - skipped


@pytest.mark.parametrize("name", SCALED)
def test_variance_scaling(name):
    draws = getattr(initializers, name)(key(0), SHAPE)
    assert draws.mean() == pytest.approx(0, abs=3 * math.sqrt(SCALED[name] / draws.size))
    assert draws.var() == pytest.approx(SCALED[name], rel=0.03)
    if name.endswith("uniform"):
        limit = math.sqrt(3 * SCALED[name])
        assert np.abs(draws).max() <= limit * (1 + 1e-6)
        assert np.abs(draws).max() > 0.99 * limit


@pytest.mark.parametrize("name", SCALED)
def test_variance_scaling_needs_fans(name):
    for shape in ((), (3,)):
        with pytest.raises(ShapeError, match="two axes or more"):
            getattr(initializers, name)(key(0), shape)


@given(st.floats(0, 10), st.floats(-10, 10))
def test_normal(stddev, mean):
    draws = initializers.normal(stddev, mean)(key(0), (100, 100))
    assert draws.mean() == pytest.approx(mean, abs=0.05 * stddev + 1e-5)
    assert draws.std() == pytest.approx(stddev, rel=0.03, abs=1e-5)


def test_uniform_is_the_articles_rand_minus_a_half():
    draws = initializers.uniform(-0.5, 0.5)(key(0), (100, 100))
    assert -0.5 <= draws.min() < -0.49
    assert 0.49 < draws.max() <= 0.5


def test_constants():
    for each, value in [
        (initializers.zeros, 0),
        (initializers.ones, 1),
        (initializers.constant(0.25), 0.25),
    ]:
        np.testing.assert_array_equal(each(key(0), (2, 3)), np.full((2, 3), value))


@pytest.mark.parametrize("each", EVERY, ids=str)
@pytest.mark.usefixtures("no_global_generator")
def test_every_initializer_is_a_pure_value_of_float32(each):
    first, second = each(key(1), (4, 3)), each(key(1), (4, 3))
    assert first.dtype == np.float32
    assert first.shape == (4, 3)
    np.testing.assert_array_equal(first, second)
    assert pickle.loads(pickle.dumps(each)) == each
    assert eval(repr(each), vars(initializers).copy()) == each
    is_constant = each.spec.name in ("zeros", "ones", "constant")
    assert np.array_equal(first, each(key(2), (4, 3))) == is_constant


@pytest.mark.parametrize(
    "make",
    [
        lambda: initializers.normal(-1),
        lambda: initializers.normal(float("nan")),
        lambda: initializers.uniform(1, 1),
        lambda: initializers.uniform(0.5, -0.5),
    ],
)
def test_refuses_arguments_out_of_range(make):
    with pytest.raises(ArgumentError):
        make()


def test_any_function_of_key_and_shape_will_do():
    def identity(key, shape):
        return np.eye(*shape, dtype=np.float32)

    params, _ = fcnn.dense(3, weight_init=identity).init(key(0), (3,))
    np.testing.assert_array_equal(params.weight, np.eye(3))
