"""What Keras writes: sequences, graphs with branches, models in models."""

import os
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn.errors import TreeError

pytest.importorskip("torch", exc_type=ImportError)
pytest.importorskip("h5py", exc_type=ImportError)
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", exc_type=ImportError)
layers = keras.layers

# Keras 3.15.1 on torch: np.array of a variable calls an __array__ without a copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KINDS = ("keras", "h5", "weights.h5")


def written(model, path):
    import logging

    logging.getLogger("absl").setLevel(logging.ERROR)  # .h5 is said to be legacy
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return path


def settled(model, shape, seed=0):
    """Draw all weights anew, and return a batch and the model's output in evaluation."""
    rng = np.random.default_rng(seed)
    weights = [w + 0.2 * rng.random(w.shape).astype(np.float32) for w in model.get_weights()]
    model.set_weights(weights)
    x = rng.standard_normal((3, *shape)).astype(np.float32)
    model(x, training=True)
    return x, model(x, training=False).detach().numpy()


@st.composite
def chains(draw):
    """Constructors, since Keras draws from `random` when it makes a layer, and a model."""
    theirs, ours = [], []
    c = draw(st.integers(1, 3))
    shape = (draw(st.integers(8, 10)), 9, c)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from("cdsbglpta"))
        k, s = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        padding = draw(st.sampled_from(["valid", "same"]))
        bias = {"use_bias": draw(st.booleans())}
        mine = {"bias": bias["use_bias"], "padding": padding, "stride": s}
        if kind == "c":
            theirs.append(partial(layers.Conv2D, 4, k, s, padding=padding, **bias))
            ours.append(fcnn.conv2d(4, k, **mine))
        elif kind == "d":
            theirs.append(
                partial(layers.DepthwiseConv2D, k, s, padding, depth_multiplier=2, **bias)
            )
            ours.append(fcnn.depthwise_conv2d(k, depth_multiplier=2, **mine))
        elif kind == "s":
            theirs.append(partial(layers.SeparableConv2D, 3, k, s, padding=padding, **bias))
            ours.append(fcnn.separable_conv2d(3, k, **mine))
        elif kind == "b":
            theirs.append(layers.BatchNormalization)
            ours.append(fcnn.batch_norm(eps=1e-3))
        elif kind == "g":
            theirs.append(partial(layers.GroupNormalization, 1))
            ours.append(fcnn.group_norm(1, eps=1e-3))
        elif kind == "l":
            theirs.append(layers.LayerNormalization)
            ours.append(fcnn.layer_norm(eps=1e-3))
        elif kind == "p":
            theirs.append(partial(layers.PReLU, shared_axes=[1, 2]))
            ours.append(fcnn.prelu())
        elif kind == "t":
            theirs.append(partial(layers.Conv2DTranspose, 2, k, k, **bias))
            ours.append(fcnn.conv_transpose2d(2, k, stride=k, bias=bias["use_bias"]))
        else:
            theirs.append(partial(layers.Activation, "tanh"))
            ours.append(fcnn.tanh)
        if draw(st.booleans()):
            theirs, ours = [*theirs, partial(layers.Dropout, 0.5)], [*ours, fcnn.dropout(0.5)]
    theirs += [layers.Flatten, partial(layers.Dense, 2)]
    ours += [fcnn.flatten, fcnn.dense(2)]
    return theirs, fcnn.serial(*ours), shape


@settings(max_examples=8)
@given(net=chains(), kind=st.sampled_from(KINDS))
def test_random_sequences(tmp_path_factory, net, kind):
    theirs, model, shape = net
    try:
        model.init(fcnn.prng.abstract_key(), shape)
    except fcnn.errors.ShapeError:  # nothing left of the image
        return
    module = keras.Sequential([keras.Input(shape), *[make() for make in theirs]])
    x, y = settled(module, shape)
    path = written(module, tmp_path_factory.mktemp("net") / f"net.{kind}")
    params = fcnn.weights.load(path, model, shape).params
    np.testing.assert_allclose(model.apply(params, x), y, atol=1e-5 * max(1, abs(y).max()))


