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
from fcnn.testing import check_initializer

SHAPE = (5, 4, 30, 60)
FAN_IN, FAN_OUT = 5 * 4 * 30, 5 * 4 * 60
SCALED = {
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "he_truncated_normal": 2 / FAN_IN,
    "glorot_truncated_normal": 2 / (FAN_IN + FAN_OUT),
    "lecun_truncated_normal": 1 / FAN_IN,
}
EVERY = [
    *(getattr(initializers, name) for name in SCALED),
    initializers.normal(),
    initializers.normal(0.01, mean=2),
    initializers.truncated_normal(0.5, low=-1.0),
    initializers.variance_scaling(0.5, mode="fan_out"),
    initializers.variance_scaling(distribution="uniform", transposed=True),
    initializers.orthogonal(2.0),
    initializers.delta_orthogonal(),
    initializers.uniform(-0.5, 0.5),
    initializers.identity(3.0),
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
    if "truncated" in name:
        stddev = math.sqrt(SCALED[name]) / 0.8796256610342398
        assert 1.99 * stddev < np.abs(draws).max() <= 2 * stddev * (1 + 1e-6)
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
    first, second = each(key(1), (3, 4)), each(key(1), (3, 4))
    assert first.dtype == np.float32
    assert first.shape == (3, 4)
    np.testing.assert_array_equal(first, second)
    assert pickle.loads(pickle.dumps(each)) == each
    assert eval(repr(each), vars(initializers).copy()) == each
    is_constant = each.spec.name in ("zeros", "ones", "constant", "identity")
    assert np.array_equal(first, each(key(2), (3, 4))) == is_constant


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_laws(each):
    check_initializer(each)


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
    "he_truncated_normal": "75bcbd52a62ff74f81772aec4fb58534743e39644168109d6a2b15af29d73f87",
    "glorot_truncated_normal": "46b5a2c289fc43c11f47987375d5f69a8bdc07b3710eb59ef2131cbe347739f4",
    "lecun_truncated_normal": "8d0ebdbffe98cd4c0b5d2304920db51679eec48a6eb35a8c6f8e544b164ae628",
    "truncated_normal(0.5, low=-1.0)": (
        "d441580d6b2ad34e19de8f2f800333e2139e83a2e2b5e0e1e10c39f56410f269"
    ),
    "variance_scaling(0.5, mode='fan_out')": (
        "5f995bd3a15dbaa105dbc7d4919c75c2428ada20e114c8fcef4ec8fb3d9058ce"
    ),
    "variance_scaling(distribution='uniform', transposed=True)": (
        "17ef46afdc927e51c6eb8d7b0904f80ca919064edd116355802f21e7a448b429"
    ),
    "identity(3.0)": "0ab3b26da5dd23933944bbef09e5ab6b4ad6752030b0578c12e80f6399f0e69e",
    "zeros": "36438cefa7206dac9ef150b613418d5912c3eb69ed4e0084798602985b43470d",
    "ones": "a10221b55a7f1d3d673020334054e1a354a7ba9c5390e7a42ab2288d1034123a",
    "constant(0.5)": "b497f498115df78ebcd5f919ccefa79824b043167a0d1f11968f987c1fa3e1d3",
}


FIXED = [each for each in EVERY if "orthogonal" not in each.spec.name]  # of LAPACK's products


@pytest.mark.parametrize("each", FIXED, ids=str)
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
        lambda: initializers.truncated_normal(-1),
        lambda: initializers.truncated_normal(low=1.0, high=1.0),
        lambda: initializers.truncated_normal(low=9.0, high=10.0),
        lambda: initializers.variance_scaling(0.0),
        lambda: initializers.variance_scaling(mode="in"),
        lambda: initializers.variance_scaling(distribution="gaussian"),
        lambda: initializers.variance_scaling(groups=0),
        lambda: initializers.orthogonal(float("nan")),
        lambda: initializers.delta_orthogonal("1"),
        lambda: initializers.identity(groups=0.5),
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


