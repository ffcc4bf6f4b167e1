"""One table runs every layer and every combinator through every law."""

import numpy as np
import pytest

import fcnn
from fcnn import (
    add,
    avg_pool2d,
    batch_norm,
    concat,
    conv2d,
    dense,
    dropout,
    fanout,
    flatten,
    itemwise,
    log_softmax,
    max_pool2d,
    multiply,
    named,
    relu,
    reshape,
    residual,
    serial,
    shared,
    sigmoid,
    softmax,
    tanh,
)
from fcnn._value import values_in
from fcnn.initializers import normal, uniform
from fcnn.testing import check_layer
from fcnn.testing._points import map_shape

TABLE = [
    (dense(3), (4,)),
    (dense(1, weight_init=uniform(-0.5, 0.5), bias_init=normal(0.1)), (1,)),
    (dense(3), (2, 4)),
    (dense(2), (3, 2, 4)),
    (conv2d(3, 2), (5, 4, 2)),
    (conv2d(1, 1), (1, 1, 1)),
    (conv2d(2, 3, flip=True), (5, 4, 2)),
    (conv2d(2, 3, bias="untied"), (4, 5, 1)),
    (conv2d(2, 3, bias=None), (4, 5, 1)),
    (conv2d(2, 3, stride=2, padding="same"), (5, 6, 2)),
    (conv2d(2, (1, 3), stride=(3, 1), padding=2), (5, 6, 2)),
    (conv2d(2, 3, padding=((1, 2), (0, 3))), (1, 2, 1)),
    (conv2d(2, 2, dilation=(2, 3)), (5, 6, 2)),
    (conv2d(4, 2, groups=2), (4, 3, 6)),
    (conv2d(6, 3, groups=3, bias=None), (4, 5, 3)),
    (
        conv2d(4, (3, 2), stride=(2, 1), padding="same", dilation=(1, 2), groups=2,
               bias="untied", flip=True),
        (7, 6, 4),
    ),
    (max_pool2d(2), (5, 4, 2)),
    (max_pool2d(3, stride=1), (5, 4, 2)),
    (max_pool2d((3, 2), stride=2, padding="same"), (6, 5, 2)),
    (max_pool2d(2, stride=3, padding=((1, 0), (0, 1))), (6, 5, 1)),
    (avg_pool2d(2), (5, 4, 2)),
    (avg_pool2d((2, 3), stride=1, padding=1), (5, 4, 2)),
    (avg_pool2d(3, stride=2, padding="same"), (5, 4, 2)),
    (relu, (4, 3, 2)),
    (sigmoid, (5,)),
    (tanh, (5,)),
    (softmax, (5,)),
    (softmax, (2, 3, 4)),
    (log_softmax, (3, 5)),
    (dropout(0.3), (4, 4, 3)),
    (dropout(0.0), (3,)),
    (batch_norm(), (4,)),
    (batch_norm(momentum=0.0, eps=0.1), (4, 3)),
    (batch_norm(momentum=1.0), (4, 4, 3)),
    (flatten, (2, 3, 4)),
    (reshape(6, -1), (3, 4, 2)),
    (reshape(2, 3), (6,)),
    (serial(), (3,)),
    (serial(relu), (3,)),
    (serial(serial()), (3,)),
    (serial(dense(2), serial(), serial(serial(relu), serial())), (3,)),
    (serial(named("a", serial()), named("b", dense(2)), named("c", serial(relu, serial()))), (3,)),
    (serial(serial(), serial(relu, flatten), dense(2)), (2, 2)),
    (add(relu, dense(4), serial()), (4,)),
    (add(dense(2)), (4,)),
    (concat(dense(2), serial(dense(3), tanh), relu), (4,)),
    (residual(conv2d(2, 3, padding="same"), batch_norm(), relu), (5, 5, 2)),
    (residual(conv2d(3, 1), shortcut=conv2d(3, 1, bias=None)), (2, 3, 2)),
    (residual(), (2,)),
    (multiply(dense(3), serial(dense(3), sigmoid)), (4,)),
    (multiply(), ((2, 3, 2), (1, 1, 2))),
    (add(), ((3,), (3,), (3,))),
    (concat(), {"a": (2, 3), "b": (2, 1)}),
    (fanout(dense(2), relu), (3,)),
    (fanout(digit=dense(2), tilt=serial(dense(1), tanh)), (3,)),
    (itemwise(conv2d(2, 2), dense(2)), ((4, 3, 1), (3,))),
    (serial(itemwise(a=serial(conv2d(2, 2), flatten), b=tanh), concat(), dense(2)),
     {"a": (3, 4, 1), "b": (3,)}),
    (named("first", dense(3)), (4,)),
    (serial(shared(dense(4)), tanh, shared(dense(4))), (4,)),
    (serial(conv2d(3, 3), relu, max_pool2d(2), flatten, dropout(0.5), dense(4)), (8, 8, 1)),
    (
        serial(
            batch_norm(),
            concat(max_pool2d(2), avg_pool2d(2), conv2d(3, 2, stride=2)),
            sigmoid,
            residual(conv2d(7, 1), dropout(0.2), shortcut=conv2d(7, 1, bias=None)),
            flatten,
            dense(3),
            log_softmax,
        ),
        (4, 4, 2),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=lambda part: str(part))
def test_every_law(layer, shape):
    check_layer(layer, shape)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_batch_length(batch):
    model = serial(conv2d(2, 2), relu, max_pool2d(2), dropout(0.5), flatten, dense(2), softmax)
    check_layer(model, (5, 5, 1), batch=batch)


def test_the_table_has_every_public_layer():
    names = set()
    for name in fcnn.__all__:
        found = getattr(fcnn, name)
        is_constructor = getattr(found, "__module__", "").startswith("fcnn.layers") and not (
            isinstance(found, type)
        )
        if isinstance(found, fcnn.Layer) or is_constructor:
            names.add(name)
    tested = {value.spec.name for layer, _ in TABLE for value in values_in(layer)}
    assert len(names) >= 17
    assert names <= tested


@pytest.mark.usefixtures("no_global_generator")
@pytest.mark.parametrize(("layer", "shape"), TABLE, ids=lambda part: str(part))
def test_nothing_is_drawn_from_the_global_generator(layer, shape):
    before = np.random.mtrand._rand.get_state()[1].tolist()  # the generator itself, unpatched
    params, _ = layer.init(fcnn.key(0), shape)
    x = map_shape(lambda one: np.ones((2, *one), np.float32), shape)
    y, pullback = layer.vjp(params, x, fcnn.training(fcnn.key(1)))
    pullback(y)
    assert np.random.mtrand._rand.get_state()[1].tolist() == before
