"""A user's own layers take part by one rule; without one they are refused by their place."""

import numpy as np
import pytest

import fcnn
from fcnn._walk import Part, combinator
from fcnn.errors import ArgumentError

pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", exc_type=ImportError)


def scaling(factor):
    def init(key, shape):
        return (), shape

    def apply(params, x, ctx=fcnn.EVAL):
        return x * np.float32(factor)

    def vjp(params, x, ctx=fcnn.EVAL):
        return apply(params, x), lambda dy: ((), dy * np.float32(factor))

    return init, apply, vjp


@fcnn.layer
def scale(factor):
    return scaling(factor)


@fcnn.layer
def other(factor):
    return scaling(factor)


@fcnn.as_value
@fcnn.layer
def double():
    return scaling(2)


@fcnn.export.rule(scale)
def scale_rule(graph, layer, params, x):
    return graph.node("Mul", x, layer.spec.arguments["factor"])


@fcnn.export.rule(double)
def double_rule(graph, layer, params, x):
    return graph.write(scale(2.0), (), x)


def test_a_layer_of_ones_own(agree):
    agree(fcnn.serial(fcnn.conv2d(2, 2), scale(3.0), double, fcnn.flatten), (3, 3, 1))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (fcnn.serial(fcnn.relu, fcnn.residual(fcnn.tanh, other(2.0))),
         r"serial\[1\].residual\[1\].serial\[1\]"),
        (fcnn.serial(fcnn.relu, fcnn.named("mine", other(2.0))), "mine"),
        (fcnn.fanout(a=other(2.0), b=fcnn.relu), r"fanout\[a\]"),
    ],
)  # fmt: skip
def test_without_a_rule(model, path, tmp_path):
    with pytest.raises(
        ArgumentError, match=rf"^{path} other\(2.0\): expected a layer with a rule "
    ):
        fcnn.export.onnx(model, model.init(fcnn.key(0), (3,))[0], (3,), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_what_the_refusal_says_can_be_done(tmp_path):
    with pytest.raises(ArgumentError) as caught:
        fcnn.export.onnx(other(2.0), (), (3,), tmp_path / "m.onnx")
    assert "put @fcnn.export.rule(other) above def other_rule(graph, layer, params, x)" in str(
        caught.value
    )


def softcap(x):
    return np.float32(3) * np.tanh(x / np.float32(3))


def test_functions_of_elementwise(agree):
    slope = np.cos
    agree(fcnn.serial(*(fcnn.elementwise(f, slope) for f in (np.sin, np.arctan, np.tanh))), (3,))
    agree(fcnn.elementwise(np.abs, np.sign), (3,))
    capped = fcnn.serial(fcnn.relu, fcnn.elementwise(softcap, slope))
    with pytest.raises(ArgumentError, match=r"^serial\[1\] .* got softcap; put @fcnn.export.rule"):
        agree(capped, (3,))

    @fcnn.export.rule(softcap)
    def softcap_rule(graph, layer, params, x):
        return graph.node("Mul", graph.node("Tanh", graph.node("Div", x, 3.0)), 3.0)

    agree(capped, (3, 2))


def test_a_chain_of_ones_own_needs_no_rule(agree):
    @fcnn.layer
    def block(units):
        made = fcnn.serial(fcnn.dense(units), fcnn.relu)
        return made.init, made.apply, made.vjp

    @combinator(block, wiring="chain")
    def parts(layer):
        return [Part("in", fcnn.dense(*layer.spec.args), (0,)), Part("out", fcnn.relu, (1,))]

    agree(fcnn.serial(block(3), block(2)), (4,))


def test_branches_of_ones_own_need_one(tmp_path):
    @fcnn.layer
    def doubled(layer):
        return scaling(2)

    @combinator(doubled, wiring="branches")
    def parts(layer):
        return [Part("doubled", layer.spec.args[0], ())]

    with pytest.raises(ArgumentError, match=r"^doubled\(relu\): expected a layer with a rule"):
        fcnn.export.onnx(doubled(fcnn.relu), (), (3,), tmp_path / "m.onnx")


@pytest.mark.parametrize("numbers", [{"alpha": 0.0}, {"beta": 0.0}])
def test_local_response_norm_without_a_power_or_a_sum(agree, numbers):
    """Which onnxruntime refuses as LRN."""
    agree(fcnn.local_response_norm(3, **numbers), (4, 3, 5), batches=(2,))