class TestFans:
    """By counting: how many weights meet in an output, and in how many outputs an input is."""

    SHAPE = (3, 2, 4, 12)  # a window of 6, 8 input channels in 2 groups, 12 filters

    def variance(self, **options):
        scaling = initializers.variance_scaling(distribution="uniform", **options)
        limit = np.abs(scaling(key(0), (*self.SHAPE[:2], 400, 1200))).max()
        return limit**2 / 3 * 100  # the shape is 100 times as wide

    def test_of_a_convolution(self):
        assert self.variance() == pytest.approx(1 / (6 * 4), rel=1e-3)
        assert self.variance(mode="fan_out") == pytest.approx(1 / (6 * 12), rel=1e-3)
        assert self.variance(mode="fan_avg") == pytest.approx(1 / (6 * 8), rel=1e-3)

    def test_of_groups(self):
        """8 channels in 2 groups of 4: each is read by the 6 filters of its group."""
        assert self.variance(groups=2) == pytest.approx(1 / (6 * 4), rel=1e-3)
        assert self.variance(groups=2, mode="fan_out") == pytest.approx(1 / (6 * 6), rel=1e-3)

    def test_of_a_transposed_convolution(self):
        """Its inputs are the 12 filters' outputs of the convolution, its outputs the 4 channels."""
        assert self.variance(transposed=True) == pytest.approx(1 / (6 * 12), rel=1e-3)
        assert self.variance(transposed=True, mode="fan_out") == pytest.approx(1 / 24, rel=1e-3)
        assert self.variance(transposed=True, groups=3) == pytest.approx(1 / (6 * 4), rel=1e-3)

    def test_a_layer_keeps_the_variance(self):
        """What the fans are for: unit variance in, unit variance out, in groups as well."""
        x = prng.normal(key(1), (64, 12, 12, 32))
        for groups in (1, 4):
            layer = fcnn.conv2d(16, 3, groups=groups, weight_init=initializers.lecun_normal)
            params, _ = layer.init(key(2), (12, 12, 32))
            assert layer.apply(params, x).var() == pytest.approx(1, rel=0.1)
            scaling = initializers.variance_scaling(mode="fan_out", groups=groups)
            layer = fcnn.conv2d(16, 3, groups=groups, weight_init=scaling)
            params, _ = layer.init(key(2), (12, 12, 32))
            y, pullback = layer.vjp(params, x)
            _, dx = pullback(prng.normal(key(3), y.shape))
            assert dx[:, 3:-3, 3:-3].var() == pytest.approx(1, rel=0.1)

    def test_filters_that_are_not_in_equal_groups(self):
        for each in (initializers.variance_scaling(groups=5), initializers.identity(groups=5)):
            with pytest.raises(ShapeError, match="5 equal groups, got 12"):
                each(key(0), self.SHAPE)


def test_variances_are_those_of_jax():
    jax = pytest.importorskip("jax", reason="JAX is an oracle", exc_type=ImportError)
    shape = (3, 3, 40, 90)
    for mode, distribution in [("fan_out", "truncated_normal"), ("fan_avg", "uniform")]:
        theirs = jax.nn.initializers.variance_scaling(1.7, mode, distribution)
        expected = np.asarray(theirs(jax.random.key(0), shape))
        ours = initializers.variance_scaling(1.7, mode=mode, distribution=distribution)
        drawn = ours(key(0), shape)
        assert drawn.var() == pytest.approx(expected.var(), rel=0.03)
        assert np.abs(drawn).max() == pytest.approx(np.abs(expected).max(), rel=0.15)


def test_truncated_normals_are_distributed_as_scipys():
    from scipy import stats

    draws = initializers.truncated_normal(2.0, 1.0, low=-0.5, high=3.0)(key(0), (20_000,))
    there = stats.truncnorm(-0.5, 3.0, 1.0, 2.0)
    assert stats.kstest(draws, there.cdf).pvalue > 0.01
    tail = initializers.truncated_normal(low=4.0, high=5.0)(key(0), (1000,))
    assert 4 <= tail.min() <= tail.max() <= 5


@pytest.mark.parametrize("shape", [(6, 6), (3, 3, 2, 7), (2, 3, 9), (1, 5), (5, 1)])
def test_orthogonal_columns_or_rows(shape):
    w = initializers.orthogonal(3.0)(key(0), shape).reshape(-1, shape[-1]).astype(np.float64)
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=1e-5)


def test_orthogonal_matrices_are_uniform():
    """The mean of an element, of its square, and of the trace of uniform orthogonal matrices."""
    draws = np.array([initializers.orthogonal()(key(i), (3, 3)) for i in range(3000)])
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose((draws**2).mean(axis=0), 1 / 3, atol=0.03)
    assert np.trace(draws, axis1=1, axis2=2).mean() == pytest.approx(0, abs=0.07)
    assert np.linalg.det(draws).mean() == pytest.approx(0, abs=0.07)


def test_delta_orthogonal_keeps_the_length_of_an_image():
    layer = fcnn.conv2d(7, 3, padding="same", weight_init=initializers.delta_orthogonal())
    params, _ = layer.init(key(0), (5, 5, 4))
    x = prng.normal(key(1), (2, 5, 5, 4))
    y = layer.apply(params, x)
    np.testing.assert_allclose((y**2).sum(axis=-1), (x**2).sum(axis=-1), rtol=1e-4)
    with pytest.raises(ShapeError, match="at least as many filters"):
        initializers.delta_orthogonal()(key(0), (3, 3, 4, 3))


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
def test_identity_passes_an_image_on(kernel_size):
    layer = fcnn.conv2d(4, kernel_size, padding="same", weight_init=initializers.identity())
    params, _ = layer.init(key(0), (6, 6, 4))
    x = prng.normal(key(1), (2, 6, 6, 4))
    np.testing.assert_array_equal(layer.apply(params, x), x)


def test_identity_of_groups_is_torchs_dirac():
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    for groups, channels, filters in [(1, 3, 5), (1, 5, 3), (2, 2, 6), (3, 4, 6)]:
        expected = torch.nn.init.dirac_(torch.empty(filters, channels, 3, 3), groups)
        found = initializers.identity(groups=groups)(key(0), (3, 3, channels, filters))
        np.testing.assert_array_equal(found, expected.permute(2, 3, 1, 0).numpy())
