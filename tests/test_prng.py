import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnn import Key, fold_in, key, prng, split
from fcnn.errors import ArgumentError

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
    expected = np.random.Generator(np.random.Philox(sequence)).standard_normal(4, np.float32)
    np.testing.assert_array_equal(prng.normal(k, (4,)), expected)


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
    assert uniform.max() <= 3
    assert uniform.mean() == pytest.approx(0.5, abs=0.03)
    assert uniform.std() == pytest.approx(5 / 12**0.5, abs=0.03)


@given(st.floats(0, 1), words)
def test_bernoulli(probability, seed):
    drawn = prng.bernoulli(key(seed), probability, (40, 50))
    assert drawn.dtype == bool
    assert drawn.mean() == pytest.approx(probability, abs=0.06)


@given(words, st.integers(0, 50))
def test_permutation(seed, n):
    assert sorted(prng.permutation(key(seed), n).tolist()) == list(range(n))


@pytest.mark.parametrize("bad", [-1, 2**64, 1.5, "0", None])
def test_refuses_what_is_no_seed(bad):
    with pytest.raises(ArgumentError, match="seed must be a whole number"):
        key(bad)


@pytest.mark.parametrize("bad", [-1, 2**32, 1.5, "0", None])
def test_refuses_what_is_no_index(bad):
    with pytest.raises(ArgumentError, match="i must be a whole number"):
        fold_in(key(0), bad)
    with pytest.raises(ArgumentError, match="n must be a whole number"):
        split(key(0), bad)


def test_numpys_whole_numbers_are_whole_numbers():
    assert key(np.int64(3)) == key(3)
    assert fold_in(key(0), np.uint8(3)) == fold_in(key(0), 3)
    assert type(fold_in(key(0), np.uint8(3)).path[-1]) is int