def graph():
    """Two branches of the same shapes but for the kernels, and a model in the model."""
    entry = keras.Input((8, 8, 3))
    body = entry
    for size in (3, 3):
        body = layers.BatchNormalization()(layers.Conv2D(4, size, padding="same")(body))
    shortcut = layers.BatchNormalization()(layers.Conv2D(4, 1)(entry))
    x = layers.Add()([body, shortcut])
    inner = [keras.Input((8, 8, 4)), layers.Conv2D(2, 2), layers.LayerNormalization()]
    x = keras.Sequential(inner, name="inner")(x)
    return keras.Model(entry, layers.Dense(3)(layers.Flatten()(x)))


def ours(eps=1e-3):
    conv = fcnn.conv2d(4, 3, padding="same"), fcnn.batch_norm(eps=eps)
    return fcnn.serial(
        fcnn.add(
            fcnn.serial(fcnn.conv2d(4, 1), fcnn.batch_norm(eps=eps)), fcnn.serial(*conv, *conv)
        ),
        *(fcnn.conv2d(2, 2), fcnn.layer_norm(eps=1e-3), fcnn.flatten, fcnn.dense(3)),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_with_branches_and_models_in_models(tmp_path, kind):
    module = graph()
    x, y = settled(module, (8, 8, 3))
    path = written(module, tmp_path / f"net.{kind}")
    found = fcnn.weights.load(path, ours(), (8, 8, 3))
    np.testing.assert_allclose(ours().apply(found.params, x), y, atol=1e-5 * abs(y).max())
    if kind != "weights.h5":  # which tells no hyper-parameters
        with pytest.raises(TreeError, match=r"eps=0\.001 in the file, 1e-05 in the model"):
            fcnn.weights.load(path, ours(1e-5), (8, 8, 3))


def test_the_eleventh_array_and_layer_stand_behind_the_second(tmp_path):
    """Names count in numbers, not in letters; Keras lists "10" before "2"."""
    module = keras.Sequential([keras.Input((4,)), *[layers.Dense(4) for _ in range(12)]])
    x, y = settled(module, (4,))
    model = fcnn.serial(*[fcnn.dense(4)] * 12)
    for kind in KINDS:
        path = written(module, tmp_path / f"net.{kind}")
        params = fcnn.weights.load(path, model, (4,)).params
        np.testing.assert_allclose(model.apply(params, x), y, atol=1e-5 * abs(y).max())


def test_a_norm_without_a_scale(tmp_path):
    """Three arrays: the configuration tells that they are not scale, bias and mean."""
    module = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(scale=False)])
    x, y = settled(module, (4,))
    path, model = written(module, tmp_path / "net.keras"), fcnn.batch_norm(eps=1e-3)
    with pytest.raises(TreeError, match="scale"):
        fcnn.weights.load(path, model, (4,))
    found = fcnn.weights.load(path, model, (4,), strict=False)
    assert found.filled == ["scale"]
    np.testing.assert_allclose(model.apply(found.params, x), y, atol=1e-5)
    with pytest.raises(TreeError):  # without a configuration it is not known
        fcnn.weights.load(written(module, tmp_path / "a.weights.h5"), model, (4,), strict=False)


def test_bfloat16_and_an_optimizer(tmp_path):
    module = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16")])
    module.compile("adam", "mse")
    path = written(module, tmp_path / "net.keras")
    found = fcnn.weights.load(path, fcnn.dense(3), (4,))
    kernel = module.layers[0].kernel.value.detach().float().numpy()
    assert np.array_equal(found.params.weight, kernel)
    assert "optimizer" in found.ignored


