"""`check_initializer` is checked: right initializers pass, and each of these mutants must not."""

# ruff: noqa: NPY002 (the legacy functions are what is caught)

import itertools
import random

import numpy as np
import pytest

import fcnn
from fcnn import initializers, prng
from fcnn.errors import ShapeError
from fcnn.initializers import initializer
from fcnn.testing import check_initializer

calls = itertools.count()
kept = {}


def right(key, shape):
    return prng.normal(key, shape)


def another_draw_each_time(key, shape):
    return prng.normal(fcnn.fold_in(key, next(calls)), shape)


def always_one_key(key, shape):
    return prng.normal(fcnn.key(0), shape)


def the_seed_alone(key, shape):
    return prng.normal(fcnn.key(key.seed), shape)


def the_path_alone(key, shape):
    return prng.normal(fcnn.Key(0, key.path), shape)


def two_keys(key, shape):
    return prng.normal(fcnn.key((key.seed + sum(key.path)) % 2), shape)


def one_number(key, shape):
    return np.broadcast_to(prng.normal(key, ()), shape)


def one_row(key, shape):
    return np.array(np.broadcast_to(prng.normal(key, shape[-1:]), shape))


def one_column(key, shape):
    return np.array(np.broadcast_to(prng.normal(key, (*shape[:-1], 1)), shape))


def flat(key, shape):
    return prng.normal(key, shape).ravel()


def transposed(key, shape):
    return prng.normal(key, shape[::-1])


def one_array(key, shape):
    at = key, tuple(shape)
    if at not in kept:
        kept[at] = right(key, shape)
    return kept[at]


def seeded(key, shape):
    np.random.seed(key.seed + 7 * sum(key.path))
    return np.random.normal(size=shape).astype(np.float32)


def touches_the_generator(key, shape):
    random.random()
    return right(key, shape)


def reads_the_generator(key, shape):
    return right(key, shape) + np.float32(np.random.get_state()[1][0] % 2)


def after_400_calls(key, shape):
    return right(key, shape) + np.float32(next(calls) > 400)


def infinite(key, shape):
    draws = right(key, shape)
    draws.flat[-1] = np.inf
    return draws


def wrong_for_abstract_keys(key, shape):
    return np.zeros(1, np.float32) if prng.is_abstract(key) else right(key, shape)


def wrong_for_vectors(key, shape):
    return right(key, shape).astype(np.float64 if len(shape) == 1 else np.float32)


MUTANTS = {
    "another draw each time": (another_draw_each_time, "key"),
    "always one key": (always_one_key, "key"),
    "the seed alone": (the_seed_alone, "key"),
    "the path alone": (the_path_alone, "key"),
    "two keys for all": (two_keys, "key"),
    "one number everywhere": (one_number, "key"),
    "one row repeated": (one_row, "key"),
    "one column repeated": (one_column, "key"),
    "float64": (lambda key, shape: prng.normal(key, shape, dtype=np.float64), "form"),
    "a list": (lambda key, shape: right(key, shape).tolist(), "form"),
    "flat": (flat, "form"),
    "transposed": (transposed, "form"),
    "an infinite number": (infinite, "form"),
    "float64 for vectors": (wrong_for_vectors, "form"),
    "another shape for abstract keys": (wrong_for_abstract_keys, "form"),
    "one array for all calls": (one_array, "form"),
    "seeds a global generator": (seeded, "globals"),
    "touches a global generator": (touches_the_generator, "globals"),
    "reads a global generator": (reads_the_generator, "globals"),
    "other numbers after 400 calls": (after_400_calls, None),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name):
    mutant, law = MUTANTS[name]
    with pytest.raises(AssertionError, match=f"breaks the law '{law or ''}"):
        check_initializer(mutant)


def refuses_vectors(key, shape):
    if len(shape) < 2:
        raise ShapeError("expected two axes or more")
    return right(key, shape)


RIGHT = [
    right,
    refuses_vectors,
    lambda key, shape: np.zeros(shape, np.float32),
    *(
        found
        for found in vars(initializers).values()
        if isinstance(found, initializers.Initializer)
    ),
    initializers.normal(0.01, 1.0),
    initializers.uniform(-0.5, 0.5),
    initializers.constant(0.3),
]


@pytest.mark.parametrize("made", RIGHT, ids=lambda made: getattr(made, "__name__", repr(made)))
def test_what_is_right_passes(made):
    check_initializer(made)


def test_fixed_numbers_are_no_random_ones():
    fixed = np.linspace(0.1, 0.9, 12).reshape(3, 4)
    check_initializer(initializers.constant(fixed), (3, 4))
    with pytest.raises(AssertionError, match="look drawn"):
        check_initializer(lambda key, shape: np.resize(fixed, shape).astype(np.float32), (3, 4))
    check_initializer(lambda key, shape: np.eye(*shape[-2:], dtype=np.float32), (3, 4),
                      skip=["form"])  # fmt: skip


@initializer
def of_whatever(*arguments):
    return right


class Sly:
    """Prints as if it were None."""

    def __repr__(self):
        return "None"


def test_initializers_are_values():
    check_initializer(of_whatever(None))
    with pytest.raises(AssertionError, match="breaks the law 'value'"):
        check_initializer(of_whatever(Sly()))


def test_the_shape_that_is_asked_for_must_be_taken():
    with pytest.raises(AssertionError, match="'form': ShapeError"):
        check_initializer(initializers.he_normal, (3,))
