"""The separable convolution is the two layers that it names, whatever its options."""

import numpy as np
import pytest

import fcnn
from fcnn import tree


@pytest.mark.parametrize(
    "options",
    [
        {"padding": ((1, 0), (2, 1)), "stride": (2, 1), "bias": False},
        {"dilation": (1, 2), "depth_multiplier": 2, "bias_init": fcnn.initializers.ones},
        {"padding": "same", "weight_init": fcnn.initializers.lecun_uniform},
    ],
    ids=str,
)
def test_separable_is_depthwise_and_then_pointwise_with_every_option(options, rng):
    given = {"bias": True, "weight_init": fcnn.initializers.he_normal, **options}
    of_depth = {
        name: value for name, value in given.items()
        if name in {"padding", "stride", "dilation", "depth_multiplier", "weight_init"}
    }  # fmt: skip
    of_point = {name: given[name] for name in ("weight_init", "bias_init") if name in given}
    by_hand = fcnn.serial(
        fcnn.depthwise_conv2d((3, 2), bias=False, **of_depth),
        fcnn.conv2d(5, 1, bias="tied" if given["bias"] else None, **of_point),
    )
    layer = fcnn.separable_conv2d(5, (3, 2), **options)
    params, out_shape = layer.init(fcnn.key(1), (7, 6, 2))
    expected, expected_shape = by_hand.init(fcnn.key(1), (7, 6, 2))
    assert out_shape == expected_shape
    assert tree.allclose(params, expected, rtol=0, atol=0)
    x = rng.normal(size=(2, 7, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(layer.apply(params, x), by_hand.apply(params, x))
