"""`check_vjp` passes what is right, and names what is not."""

import numpy as np
import pytest

from fcnn.testing import check_vjp


def test_several_arguments_and_trees():
    def f(a, b):
        return a["x"] * b + a["y"][0]

    def vjp(a, b):
        return f(a, b), lambda dy: ({"x": dy * b, "y": (dy.sum(),)}, dy * a["x"])

    check_vjp(f, vjp, {"x": np.array([1.0, 2.0]), "y": (3.0,)}, np.array([4.0, 5.0]))


def test_names_the_leaf():
    def f(a, b):
        return a["x"] * b

    def vjp(a, b):
        return f(a, b), lambda dy: ({"x": 1.001 * dy * b}, dy * a["x"])

    with pytest.raises(AssertionError, match=r"wrong for first\['x'\]"):
        check_vjp(f, vjp, {"x": np.ones(3)}, np.ones(3), names=("first",))


def test_float32_is_checked_in_float64():
    check_vjp(np.exp, lambda x: (np.exp(x), lambda dy: (dy * np.exp(x),)), np.ones(3, np.float32))


def test_a_number_for_y():
    check_vjp(
        lambda x: float(x @ x), lambda x: (float(x @ x), lambda d: (2 * d * x,)), np.arange(3.0)
    )


def test_whole_numbers_are_not_moved():
    check_vjp(
        lambda x, i: x[i], lambda x, i: (x[i], lambda dy: (np.bincount(i, dy), 0 * i)),
        np.array([1.0, 2.0]), np.array([0, 1, 1]),
    )  # fmt: skip


def test_wants_one_gradient_an_argument():
    with pytest.raises(AssertionError, match="one gradient an argument, 1, and 2 came"):
        check_vjp(np.sin, lambda x: (np.sin(x), lambda dy: (dy, dy)), np.ones(2))


def test_nan_does_not_pass():
    with np.errstate(invalid="ignore"), pytest.raises(AssertionError):
        check_vjp(np.sin, lambda x: (np.sin(x), lambda dy: (dy * np.nan,)), np.ones(2))


@pytest.mark.parametrize("size", [1, 10, 10_000])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_neither_size_nor_scale_blinds_or_frightens_it(size, scale):
    x = np.linspace(-1, 1, size)

    def vjp(factor):
        return lambda x: (scale * np.sin(x), lambda dy: (factor * scale * dy * np.cos(x),))

    check_vjp(lambda x: scale * np.sin(x), vjp(1.0), x)
    with pytest.raises(AssertionError, match="ratio"):
        check_vjp(lambda x: scale * np.sin(x), vjp(1.001), x)


def test_a_short_step_does_not_reach_over_a_kink():
    def vjp(x):
        return np.abs(x), lambda dy: (dy * np.sign(x),)

    x = np.array([1e-5, -1e-5, 1.0])
    check_vjp(np.abs, vjp, x)
    with pytest.raises(AssertionError):
        check_vjp(np.abs, vjp, x, step=1e-3)
