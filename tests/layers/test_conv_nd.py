"""What convolutions of sequences and volumes, and padding that is not zeros, are for."""

import numpy as np
import pytest

import fcnn
from fcnn import conv1d, conv2d, conv3d, key
from fcnn.errors import ArgumentError, ShapeError
from fcnn.testing import check_fusion


def ones_of(layer, shape):
    params, _ = layer.init(key(0), shape)
    return fcnn.tree.map(lambda p: np.ones(p.shape), params)


@pytest.mark.parametrize(("kernel", "dilation", "stride"), [(3, 1, 1), (2, 3, 1), (4, 2, 3)])
def test_causal_outputs_depend_on_no_later_input(kernel, dilation, stride):
    layer = conv1d(2, kernel, padding="causal", dilation=dilation, stride=stride)
    params, out = layer.init(key(0), (13, 1))
    assert out == (-(-13 // stride), 2)
    x = np.random.default_rng(0).normal(size=(1, 13, 1)).astype(np.float32)
    y, pullback = layer.vjp(params, x)
    for t in range(out[0]):
        dy = np.zeros_like(y)
        dy[0, t] = 1
        met = np.flatnonzero(pullback(dy)[1])
        reached = [t * stride - dilation * k for k in range(kernel)]
        assert met.tolist() == sorted(i for i in reached if i >= 0)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("zeros", [0, 0, 1, 2, 3, 0, 0]),
        ("reflect", [3, 2, 1, 2, 3, 2, 1]),
        ("replicate", [1, 1, 1, 2, 3, 3, 3]),
        ("circular", [2, 3, 1, 2, 3, 1, 2]),
    ],
)
def test_what_padding_is_filled_with(mode, expected):
    layer = conv1d(1, 1, padding=2, padding_mode=mode, bias=None)
    y = layer.apply(ones_of(layer, (3, 1)), np.array([[[1.0], [2], [3]]]))
    np.testing.assert_array_equal(y[0, :, 0], expected)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (conv1d(1, 1, padding=3, padding_mode="reflect"), (3, 1),
         'expected at most 2 of padding for 3 steps and padding_mode "reflect", got 3'),
        (conv2d(1, 1, padding=(0, 3), padding_mode="circular"), (3, 2, 1),
         'expected at most 2 of padding for 2 columns and padding_mode "circular", got 3'),
    ],
)  # fmt: skip
def test_a_reflection_or_a_period_is_no_longer_than_the_image(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        layer.init(key(0), shape)
    with pytest.raises(ShapeError, match=message):
        layer.apply(
            fcnn.ConvParams(np.ones((1,) * (len(shape) - 1) + (1, 1)), np.ones(1)),
            np.ones((1, *shape)),
        )


@pytest.mark.parametrize("make", [conv1d, conv2d, conv3d])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (3, 3, 3, 3)},
        {"stride": 0},
        {"dilation": (1, 0)},
        {"padding": "full"},
        {"padding": -1},
        {"padding": (1, 2, 3, 4)},
        {"padding_mode": "constant"},
        {"padding_mode": None},
        {"groups": 3},
    ],
    ids=str,
)
def test_refuses_hyper_parameters_out_of_range(make, options):
    with pytest.raises(ArgumentError):
        make(**{"filters": 4, "kernel_size": 3, **options})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv1d(1, (2, 2)), "expected a whole number of at least 1 for kernel_size, got"),
        (lambda: conv3d(1, (2, 2)), r"one whole number or three, \(planes, rows, columns\), each"),
        (lambda: conv1d(1, 2, padding="same "), 'expected padding "valid", "same", "causal", a'),
        (lambda: conv2d(1, 2, padding="causal"), "got 'causal'; only conv1d has an order of time"),
        (lambda: conv2d(1, 2, padding_mode="symmetric"),
         'padding_mode one of "zeros", "reflect", "replicate", "circular", got \'symmetric\''),
    ],
)  # fmt: skip
def test_an_error_says_what_is_expected(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "shape", "x", "message"),
    [
        (conv1d(2, 3), (9, 4), (5, 4, 9),
         r"expected sequences \(n, length, 4\) for the weight \(3, 4, 2\), got \(5, 4, 9\); "
         r"channels come last: x.transpose\(0, 2, 1\)"),
        (conv1d(2, 3), (9, 4), (9, 4), r"for one sequence add the batch axis: x\[np.newaxis\]"),
        (conv3d(2, 3), (5, 6, 7, 4), (2, 4, 5, 6, 7),
         r"expected volumes \(n, d, h, w, 4\) .* x.transpose\(0, 2, 3, 4, 1\)"),
        (conv3d(2, 3), (5, 6, 7, 4), (5, 6, 7, 4), "for one volume add the batch axis"),
        (conv1d(2, 3), (9, 4), (1, 2, 4), r"got steps 1·\(3 - 1\) \+ 1 = 3 against 2 \+ 0"),
        (conv3d(2, 3), (5, 6, 7, 4), (1, 2, 3, 3, 4), r"got planes 1·\(3 - 1\) \+ 1 = 3 against 2"),
    ],
)  # fmt: skip
def test_an_input_that_does_not_fit_is_told_what_to_do(layer, shape, x, message):
    params, _ = layer.init(key(0), shape)
    with pytest.raises(ShapeError, match=message):
        layer.apply(params, np.zeros(x, np.float32))


