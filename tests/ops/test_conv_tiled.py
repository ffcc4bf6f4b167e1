"""Windows side by side: the same as by the adjoint that adds."""

import numpy as np
import pytest

from fcnn._ops import blocks
from fcnn._ops.conv import correlate_adjoints, correlate_transposed
from fcnn._ops.conv_tiled import is_tiling
from fcnn._ops.window import slide


@pytest.mark.parametrize("budget", [1 << 22, 1 << 9])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 1), (1, 2)])
@pytest.mark.parametrize("bias", [None, (6,), "untied"])
def test_the_adjoint_is_the_one_that_adds(rng, monkeypatch, kernel, groups, bias, budget):
    monkeypatch.setattr(blocks, "BUDGET", budget)
    out = (5, 3)
    image = out[0] * kernel[0], out[1] * kernel[1]
    window = slide(image, kernel, kernel, (1, 1), "valid")
    assert is_tiling(window)
    weight, dy = rng.normal(size=(*kernel, 6 // groups, 9)), rng.normal(size=(4, *out, 9))
    b = None if bias is None else rng.normal(size=(*image, 6) if bias == "untied" else bias)
    _, _, dx = correlate_adjoints(np.zeros((4, *image, 6)), weight, dy, window, groups)
    found = correlate_transposed(dy, weight, window, groups, b)
    np.testing.assert_allclose(found, dx if b is None else dx + b, atol=1e-12)


@pytest.mark.parametrize(
    ("image", "kernel", "stride", "dilation", "pads"),
    [
        ((4, 4), (2, 2), (1, 2), (1, 1), "valid"),
        ((5, 4), (2, 2), (2, 2), (1, 1), "valid"),
        ((4, 6), (2, 2), (2, 2), (2, 1), "valid"),
        ((4, 4), (2, 2), (2, 2), (1, 1), ((0, 2), (0, 0))),
    ],
)
def test_others_are_not_taken_for_tiles(image, kernel, stride, dilation, pads):
    assert not is_tiling(slide(image, kernel, stride, dilation, pads))
