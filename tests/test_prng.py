import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnn import Key, fold_in, key, prng, split
from fcnn.errors import ArgumentError, DTypeError, FcnnError, MissingKeyError, ShapeError

seeds = st.integers(0, 2**64 - 1)
words = st.integers(0, 2**32 - 1)


@given(seeds)
def test_a_key_is_its_seed_and_no_state(seed):
    k = key(seed)
    assert k == Key(seed, ()) == key(seed)
    assert eval(repr(k)) == pickle.loads(pickle.dumps(k)) == k
    assert hash(k) == hash(key(seed))
    first, second = prng.normal(k, (3,)), prng.normal(k, (3,))
    np.testing.assert_array_equal(first, second)


def test_a_key_is_frozen():
    with pytest.raises(AttributeError):
        key(0).seed = 1


@given(seeds, st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=4))
def test_every_path_is_another_key(seed, steps):
    k, seen = key(seed), set()
    for is_split, i in steps:
        seen.add(k)
        k = split(k, i + 1)[i] if is_split else fold_in(k, i)
        assert k not in seen
    assert k.seed == seed


@given(seeds, words)
def test_split_and_fold_in_never_meet(seed, i):
    k = key(seed)
    children = {*split(k, 5), fold_in(k, i), *split(fold_in(k, i), 2), k}
    assert len(children) == 9


def test_split_does_not_depend_on_how_many():
    assert split(key(0), 5)[:2] == split(key(0), 2)
    assert split(key(0), 0) == ()
    assert len(split(key(0))) == 2


def test_draws_of_different_keys_are_unrelated():
    keys = [key(0), key(1), *split(key(0), 3), *(fold_in(key(0), i) for i in range(3))]
    keys += [fold_in(k, 0) for k in split(key(0), 2)]
    draws = np.array([prng.normal(k, (4000,)) for k in keys])
    correlation = np.corrcoef(draws) - np.eye(len(keys))
    assert np.abs(correlation).max() < 0.08


def test_the_stream_is_the_documented_one():
    k = fold_in(split(key(7), 2)[1], 3)
    sequence = np.random.SeedSequence(7, spawn_key=(0, 1, 1, 3))
    expected = np.random.Generator(np.random.Philox(sequence)).standard_normal(4)
    np.testing.assert_array_equal(prng.normal(k, (4,), dtype=np.float64), expected)
    np.testing.assert_array_equal(prng.normal(k, (4,)), expected.astype(np.float32))


