"""Volumes by planes with Winograd's algorithm, and by images with a filter's planes as channels."""

import numpy as np
import pytest

from fcnn._ops import blocks, conv_planes, conv_volume
from fcnn._ops.epilogue import RELU
from fcnn._ops.window import slide
from fcnn._ops.winograd import volume

PADS = [((0, 0), (0, 0), (0, 0)), ((1, 1), (1, 1), (1, 1)), ((0, 2), (2, 1), (1, 0))]


def draw(rng, *, kd=3, pads=PADS[1], size=(5, 10, 10), dtype=np.float64):
    x = rng.normal(size=(8, *size, 8)).astype(dtype)
    weight = (rng.normal(size=(kd, 3, 3, 8, 16)) / 10).astype(dtype)
    window = slide(size, (kd, 3, 3), (1, 1, 1), (1, 1, 1), pads)
    assert volume.suits(x, weight, window, 1)
    return x, weight, window


@pytest.fixture
def by_images(monkeypatch):
    """Return a function that calls one of `conv_volume` without the algorithm by planes."""

    def call(function, *args, **kwargs):
        with monkeypatch.context() as patched:
            patched.setattr(volume, "suits", lambda *_: False)
            return function(*args, **kwargs)

    return call


def same(found, expected, atol=1e-11):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize("budget", [1 << 22, 1 << 19])
@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize("kd", [1, 2, 3])
@pytest.mark.parametrize("bias", [None, "tied", "untied"])
def test_both_ways_give_the_same(rng, by_images, monkeypatch, kd, pads, bias, budget):
    """Within one block of all planes, and cut into planes and blocks; through a relu too."""
    monkeypatch.setattr(blocks, "BUDGET", budget)
    x, weight, window = draw(rng, kd=kd, pads=pads)
    shapes = {None: None, "tied": (16,), "untied": (*window.out, 16)}
    b = None if bias is None else rng.normal(size=shapes[bias])
    for epilogue in (None, RELU):
        call = (x, weight, window, 1, b, epilogue)
        y = conv_volume.correlate(*call)[0]
        same([y], [by_images(conv_volume.correlate, *call)[0]])
        dy = rng.normal(size=y.shape)
        for input_grad in (True, False):
            call = {"y": y, "epilogue": epilogue, "bias": bias, "input_grad": input_grad}
            grads = conv_volume.correlate_adjoints(x, weight, dy, window, **call)
            plain = by_images(conv_volume.correlate_adjoints, x, weight, dy, window, **call)
            same(grads, plain, 1e-10)


def test_the_small_budget_cuts_planes_and_blocks(rng, monkeypatch):
    monkeypatch.setattr(blocks, "BUDGET", 1 << 19)
    x, weight, window = draw(rng)
    planes = list(volume.parts(x, weight, window))
    assert len(planes) > 1
    assert sum(part.stop - part.start for part in planes) == window.out[0]
    assert len(volume.tile_blocks(x, weight, window, planes[0])) > 1


def test_float32_is_as_exact_as_winograds_algorithm(rng, by_images):
    x, weight, window = draw(rng, size=(6, 12, 12))
    dy = rng.normal(size=(8, *window.out, 16))
    exact = by_images(conv_volume.correlate_adjoints, x, weight, dy, window)
    x, weight, dy = (each.astype(np.float32) for each in (x, weight, dy))
    found = conv_volume.correlate_adjoints(x, weight, dy, window)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(other).max())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "weight", "dy"])
def test_what_is_not_finite_stays_where_it_belongs(rng, by_images, where, value):
    x, weight, window = draw(rng)
    dy = rng.normal(size=(8, *window.out, 16))
    {"x": x, "weight": weight, "dy": dy}[where][1, 2, 1, 3, 4] = value
    with np.errstate(invalid="ignore"):
        y = conv_volume.correlate(x, weight, window)[0]
        same([y], [by_images(conv_volume.correlate, x, weight, window)[0]])
        grads = conv_volume.correlate_adjoints(x, weight, dy, window)
        plain = by_images(conv_volume.correlate_adjoints, x, weight, dy, window)
        same(grads, plain, 1e-10)
    if where != "dy":
        with np.errstate(invalid="ignore"):
            assert conv_planes.correlate(x, weight, window, None, None) is None


def test_an_output_of_zeros_alone_is_exactly_0(rng):
    """A relu behind it passes no gradient there."""
    x, weight, window = draw(rng, size=(8, 16, 16), dtype=np.float32)
    x[:, 3:, :, :] = 0
    x[:, :, 6:] = 0
    y = conv_planes.correlate(x, weight, window, None, None)
    assert (y[:, 4:] == 0).all()
    assert (y[:, :, 7:] == 0).all()
    assert (y[:, :4, :7] != 0).all()


def test_results_share_no_memory(rng):
    x, weight, window = draw(rng)
    x = np.ascontiguousarray(x.transpose(2, 1, 4, 3, 0)).transpose(4, 1, 0, 3, 2)  # as kernels do
    y = conv_volume.correlate(x, weight, window)[0]
    dy = np.ones_like(y)
    grads = conv_volume.correlate_adjoints(x, weight, dy, window)
    for result in (y, *grads):
        for argument in (x, weight, dy):
            assert not np.shares_memory(result, argument)
