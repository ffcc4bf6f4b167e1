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


def test_needs_one_gradient_for_each_argument():
    with pytest.raises(AssertionError, match="one gradient for each of 1 arguments, got 2"):
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


def test_a_tree_for_y():
    def f(a):
        return {"sum": a.sum(axis=0), "double": (2 * a,)}

    def vjp(factor):
        return lambda a: (f(a), lambda dy: (dy["sum"] + factor * dy["double"][0],))

    check_vjp(f, vjp(2.0), np.ones((3, 2)))
    with pytest.raises(AssertionError, match="wrong for argument 0"):
        check_vjp(f, vjp(2.002), np.ones((3, 2)))


def test_whole_numbers_may_have_none_for_a_gradient():
    check_vjp(
        lambda x, i: x[i], lambda x, i: (x[i], lambda dy: (np.bincount(i, dy), None)),
        np.array([1.0, 2.0]), np.array([0, 1, 1]),
    )  # fmt: skip
    with pytest.raises(AssertionError, match="expected None for whole numbers"):
        check_vjp(
            lambda x, i: x[i], lambda x, i: (x[i], lambda dy: (np.bincount(i, dy), dy)),
            np.array([1.0, 2.0]), np.array([0, 1, 1]),
        )  # fmt: skip


def test_another_structure_is_named():
    with pytest.raises(AssertionError, match=r"argument 0 does not fit it: .*\['b'\]"):
        check_vjp(
            lambda a: a["a"],
            lambda a: (a["a"], lambda dy: ({"a": dy, "b": dy},)),
            {"a": np.ones(2), "b": np.ones(3)},
        )
