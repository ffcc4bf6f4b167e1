"""Hypothesis draws the shapes and the hyper-parameters; the laws stay the same."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import (
    add,
    avg_pool2d,
    batch_norm,
    concat,
    conv2d,
    dense,
    dropout,
    max_pool2d,
    relu,
    reshape,
    residual,
    serial,
    sigmoid,
    tanh,
)
from fcnn.testing import check_layer

small = st.integers(1, 3)
keys = st.integers(0, 2**32).map(fcnn.key)
sizes = small | st.tuples(small, small)


def both(size):
    return size if isinstance(size, tuple) else (size, size)


@st.composite
def paddings(draw, most=3):
    amount = st.integers(0, most)
    one = st.tuples(amount, amount)
    return draw(st.sampled_from(["valid", "same"]) | amount | one | st.tuples(one, one))


def margins(padding):
    """Rows and columns that the padding adds at least."""
    if isinstance(padding, str):
        return 0, 0
    if isinstance(padding, int):
        return 2 * padding, 2 * padding
    rows, columns = padding
    return tuple(2 * p if isinstance(p, int) else sum(p) for p in (rows, columns))


@st.composite
def images(draw, kernel, dilation, padding, channels):
    """The shape of an image into which the kernel just fits, or a little more."""
    size = []
    for k, d, extra in zip(both(kernel), both(dilation), margins(padding), strict=True):
        reach = d * (k - 1) + 1
        least = 1 if padding == "same" else max(1, reach - extra)
        size.append(draw(st.integers(least, least + 3)))
    return (*size, channels)


@st.composite
def convolutions(draw):
    groups, kernel, dilation = draw(small), draw(sizes), draw(sizes)
    padding = draw(paddings())
    layer = conv2d(
        groups * draw(st.integers(1, 2)),
        kernel,
        stride=draw(sizes),
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=draw(st.sampled_from(["tied", "untied", None])),
        flip=draw(st.booleans()),
    )
    return layer, draw(images(kernel, dilation, padding, groups * draw(st.integers(1, 2))))


@st.composite
def pools(draw):
    window, padding = draw(sizes), draw(paddings(most=1))
    if not isinstance(padding, str):
        assume(min(both(window)) >= 2)
    make = draw(st.sampled_from([max_pool2d, avg_pool2d]))
    layer = make(window, stride=draw(st.none() | sizes), padding=padding)
    return layer, draw(images(window, 1, padding, draw(small)))


@st.composite
def reshapes(draw):
    axes = draw(st.lists(small, min_size=1, max_size=3))
    given_shape = tuple(draw(st.permutations(axes)))
    target = list(draw(st.permutations(axes)))
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return reshape(*target), given_shape


@st.composite
def vectors(draw, depth=2, width=3):
    """A combinator's nesting on vectors, all of whose layers keep the width."""
    leaf = st.sampled_from(
        [relu, tanh, sigmoid, dense(width), dropout(0.4), batch_norm(), serial()]
    )
    if depth == 0:
        return draw(leaf)
    inner = vectors(depth=depth - 1, width=width)
    parts = draw(st.lists(leaf | inner, min_size=1, max_size=3))
    return draw(
        st.sampled_from(
            [
                serial(*parts),
                add(*parts),
                residual(*parts),
                residual(*parts, shortcut=dense(width)),
                serial(concat(*parts), dense(width)),
            ]
        )
    )


@given(convolutions(), st.integers(1, 3), keys)
def test_conv2d(drawn, batch, key):
    layer, shape = drawn
    check_layer(layer, shape, batch=batch, key=key)


@st.composite
def along_other_axes(draw):
    """A convolution of sequences or volumes, or a transposed one of any rank."""
    rank = draw(st.integers(1, 3))
    several = small | st.tuples(*[small] * rank)
    groups, options = (
        draw(small),
        {
            "stride": draw(several),
            "dilation": draw(several),
            "bias": draw(st.sampled_from(["tied", "untied", None])),
            "flip": draw(st.booleans()),
        },
    )
    if rank == 2 or draw(st.booleans()):
        make, modes = getattr(fcnn, f"conv_transpose{rank}d"), [{}]
        options["padding"] = draw(st.sampled_from(["valid", "same"]))
    else:
        make, modes = getattr(fcnn, f"conv{rank}d"), [{}, {"padding_mode": "replicate"}]
        options["padding"] = draw(st.sampled_from(["same", 1] + ["causal"] * (rank == 1)))
    layer = make(
        groups * draw(st.integers(1, 2)), draw(several), groups=groups, **options,
        **draw(st.sampled_from(modes)),
    )  # fmt: skip
    shape = (*draw(st.tuples(*[st.integers(1, 5 - rank)] * rank)), groups * draw(st.integers(1, 2)))
    try:
        layer.init(fcnn.key(0), shape)
    except fcnn.errors.ShapeError:
        assume(False)
    return layer, shape


@settings(max_examples=15)
@given(along_other_axes(), st.integers(1, 3), keys)
def test_convolutions_along_other_axes(drawn, batch, key):
    layer, shape = drawn
    check_layer(layer, shape, batch=batch, key=key)


@given(pools(), st.integers(1, 3), keys)
def test_pools(drawn, batch, key):
    layer, shape = drawn
    check_layer(layer, shape, batch=batch, key=key)


@given(st.lists(small, min_size=1, max_size=3), small, keys)
def test_dense(shape, units, key):
    check_layer(dense(units), tuple(shape), key=key)


@given(
    st.lists(small, min_size=1, max_size=3),
    st.floats(0, 1),
    st.floats(1e-5, 1),
    st.integers(2, 4),
    keys,
)
def test_batch_norm(shape, momentum, epsilon, batch, key):
    layer = batch_norm(momentum=momentum, eps=epsilon)
    check_layer(layer, tuple(shape), batch=batch, key=key)


@given(st.lists(small, min_size=1, max_size=3), st.floats(0, 0.99), keys)
def test_dropout(shape, rate, key):
    check_layer(dropout(rate), tuple(shape), key=key)


@given(reshapes(), keys)
def test_reshape(drawn, key):
    layer, shape = drawn
    check_layer(layer, shape, key=key)


@given(vectors(), keys)
def test_nestings(layer, key):
    check_layer(layer, (3,), key=key, batch=4)