def test_another_process_draws_the_same():
    code = (
        "from fcnn import fold_in, key, prng; print(prng.normal(fold_in(key(3), 4), (3,)).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(prng.normal(fold_in(key(3), 4), (3,)).tolist())


@pytest.mark.usefixtures("no_global_generator")
def test_the_global_generator_is_not_used():
    for draw in (
        prng.normal(key(0), (2,)),
        prng.uniform(key(0), (2,)),
        prng.bernoulli(key(0), 0.5, (2,)),
        prng.permutation(key(0), 2),
    ):
        assert draw.shape == (2,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distributions(dtype):
    normal = prng.normal(key(0), (200, 200), dtype=dtype)
    assert normal.dtype == dtype
    assert abs(normal.mean()) < 0.02
    assert normal.std() == pytest.approx(1, abs=0.02)
    uniform = prng.uniform(key(0), (200, 200), -2, 3, dtype=dtype)
    assert uniform.dtype == dtype
    assert uniform.min() >= -2
    assert uniform.max() < 3
    assert uniform.mean() == pytest.approx(0.5, abs=0.03)
    assert uniform.std() == pytest.approx(5 / 12**0.5, abs=0.03)


def test_a_float32_draw_is_the_float64_draw_cast():
    """The blocks that the cast works in do not show."""
    for draw in (prng.normal, prng.uniform):
        for n in (1, 2**14 - 1, 2**14, 2**14 + 1, 50_001):
            double = draw(key(n), (n, 1), dtype=np.float64)
            np.testing.assert_array_equal(draw(key(n), (n, 1)), double.astype(np.float32))
    whole = key(5).generator().standard_normal(50_001)
    np.testing.assert_array_equal(prng.normal(key(5), (50_001,), dtype=np.float64), whole)


@given(
    seeds,
    st.floats(-1e6, 1e6, width=32),
    st.floats(2**-20, 1e6, width=32),
    st.sampled_from([np.float32, np.float64]),
)
def test_uniform_never_returns_its_upper_end(seed, low, width, dtype):
    high = low + width
    if dtype(low) < dtype(high):
        draws = prng.uniform(key(seed), (500,), low, high, dtype=dtype)
        assert draws.min() >= dtype(low)
        assert draws.max() < dtype(high)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ulps", [1, 2, 3])
def test_uniform_between_neighbouring_numbers(dtype, ulps):
    """Almost every other draw would be rounded to the upper end."""
    high = low = dtype(1)
    for _ in range(ulps):
        high = np.nextafter(high, dtype(2))
    draws = prng.uniform(key(0), (5000,), float(low), float(high), dtype=dtype)
    assert len(set(draws.tolist())) == ulps
    assert draws.min() == low
    assert draws.max() < high


@given(st.floats(0, 1), words)
def test_bernoulli(probability, seed):
    drawn = prng.bernoulli(key(seed), probability, (40, 50))
    assert drawn.dtype == bool
    assert drawn.mean() == pytest.approx(probability, abs=0.06)


def test_bernoulli_compares_32_bits_of_the_documented_stream():
    raw = key(3).generator().bit_generator.random_raw(4).tolist()
    words = [word for pair in raw for word in (pair % 2**32, pair // 2**32)]
    for n in (7, 8):
        for probability in (0.0, 0.3, 1.0):
            expected = [word < probability * 2**32 for word in words[:n]]
            assert prng.bernoulli(key(3), probability, (n,)).tolist() == expected
    assert prng.bernoulli(key(3), 0.5, ()).shape == ()


@given(words, st.integers(0, 50))
def test_permutation(seed, n):
    assert sorted(prng.permutation(key(seed), n).tolist()) == list(range(n))


@pytest.mark.parametrize("bad", [-1, 2**64, 1.5, "0", None])
def test_refuses_what_is_no_seed(bad):
    with pytest.raises(ArgumentError, match="expected seed to be a whole number"):
        key(bad)


@pytest.mark.parametrize("bad", [-1, 2**32, 1.5, "0", None])
def test_refuses_what_is_no_index(bad):
    with pytest.raises(ArgumentError, match="expected i to be a whole number"):
        fold_in(key(0), bad)
    with pytest.raises(ArgumentError, match="expected n to be a whole number"):
        split(key(0), bad)


def test_numpys_whole_numbers_are_whole_numbers():
    assert key(np.int64(3)) == key(3)
    assert fold_in(key(0), np.uint8(3)) == fold_in(key(0), 3)
    assert type(fold_in(key(0), np.uint8(3)).path[-1]) is int


DRAWS = {
    "normal": lambda k: prng.normal(k, (100, 50)),
    "normal64": lambda k: prng.normal(k, (100, 50), dtype=np.float64).round(12),
    "uniform": lambda k: prng.uniform(k, (100, 50), -0.3, 0.7),
    "uniform64": lambda k: prng.uniform(k, (100, 50), -0.3, 0.7, dtype=np.float64),
    "bernoulli": lambda k: prng.bernoulli(k, 0.3, (99, 51)),
    "permutation": lambda k: prng.permutation(k, 1000),
}
# One value for every C library, processor and version of NumPy. A change of these changes
# every run of every user.
DIGESTS = {
    "normal": "3d33d31d01f21a790e6ff33fc000ced9679e81c80be8d07074a7a6cd6b7277d4",
    "normal64": "4fe3538a3d7349a9b7319f8bbbb0a4393328e12a612bf5bfa414711079d2858c",
    "uniform": "3d7b498cf741250f5f1307bcbad421c1f0d0309636711b0b39f6034bebaf5a0a",
    "uniform64": "a0a7768358423fc566e26f73a638a5125b09567aad0f6b222f39fca851a70172",
    "bernoulli": "e4e54862dbcd20e530b446e67d980cf4c2cf411b4e736d3f5bd0d6356ba935a9",
    "permutation": "85513e827ff0409eb2bbf55b7f5f72fab9e0185ef34ff5368408ca12d85b1f5b",
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_the_same_everywhere(name):
    drawn = DRAWS[name](fold_in(split(key(20), 3)[2], 5))
    assert (
        hashlib.sha256(drawn.astype(drawn.dtype.newbyteorder("<")).tobytes()).hexdigest()
        == (DIGESTS[name])
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: prng.normal(0, (2,)), ArgumentError, r"expected a Key, got int; .*key\(seed\)"),
        (lambda: prng.uniform(np.random.default_rng(0), (2,)), ArgumentError, "got Generator"),
        (lambda: prng.bernoulli(None, 0.5, (2,)), MissingKeyError, "expected a Key, got None"),
        (lambda: prng.permutation(1.0, 2), ArgumentError, "got float"),
        (lambda: split(0), ArgumentError, "expected a Key, got int"),
        (lambda: fold_in("0", 1), ArgumentError, "expected a Key, got str"),
        (lambda: prng.permutation(key(0), -1), ArgumentError, "n to be a whole number"),
        (lambda: prng.permutation(key(0), [1, 2]), ArgumentError, "n to be a whole number"),
        (lambda: prng.normal(key(0), (2,), dtype=np.float16), DTypeError, "float32 or float64"),
        (lambda: prng.uniform(key(0), (2,), dtype=int), DTypeError, "float32 or float64"),
        (lambda: prng.normal(key(0), (2,), dtype=None), DTypeError, "got None"),
        (lambda: prng.normal(key(0), (2,), dtype="float33"), DTypeError, "got 'float33'"),
        (lambda: prng.normal(key(0), (2, -1)), ShapeError, r"a shape such as .*got \(2, -1\)"),
        (lambda: prng.normal(key(0), (2, 0.5)), ShapeError, "a shape such as"),
        (lambda: prng.bernoulli(key(0), 0.5, "ab"), ShapeError, "a shape such as"),
        (lambda: prng.bernoulli(key(0), 1.5, (2,)), ArgumentError, r"\[0, 1\], got 1.5"),
        (lambda: prng.bernoulli(key(0), float("nan"), (2,)), ArgumentError, r"\[0, 1\]"),
        (lambda: prng.bernoulli(key(0), "0.5", (2,)), ArgumentError, r"\[0, 1\]"),
        (lambda: prng.uniform(key(0), (2,), 1, 1), ArgumentError, "low < high in float32"),
        (lambda: prng.uniform(key(0), (2,), 1, 1 + 1e-9), ArgumentError, "low < high"),
        (lambda: prng.uniform(key(0), (2,), 0, 1e39), ArgumentError, "finite"),
        (lambda: prng.uniform(key(0), (2,), 0, float("inf")), ArgumentError, "finite"),
        (
            lambda: prng.uniform(key(0), (2,), -1.7e308, 1.7e308, dtype=np.float64),
            ArgumentError,
            "finite",
        ),
        (lambda: prng.uniform(key(0), (2,), "a", 1), ArgumentError, "got 'a' and 1"),
    ],
)
def test_refuses_with_one_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, FcnnError)


ABSTRACT = {
    "normal": lambda k: prng.normal(k, (3, 4)),
    "normal64": lambda k: prng.normal(k, (3, 4), dtype=np.float64),
    "uniform": lambda k: prng.uniform(k, (3, 4), -1, 1),
    "bernoulli": lambda k: prng.bernoulli(k, 0.5, (3, 4)),
    "permutation": lambda k: prng.permutation(k, 5),
}


@pytest.mark.parametrize("name", ABSTRACT)
def test_an_abstract_key_draws_nothing(name, monkeypatch):
    expected = ABSTRACT[name](key(0))
    monkeypatch.setattr(Key, "generator", lambda self: pytest.fail("a generator was made"))
    k = prng.abstract_key()
    for each in (k, fold_in(k, 3), *split(fold_in(k, 1), 2)):
        assert prng.is_abstract(each)
        drawn = ABSTRACT[name](each)
        assert drawn.shape == expected.shape
        assert drawn.dtype == expected.dtype
        assert not drawn.any()
        assert not drawn.flags.writeable
        assert not drawn.flags.owndata
        assert set(drawn.strides) == {0}


def test_an_abstract_key_is_a_key_of_its_own():
    k = prng.abstract_key()
    assert isinstance(k, Key)
    assert k == prng.abstract_key() == pickle.loads(pickle.dumps(k))
    assert k != key(0)
    assert not prng.is_abstract(key(0))
    assert 0 <= k.generator().random() < 1
    with pytest.raises(ArgumentError, match="low < high"):
        prng.uniform(k, (2,), 1, 0)
    with pytest.raises(ShapeError):
        prng.normal(k, (2, -1))
