"""Every layer and model as ONNX: checked by onnx, and equal to `apply` in onnxruntime."""

from pathlib import Path
from runpy import run_path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fcnn
from fcnn._walk import combinator_of
from fcnn.errors import FcnnError
from fcnn.export._rules import rule_of
from fcnn.export._trace import KNOWN

from .conftest import TABLE

pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", exc_type=ImportError)

OPSETS = (13, 17, 21)
MODELS = run_path(str(Path(__file__).parent.parent / "models" / "test_models.py"))["SMALL"]


@pytest.mark.parametrize("i", range(len(TABLE)), ids=lambda i: str(TABLE[i][0])[:70])
def test_every_layer_of_the_law_table(i, agree):
    layer, shape = TABLE[i]
    for opset in OPSETS:
        agree(layer, shape, opset=opset, batches=(1, 5, 64) if opset == 17 else (5,))


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name, agree):
    model, shape, _ = MODELS[name]
    opset = OPSETS[sorted(MODELS).index(name) % 3]
    agree(model, shape, opset=opset, batches=(1, 5), params=model.init(fcnn.key(0), shape)[0])


def test_every_public_layer_has_a_rule():
    for name in fcnn.__all__:
        found = getattr(fcnn, name)
        if not getattr(found, "__makes_value__", False) and not isinstance(found, fcnn.Layer):
            continue
        layers = [layer for layer, _ in TABLE if layer.spec.name == name]
        made = layers[0] if layers else found
        if not isinstance(made, fcnn.Layer):
            continue
        combinator = combinator_of(made)
        known = combinator is not None and (
            combinator.wiring == "chain" or made.spec.constructor in KNOWN
        )
        assert known or rule_of(made) is not None, name


small, tiny = st.integers(1, 3), st.integers(0, 2)
common = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def per_axis(rank, numbers=small):
    return numbers | st.tuples(*[numbers] * rank)


def pads(rank):
    pair = st.tuples(tiny, tiny)
    each = pair if rank == 1 else st.tuples(*[pair] * rank)
    return st.sampled_from(["valid", "same"]) | tiny | each


@st.composite
def convolutions(draw):
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    filters, channels = (groups * draw(st.integers(1, 2)) for _ in range(2))
    transposed = draw(st.booleans())
    options = {
        "stride": draw(per_axis(rank) if rank > 1 else small),
        "padding": draw(pads(rank)),
        "dilation": draw(per_axis(rank) if rank > 1 else small),
        "groups": groups,
        "bias": draw(st.sampled_from(["tied", "untied", None])),
        "flip": draw(st.booleans()),
    }
    if transposed:
        options["output_padding"] = draw(tiny)
        made = [fcnn.conv_transpose1d, fcnn.conv_transpose2d, fcnn.conv_transpose3d][rank - 1]
    else:
        options["padding_mode"] = draw(
            st.sampled_from(["zeros", "reflect", "replicate", "circular"])
        )
        made = [fcnn.conv1d, fcnn.conv2d, fcnn.conv3d][rank - 1]
    size = draw(per_axis(rank) if rank > 1 else small)
    shape = (*(draw(st.integers(2, 6)) for _ in range(rank)), channels)
    return made, (filters, size), options, shape


@st.composite
def pools(draw):
    rank = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["max", "avg", "lp"]))
    rank = 2 if kind == "lp" else rank
    options = {"stride": draw(st.none() | small), "padding": draw(pads(rank))}
    size = draw(per_axis(rank) if rank > 1 else small)
    shape = (*(draw(st.integers(2, 6)) for _ in range(rank)), 2)
    if kind == "lp":
        return fcnn.lp_pool2d, (draw(st.sampled_from([1, 2, 3, 1.5])), size), options, shape
    if kind == "max":
        options["dilation"] = draw(small)
    else:
        options["count_include_pad"] = draw(st.booleans())
    return getattr(fcnn, f"{kind}_pool{rank}d"), (size,), options, shape


@st.composite
def others(draw):
    side, c = st.integers(1, 6), draw(st.integers(1, 4))
    image = draw(side), draw(side), c
    both = st.tuples(side, side)
    mode = st.sampled_from(["nearest", "bilinear"])
    f = draw(st.tuples(small, small))
    calls = [
        (fcnn.depthwise_conv2d, (draw(small),), {
            "depth_multiplier": draw(small), "stride": draw(small), "padding": draw(pads(2)),
        }, image),
        (fcnn.adaptive_avg_pool, (draw(both),), {}, image),
        (fcnn.adaptive_max_pool, (draw(both),), {}, image),
        (fcnn.resize2d, (draw(both), draw(mode)), {}, image),
        (fcnn.upsample2d, (f, draw(mode)), {}, image),
        (fcnn.pixel_shuffle, (f,), {}, (image[0], image[1], c * f[0] * f[1])),
        (fcnn.pixel_unshuffle, (f,), {}, (image[0] * f[0], image[1] * f[1], c)),
        (fcnn.pad2d, (draw(pads(2)),), {
            "mode": draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))}, image),
        (fcnn.crop2d, (), {"size": draw(both)}, image),
        (fcnn.local_response_norm, (draw(st.integers(1, 5)),), {
            "alpha": draw(st.floats(0, 2)), "beta": draw(st.floats(0, 1))}, image),
        (fcnn.group_norm, (draw(small),), {"scale": draw(st.booleans())}, image),
        (fcnn.layer_norm, (), {"axes": draw(st.sampled_from([-1, (-2, -1), None]))}, image),
        (fcnn.softmax_over, (draw(st.integers(-3, 2)),), {}, image),
        (fcnn.transpose, tuple(draw(st.permutations(range(3)))), {}, image),
    ]  # fmt: skip
    return draw(st.sampled_from(calls))


@common
@given(st.one_of(convolutions(), pools(), others()), st.sampled_from(OPSETS), st.data())
def test_drawn_hyper_parameters(agree, drawn, opset, data):
    """Behind and before an elementwise layer, so that both layouts occur at either end."""
    made, args, options, shape = drawn
    try:
        layer = made(*args, **options)
        layer.init(fcnn.key(0), shape)
    except FcnnError:  # out of its range, or larger than the image
        return
    model = data.draw(
        st.sampled_from([layer, fcnn.serial(fcnn.relu, layer), fcnn.serial(layer, fcnn.flatten)])
    )
    first = data.draw(st.booleans())
    agree(model, shape, opset=opset, channels_first=first, batches=(3,))
