"""Every layer of the law table, recorded: the bits are those of the layer itself."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn._jit._results import differences
from fcnn.testing._points import map_shape

CASES = Path(__file__).parent.parent / "layers" / "cases"
TABLE = [case for path in sorted(CASES.glob("*.py")) for case in run_path(str(path))["CASES"]]


def scaled(params, by):
    def each(leaf):
        return leaf * np.asarray(leaf).dtype.type(by)

    return tree.map(each, params)


@pytest.mark.parametrize(("train", "dtype"), [(True, np.float32), (False, np.float64)])
@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=lambda part: str(part))
def test_the_bits_of_every_layer_and_its_pullback(layer, shape, train, dtype):
    params, _ = layer.init(fcnn.key(1), shape)
    params = tree.astype(params, dtype) if tree.leaves(params) else params

    def f(params, x, ctx):
        y, pullback = layer.vjp(params, x, ctx)
        return y, pullback(tree.map(lambda leaf: leaf * 2 + 1, y))

    jitted = fcnn.jit(f)
    for i in range(3):
        generator = np.random.default_rng(i)

        def draw(one, generator=generator):
            if "embedding" in repr(layer):
                return generator.integers(0, 2, (3, *one))
            return generator.standard_normal((3, *one)).astype(dtype)

        x, given = map_shape(draw, shape), scaled(params, 1 + i / 8)
        ctx = fcnn.Context(train, fcnn.key(i) if train else None)
        assert not differences(f(given, x, ctx), jitted(given, x, ctx))
    (slot,) = jitted._slots.values()
    assert slot.plan is not None