OTHER_LAYERS = [
    (
        lambda: layers.Conv1D(4, 3, 2, "same", groups=2),
        fcnn.conv1d(4, 3, stride=2, padding="same", groups=2),
        (8, 2),
    ),
    (lambda: layers.Conv1D(4, 2, padding="causal"), fcnn.conv1d(4, 2, padding="causal"), (8, 2)),
    (lambda: layers.Conv3D(3, (1, 2, 3)), fcnn.conv3d(3, (1, 2, 3)), (4, 5, 6, 2)),
    (
        lambda: layers.Conv1DTranspose(3, 3, 2),
        fcnn.conv_transpose1d(3, 3, stride=2),
        (5, 2),
    ),
    (
        lambda: layers.Conv3DTranspose(3, 2, 2),
        fcnn.conv_transpose3d(3, 2, stride=2),
        (3, 2, 2, 2),
    ),
    (
        lambda: layers.Conv2D(4, 3, dilation_rate=2, groups=2, use_bias=False),
        fcnn.conv2d(4, 3, dilation=2, groups=2, bias=None),
        (7, 8, 2),
    ),
    (lambda: layers.RMSNormalization(), fcnn.rms_norm(eps=1e-6), (5,)),
    (lambda: layers.PReLU(), fcnn.prelu(), (5,)),
    (lambda: layers.LayerNormalization(center=False), fcnn.layer_norm(eps=1e-3, bias=False), (5,)),
    (lambda: layers.LayerNormalization(scale=False), fcnn.layer_norm(eps=1e-3, scale=False), (5,)),
    (lambda: layers.Dense(3, use_bias=False), fcnn.conv1d(3, 1, bias=None), (4, 2)),
    (lambda: layers.TimeDistributed(layers.Dense(3)), fcnn.dense(3), (4, 2)),
]


@pytest.mark.parametrize("kind", ["keras", "h5"])
@pytest.mark.parametrize(
    ("make", "model", "shape"), OTHER_LAYERS, ids=[repr(each[1]) for each in OTHER_LAYERS]
)
def test_other_layers(tmp_path, make, model, shape, kind):
    module = keras.Sequential([keras.Input(shape), make(), layers.Flatten(), layers.Dense(2)])
    x, y = settled(module, shape)
    whole = fcnn.serial(model, fcnn.flatten, fcnn.dense(2))
    found = fcnn.weights.load(written(module, tmp_path / f"net.{kind}"), whole, shape)
    np.testing.assert_allclose(whole.apply(found.params, x), y, atol=1e-5 * max(1, abs(y).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedding(tmp_path, kind):
    inner = [layers.Embedding(7, 3), layers.Flatten(), layers.Dense(2)]
    module, x = keras.Sequential([keras.Input((5,)), *inner]), np.array([[0, 6, 3, 3, 1]])
    path = written(module, tmp_path / f"net.{kind}")
    model = fcnn.serial(fcnn.embedding(7, 3), fcnn.flatten, fcnn.dense(2))
    params = fcnn.weights.load(path, model, (5,)).params
    np.testing.assert_allclose(model.apply(params, x), module(x).detach().numpy(), atol=1e-6)


def test_lists_of_names_that_are_longer_than_an_attribute(tmp_path):
    """Keras cuts them in pieces of less than 64 KiB: layer_names0, layer_names1."""
    long = "a" * 300
    inner = [layers.Dense(2, name=f"{long}{i}") for i in range(250)]
    module = keras.Sequential([keras.Input((2,)), *inner])
    path = written(module, tmp_path / "net.h5")
    found = fcnn.weights.load(path, fcnn.serial(*[fcnn.dense(2)] * 250), (2,))
    for here, there in zip(found.params, module.layers, strict=True):
        assert np.array_equal(here.weight, there.kernel.value.detach().numpy())


def test_a_class_of_ones_own(tmp_path):
    """Its configuration has no layers; their names tell what they are."""

    @keras.saving.register_keras_serializable("tests")
    class Own(keras.Model):
        def __init__(self, **more):
            super().__init__(**more)
            self.first, self.second = layers.Conv2D(4, 3), layers.Dense(3)

        def call(self, x):
            return self.second(layers.Flatten()(self.first(x)))

    module = Own()
    x = np.random.default_rng(0).standard_normal((2, 6, 5, 2)).astype(np.float32)
    y = module(x).detach().numpy()
    model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.flatten, fcnn.dense(3))
    for kind in ("keras", "weights.h5"):
        params = fcnn.weights.load(
            written(module, tmp_path / f"net.{kind}"), model, (6, 5, 2)
        ).params
        np.testing.assert_allclose(model.apply(params, x), y, atol=1e-5)
