"""What a transposed convolution is for, beyond the laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, key
from fcnn.errors import ArgumentError, ShapeError

PAIRS = [(conv1d, conv_transpose1d), (conv2d, conv_transpose2d), (conv3d, conv_transpose3d)]
small = st.integers(1, 3)


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=25)
@given(st.data())
def test_it_is_the_adjoint_of_the_convolution_it_names(rank, data):
    """<conv(x), y> = <x, conv_transpose(y)>, with one weight, whatever the hyper-parameters."""
    conv, transposed = PAIRS[rank - 1]
    groups = data.draw(small)
    inner, outer = (groups * data.draw(st.integers(1, 2)) for _ in range(2))
    kernel, dilation, stride = (data.draw(st.tuples(*[small] * rank)) for _ in range(3))
    padding = data.draw(st.sampled_from(["valid", "same", 1]))
    options = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
        "flip": data.draw(st.booleans()), "bias": None,
    }  # fmt: skip
    down = conv(outer, kernel, **options)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "same":
        size = tuple(s * data.draw(small) for s in stride)
        more = 0
    else:
        size = tuple(r + data.draw(st.integers(0, 4)) for r in reach)
        pad = 2 * padding if padding == 1 else 0
        more = tuple((i + pad - r) % s for i, r, s in zip(size, reach, stride, strict=True))
    up = transposed(inner, kernel, output_padding=more, **options)
    params, out = down.init(key(data.draw(st.integers(0, 99))), (*size, inner))
    params = fcnn.tree.astype(params, np.float64)
    assert up.init(key(0), out)[1] == (*size, inner)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, *size, inner)), rng.normal(size=(2, *out))
    np.testing.assert_allclose(
        np.vdot(down.apply(params, x), y), np.vdot(x, up.apply(params, y)), atol=1e-10
    )
    assert params.weight.shape == up.init(key(0), out)[0].weight.shape


def test_same_gives_the_input_times_the_stride():
    for kernel in (1, 2, 3, 5):
        for stride in (1, 2, 3):
            layer = conv_transpose2d(1, kernel, stride=stride, padding="same")
            assert layer.init(key(0), (4, 5, 2))[1] == (4 * stride, 5 * stride, 1)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_weight_is_drawn_by_the_fan_in_of_this_layer(groups):
    """A position of the input meets c_in / groups channels, however many filters there are."""
    layer = conv_transpose2d(40, 3, groups=groups)
    params, _ = layer.init(key(0), (3, 3, 200))
    assert params.weight.shape == (3, 3, 40 // groups, 200)
    assert params.weight.std() == pytest.approx(np.sqrt(2 / (9 * 200 / groups)), rel=0.05)


def test_an_initializers_array_is_for_the_shape_that_the_docs_name():
    drawn = np.arange(12.0, dtype=np.float32).reshape(1, 3, 4)  # (k, c_in / groups, filters)
    layer = conv_transpose1d(4, 1, weight_init=fcnn.initializers.constant(drawn))
    params, _ = layer.init(key(0), (2, 3))
    np.testing.assert_array_equal(params.weight, drawn.swapaxes(1, 2))
    grouped = conv_transpose1d(4, 1, groups=2, weight_init=fcnn.initializers.constant(drawn))
    params, _ = grouped.init(key(0), (2, 6))
    x = np.eye(6, dtype=np.float32)[:, None]
    expected = np.zeros((6, 4))
    expected[:3, :2], expected[3:, 2:] = drawn[0, :, :2], drawn[0, :, 2:]
    np.testing.assert_array_equal(grouped.apply(params, x)[:, 0], expected)


def test_wide_batches_with_16_channels_take_the_fast_kernels_too(rng):
    """Stride 1 is a correlation with rotated filters, for which there is Winograd's algorithm."""
    layer = conv_transpose2d(16, 3, padding=1, bias=None)
    params, _ = layer.init(key(0), (12, 12, 20))
    x = rng.normal(size=(16, 12, 12, 20)).astype(np.float32)
    exact = layer.apply(fcnn.tree.astype(params, np.float64), x.astype(np.float64))
    np.testing.assert_allclose(layer.apply(params, x), exact, atol=3e-5)
    dense = conv2d(20, 3, padding=1, bias=None)
    _, pullback = dense.vjp(fcnn.tree.astype(params, np.float64), np.zeros((16, 12, 12, 16)))
    np.testing.assert_allclose(exact, pullback(x.astype(np.float64))[1], atol=1e-11)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 1}, r"output_padding smaller than the stride \(1, 1\), got 1"),
        ({"stride": 2, "padding": "same", "output_padding": 1}, 'expected output_padding 0 with'),
        ({"padding": "causal"}, 'expected padding "valid", "same", a whole number'),
        ({"output_padding": -1}, "at least 0, for output_padding, got -1"),
        ({"groups": 3}, "filters in a multiple of groups"),
    ],
)  # fmt: skip
def test_refuses_hyper_parameters_out_of_range(options, message):
    with pytest.raises(ArgumentError, match=message):
        conv_transpose2d(4, 3, **options)


def test_refuses_padding_that_leaves_nothing():
    with pytest.raises(ShapeError, match="at least one element along each axis, got"):
        conv_transpose1d(1, 3, padding=2).init(key(0), (2, 1))


def test_errors_name_the_axes():
    layer = conv_transpose1d(4, 3)
    params, _ = layer.init(key(0), (8, 2))
    with pytest.raises(ShapeError, match=r"channels come last: x.transpose\(0, 2, 1\)"):
        layer.apply(params, np.zeros((5, 2, 8), np.float32))
    with pytest.raises(ShapeError, match=r"for one sequence add the batch axis: x\[np.newaxis\]"):
        layer.apply(params, np.zeros((8, 2), np.float32))
    untied = conv_transpose1d(2, 3, bias="untied")
    params, _ = untied.init(key(0), (5, 1))
    with pytest.raises(ShapeError, match=r"untied bias \(7, 2\) is for, got \(6,\), whose output"):
        untied.apply(params, np.zeros((1, 6, 1), np.float32))


def test_a_receptive_field_is_what_an_output_sees():
    for layer in (
        conv_transpose1d(1, 5, stride=2),
        conv_transpose1d(1, 3, stride=2, dilation=2),
        conv_transpose1d(1, 3, stride=2, dilation=3),
        fcnn.serial(conv1d(1, 3, stride=2), fcnn.tanh, conv_transpose1d(1, 4, stride=2)),
        fcnn.serial(conv_transpose1d(1, 3, stride=3), fcnn.tanh, conv1d(1, 5)),
    ):
        params, out = layer.init(key(1), (24, 1))
        *_, last = fcnn.walk(layer, (24, 1))
        x = np.random.default_rng(0).normal(size=(1, 24, 1)).astype(np.float32)
        _, pullback = layer.vjp(params, x)
        seen = []
        for i in range(out[0]):
            dy = np.zeros((1, *out), np.float32)
            dy[0, i] = 1
            met = np.flatnonzero(pullback(dy)[1])
            seen.append(np.ptp(met) + 1 if met.size else 0)
        assert last.receptive_field == (max(seen),)


def test_multiply_adds_are_those_of_loops():
    loops = 7 * 6 * 2 * 3 * 3 * 4  # every element of input times every element of its filters
    assert fcnn.summary(conv_transpose2d(4, 3, stride=2), (7, 6, 2)).multiply_adds == loops
    assert fcnn.summary(conv_transpose2d(4, 3, groups=2), (7, 6, 2)).multiply_adds == loops // 2
