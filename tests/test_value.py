import copy
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import conv2d, dense, dropout, initializers, relu, residual, serial
from fcnn._value import Value, values_in

NAMES = {**{name: getattr(fcnn, name) for name in fcnn.__all__}, **vars(initializers)}
VALUES = [
    (dense(10), "dense(10)"),
    (dense(units=10), "dense(10)"),
    (dense(10, weight_init=initializers.he_normal), "dense(10)"),
    (
        dense(10, weight_init=initializers.uniform(-0.5, 0.5)),
        "dense(10, weight_init=uniform(-0.5, 0.5))",
    ),
    (dense(10, bias_init=initializers.ones), "dense(10, bias_init=ones)"),
    (conv2d(8, (3, 5), stride=2, padding="same"), "conv2d(8, (3, 5), stride=2, padding='same')"),
    (conv2d(8, 3, stride=1, padding="valid", groups=1), "conv2d(8, 3)"),
    (conv2d(kernel_size=3, filters=8, bias=None), "conv2d(8, 3, bias=None)"),
    (dropout(0.5), "dropout(0.5)"),
    (relu, "relu"),
    (serial(), "serial()"),
    (
        serial(conv2d(8, 3), relu, fcnn.flatten, dense(10)),
        "serial(conv2d(8, 3), relu, flatten, dense(10))",
    ),
    (residual(dense(2), shortcut=dense(2)), "residual(dense(2), shortcut=dense(2))"),
    (fcnn.reshape(2, -1), "reshape(2, -1)"),
    (initializers.normal(), "normal()"),
    (initializers.normal(mean=1.0), "normal(mean=1.0)"),
    (fcnn.losses.softmax_cross_entropy, "softmax_cross_entropy"),
]


@pytest.mark.parametrize(("value", "shown"), VALUES, ids=lambda part: str(part))
def test_prints_as_its_shortest_call_and_evaluates_back(value, shown):
    assert repr(value) == shown
    again = eval(shown, {**NAMES, **vars(fcnn.losses)})
    assert again == value
    assert hash(again) == hash(value)


@pytest.mark.parametrize(("value", "shown"), VALUES, ids=lambda part: str(part))
@pytest.mark.parametrize(
    "duplicate",
    [lambda v: pickle.loads(pickle.dumps(v)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_pickles_and_copies(value, shown, duplicate):
    again = duplicate(value)
    assert type(again) is type(value)
    assert again == value
    assert hash(again) == hash(value)
    assert repr(again) == shown
    assert (again is value) == (value.spec.is_name)


def test_values_differ_where_their_calls_do():
    values = [dense(10), dense(11), dense(10, bias_init=initializers.ones), relu, fcnn.tanh,
              serial(), serial(relu), serial(relu, relu), fcnn.add(relu), dropout(0.1),
              initializers.ones, initializers.constant(1.0)]  # fmt: skip
    assert len(set(values)) == len(values)
    assert dense(10) != "dense(10)"
    assert relu != 0


@given(st.integers(1, 99), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_equality_is_that_of_the_call(filters, kernel, stride, flip):
    one = conv2d(filters, kernel, stride=stride, flip=flip)
    two = conv2d(flip=flip, filters=filters, stride=stride, kernel_size=kernel)
    assert one == two
    assert one.spec.arguments["filters"] == filters
    assert one.spec.arguments["dilation"] == 1  # defaults are among the arguments
    assert one != conv2d(filters + 1, kernel, stride=stride, flip=flip)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: conv2d(8, 3, strides=2), "conv2d.* 'strides'; use stride"),
        (lambda: dense(10, activation="relu"), "'activation'; put the activation after it"),
        (lambda: dense(10, unit=3), "'unit'; use units"),
        (lambda: dense(), "missing .* 'units'"),
        (lambda: conv2d(8, 3, 2), "positional argument"),  # keyword-only after two
        (lambda: dropout(rate=0.5, seed=1), "'seed'; it takes rate"),
        (lambda: fcnn.batch_norm(0.9), "positional argument"),
        (lambda: fcnn.batch_norm(epsilon=0.9), "'epsilon'; use eps"),
        (lambda: serial(relu, name="body"), "'name'; use fcnn.named"),
        (lambda: initializers.uniform(low=0.0), "missing .* 'high'"),
    ],
)
def test_a_misspelt_or_missing_argument_is_a_type_error_with_the_nearest_name(call, hint):
    with pytest.raises(TypeError, match=hint):
        call()


def test_a_constructor_keeps_its_signature_and_its_docstring():
    assert list(inspect.signature(conv2d).parameters)[:3] == ["filters", "kernel_size", "stride"]
    assert "Correlate images" in conv2d.__doc__
    assert conv2d.__name__ == "conv2d"
    assert "max(x, 0)" in relu.__doc__


def test_a_list_is_remembered_as_a_tuple():
    kernel = [3, 5]
    layer = conv2d(8, kernel, padding=[[1, 2], [0, 1]])
    kernel[0] = 99
    assert repr(layer) == "conv2d(8, (3, 5), padding=((1, 2), (0, 1)))"
    assert {layer: 1}[conv2d(8, (3, 5), padding=((1, 2), (0, 1)))] == 1


def test_values_are_frozen():
    with pytest.raises(AttributeError):
        dense(3).init = None
    with pytest.raises(AttributeError):
        dense(3).spec = None


def test_walk_finds_every_value_in_a_value():
    init = initializers.uniform(-0.5, 0.5)
    model = serial(dense(3, weight_init=init), residual(relu, shortcut=dense(3)))
    found = list(values_in(model))
    assert [v.spec.name for v in found] == [
        "serial",
        "dense",
        "uniform",
        "residual",
        "relu",
        "dense",
    ]
    assert all(isinstance(v, Value) for v in found)


def test_a_function_as_an_argument_prints_by_its_name():
    assert repr(dense(2, weight_init=np.ones)) == "dense(2, weight_init=ones)"


def test_a_users_own_constructor_is_a_value_too():
    @fcnn.layer
    def scale(factor, *, offset=0.0):
        return tuple(relu)

    assert repr(scale(2.0)) == "scale(2.0)"
    assert repr(scale(factor=2.0, offset=1.0)) == "scale(2.0, offset=1.0)"
    assert scale(2.0) == scale(2.0, offset=0.0) != scale(3.0)
    assert repr(serial(scale(1.0), relu)) == "serial(scale(1.0), relu)"


@fcnn.as_value
@fcnn.layer
def doubled():
    """Double."""
    return fcnn.relu.init, lambda params, x, ctx=fcnn.EVAL: 2 * x, fcnn.relu.vjp


def test_a_users_layer_without_arguments_is_a_value():
    assert repr(serial(doubled, relu)) == "serial(doubled, relu)"
    assert doubled.__doc__ == "Double."
    assert pickle.loads(pickle.dumps(doubled)) == doubled
    assert pickle.loads(pickle.dumps(serial(doubled))).layers[0] is doubled


def test_as_value_is_for_constructors_of_values():
    with pytest.raises(TypeError, match=r"returns function; put as_value above @fcnn.layer"):
        fcnn.as_value(lambda: lambda: 1)
    with pytest.raises(TypeError, match="units"):
        fcnn.as_value(dense)
