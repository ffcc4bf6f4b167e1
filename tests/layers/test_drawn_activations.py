"""The laws for activations, noise and wrapped layers whose arguments Hypothesis draws."""

from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn.initializers import uniform
from fcnn.testing import check_layer

keys = st.integers(0, 2**32).map(fcnn.key)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
some, rates = st.floats(0.125, 3), st.floats(0, 0.9)

activations = st.one_of(
    st.builds(fcnn.leaky_relu, st.floats(0, 2)),
    st.builds(fcnn.elu, st.floats(0, 2)),
    st.builds(fcnn.celu, some),
    st.builds(fcnn.softplus, some),
    st.builds(fcnn.hard_shrink, st.floats(0, 1)),
    st.builds(fcnn.soft_shrink, st.floats(0, 1)),
    st.builds(lambda low, width: fcnn.hard_tanh(low, low + width), st.floats(-2, 1), some),
    st.builds(lambda tied: fcnn.prelu(tied=tied, weight_init=uniform(-1, 1)), st.booleans()),
    st.sampled_from([fcnn.gelu(), fcnn.gelu("tanh"), fcnn.silu, fcnn.mish, fcnn.selu]),
    st.sampled_from([fcnn.log_sigmoid, fcnn.softsign, fcnn.hard_sigmoid, fcnn.hard_swish]),
)


@settings(max_examples=25)
@given(activations, shapes, keys)
def test_activations(layer, shape, key):
    check_layer(layer, shape, key=key)


@settings(max_examples=8)
@given(st.data(), shapes, keys)
def test_of_an_axis(data, shape, key):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    make = data.draw(st.sampled_from([fcnn.softmax_over, fcnn.log_softmax_over, fcnn.glu]))
    if make is fcnn.glu:
        shape = tuple(2 * n if i == axis % len(shape) else n for i, n in enumerate(shape))
    check_layer(make(axis), shape, key=key)
    check_layer(fcnn.transpose(*data.draw(st.permutations(range(len(shape))))), shape, key=key)


@settings(max_examples=12)
@given(
    st.sampled_from([fcnn.spatial_dropout, fcnn.stochastic_depth, fcnn.alpha_dropout])
    | st.just(fcnn.gaussian_noise),
    rates,
    shapes,
    keys,
)
def test_noise(make, rate, shape, key):
    check_layer(make(rate), shape, key=key)


@settings(max_examples=6)
@given(st.lists(activations, max_size=2), st.integers(0, 3), keys, st.booleans())
def test_wrappers(inner, n, key, last):
    layer = fcnn.serial(fcnn.dense(3), fcnn.batch_norm(), *inner)
    wrapped = fcnn.repeat(fcnn.checkpointed(layer), n)
    frozen = fcnn.frozen(layer)
    model = fcnn.serial(wrapped, frozen) if last else fcnn.serial(frozen, wrapped)
    check_layer(model, (3,), key=key, batch=4)


@settings(max_examples=5)
@given(st.integers(2, 9), st.integers(1, 3), shapes, keys, st.booleans())
def test_embedding(vocabulary, features, shape, key, padded):
    check_layer(
        fcnn.embedding(vocabulary, features, padding_index=vocabulary - 2 if padded else None),
        shape,
        key=key,
    )


@settings(max_examples=5)
@given(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=2, max_size=3).map(tuple), keys)
def test_squeeze_excite(reduction, shape, key):
    check_layer(fcnn.squeeze_excite(reduction), shape, key=key)