def test_examples_of_other_axes_are_refused():
    with pytest.raises(ShapeError, match=r"expected a sequence \(length, c\), got \(8, 8, 1\)"):
        conv1d(1, 3).init(key(0), (8, 8, 1))
    with pytest.raises(ShapeError, match=r"expected a volume \(d, h, w, c\), got \(8, 8, 1\)"):
        conv3d(1, 3).init(key(0), (8, 8, 1))


@pytest.mark.parametrize("n", [1, 15, 16])
def test_few_and_many_sequences_give_the_same(n, rng):
    """Below 16 examples a sequence is a row of pixels, from there on a column."""
    layer = conv1d(5, 3, stride=2, padding="same", groups=1, bias="untied")
    params, _ = layer.init(key(0), (11, 4))
    params = fcnn.tree.map(lambda p: rng.normal(size=p.shape), params)
    x = rng.normal(size=(n, 11, 4))
    one_by_one = np.concatenate([layer.apply(params, x[i : i + 1]) for i in range(n)])
    np.testing.assert_allclose(layer.apply(params, x), one_by_one, atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ((conv1d(3, 3, padding="causal"), fcnn.relu), (7, 2)),
        ((conv3d(2, 2, bias="untied"), fcnn.relu), (3, 4, 3, 2)),
        ((conv2d(2, 3, padding=1, padding_mode="reflect"), fcnn.relu), (5, 4, 2)),
    ],
    ids=str,
)
def test_an_activation_is_fused(layers, shape):
    plan = fcnn.fusion.plan(layers, train=True)
    assert len(plan) == 1
    check_fusion(fcnn.serial(*layers), shape)


def test_a_pool_is_not_taken_along_by_padding_that_is_not_zeros(rng):
    layers = conv2d(2, 3, padding=1, padding_mode="circular"), fcnn.relu, fcnn.max_pool2d(2)
    plain, taken = (
        fcnn.fusion.plan(layers, train=True),
        fcnn.fusion.plan((conv2d(2, 3, padding=1), *layers[1:]), train=True),
    )
    assert (len(plain), len(taken)) == (2, 1)
    model = fcnn.serial(*layers)
    params, _ = model.init(key(0), (6, 6, 1))
    x = rng.normal(size=(2, 6, 6, 1)).astype(np.float32)
    each = x
    for layer, part in zip(layers, params, strict=True):
        each = layer.apply(part, each)
    np.testing.assert_array_equal(model.apply(params, x), each)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_batch_norm_in_evaluation_folds_in(rank):
    conv = (conv1d, conv2d, conv3d)[rank - 1](3, 2)
    layers = conv, fcnn.batch_norm(), fcnn.relu
    shape = (4,) * rank + (2,)
    assert len(fcnn.fusion.plan(layers, train=False)) == 1
    check_fusion(fcnn.serial(*layers), shape)
