import hashlib
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import initializers, key, prng
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
    for shape in ((), (3,), 3):
        with pytest.raises(ShapeError, match=r"two axes or more.*got .*zeros"):
            getattr(initializers, name)(key(0), shape)


@given(st.floats(0, 10), st.floats(-10, 10))
def test_normal(stddev, mean):
    draws = initializers.normal(stddev, mean)(key(0), (100, 100))
    assert draws.mean() == pytest.approx(mean, abs=0.05 * stddev + 1e-5)
    assert draws.std() == pytest.approx(stddev, rel=0.03, abs=1e-5)


def test_uniform_is_the_articles_rand_minus_a_half():
    draws = initializers.uniform(-0.5, 0.5)(key(0), (100, 100))
    assert -0.5 <= draws.min() < -0.49
    assert 0.49 < draws.max() < 0.5


def test_uniform_never_returns_its_upper_end():
    """15 of these would be rounded to 1."""
    draws = initializers.uniform(0.9999, 1.0)(key(0), (100_000,))
    assert draws.max() < 1
    assert draws.min() >= np.float32(0.9999)


def test_constants():
    for each, value in [
        (initializers.zeros, 0),
        (initializers.ones, 1),
        (initializers.constant(0.25), 0.25),
    ]:
        np.testing.assert_array_equal(each(key(0), (2, 3)), np.full((2, 3), value))


def test_constant_takes_an_array_that_broadcasts():
    biases = np.array([1.0, 2.0, 3.0])
    each = initializers.constant(biases)
    biases[:] = 0
    np.testing.assert_array_equal(each(key(0), (2, 3)), [[1, 2, 3], [1, 2, 3]])
    with pytest.raises(ShapeError, match=r"that \(3,\) broadcasts to, got \(2,\)"):
        each(key(0), (2,))


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


# One value for every C library, processor and version of NumPy: no product of matrices is in
# them. A change of these changes every run of every user.
DIGESTS = {
    "he_normal": "6dbf708f20b9fb1c30981a8ec689a573994935383a71cc996b9bff88ca4d6c07",
    "he_uniform": "aae587a0c35738fd699b149e1cd13de2fbf4c3796dd7c6890dbb279fcfa95eb8",
    "glorot_normal": "7156b964a66b31853e48f9f58a423e49bc67174a9d2917a80dd81146d6fbeb86",
    "glorot_uniform": "a7aa041e9da2c5ff62485b90f003d1d3abebf149b8ac8563c09e3c2aa97f6874",
    "lecun_normal": "cfbfab7f94836ccad38cd07e262d878d68447cb246242ddcc6e022fafa5fc290",
    "lecun_uniform": "3e4675921f5a2c18032454175ad42a09f365e4661f6875d677c7bfabea538839",
    "normal()": "bf7c9978b675a8c8453c2b49031f206822d15926a874e3c48435a585018a48db",
    "normal(0.01, 2)": "7b2699fefc68edfffd00bc438a88e1186c4d5ca0fc16d685260a0e70d24df6dc",
    "uniform(-0.5, 0.5)": "03e9405fdc1ee710d31c2a7a98a98869894809ba3577bfa432bb5d06a0de4305",
    "zeros": "36438cefa7206dac9ef150b613418d5912c3eb69ed4e0084798602985b43470d",
    "ones": "a10221b55a7f1d3d673020334054e1a354a7ba9c5390e7a42ab2288d1034123a",
    "constant(0.5)": "b497f498115df78ebcd5f919ccefa79824b043167a0d1f11968f987c1fa3e1d3",
}


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_draws_are_the_same_everywhere(each):
    drawn = each(key(7), (3, 3, 40, 50))
    assert hashlib.sha256(drawn.astype("<f4").tobytes()).hexdigest() == DIGESTS[repr(each)]


@initializers.initializer
def drawn_by_hand(seed):
    return lambda key, shape: np.full(shape, key.generator().random(), np.float32) + seed


@pytest.mark.parametrize("each", [*EVERY, drawn_by_hand(3)], ids=str)
def test_an_abstract_key_draws_nothing(each, monkeypatch):
    assert each(key(0), (3, 3, 1, 8)).shape == (3, 3, 1, 8)
    monkeypatch.setattr(fcnn.Key, "generator", lambda self: pytest.fail("a generator was made"))
    drawn = each(fcnn.fold_in(prng.abstract_key(), 3), (3, 3, 1, 8))
    assert drawn.shape == (3, 3, 1, 8)
    assert drawn.dtype == np.float32
    assert not drawn.any()
    assert not drawn.flags.writeable
    assert not drawn.flags.owndata


@pytest.mark.parametrize(
    "make",
    [
        lambda: initializers.normal(-1),
        lambda: initializers.normal(1, float("inf")),
        lambda: initializers.normal(1e39),
        lambda: initializers.normal("1"),
        lambda: initializers.uniform(1, 1 + 1e-9),
        lambda: initializers.uniform(0, float("inf")),
        lambda: initializers.uniform("0", 1),
        lambda: initializers.constant(float("nan")),
        lambda: initializers.constant(1e39),
        lambda: initializers.constant("one"),
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
