"""What Flax writes."""

import numpy as np
import pytest

import fcnn
from fcnn.errors import DataError, TreeError

jax = pytest.importorskip("jax", exc_type=ImportError)
nn = pytest.importorskip("flax.linen", exc_type=ImportError)
from flax import serialization  # noqa: E402 (only where it is installed)


class Block(nn.Module):
    groups: int

    @nn.compact
    def __call__(self, x, train):
        y = nn.Conv(4, (3, 3))(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        y = nn.Conv(4, (3, 3), feature_group_count=self.groups)(y)
        return x + nn.GroupNorm(2)(y)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), padding=1)(x)
        for groups in (2, 4):
            x = Block(groups)(x, train)
        x = nn.ConvTranspose(3, (3, 2), strides=(2, 2), padding="VALID")(x)
        x = nn.PReLU()(nn.LayerNorm()(x))
        x = x.reshape(len(x), -1)
        for _ in range(11):
            x = nn.Dense(5)(x)
        return x


def block(groups):
    second = (
        fcnn.depthwise_conv2d(3, padding="same")
        if groups == 4
        else fcnn.conv2d(4, 3, padding="same", groups=groups)
    )
    first = fcnn.conv2d(4, 3, padding="same"), fcnn.batch_norm(), fcnn.relu
    return fcnn.residual(*first, second, fcnn.group_norm(2, eps=1e-6))


MODEL = fcnn.serial(
    *(fcnn.conv2d(4, 3, padding=1), block(2), block(4)),
    *(fcnn.conv_transpose2d(3, (3, 2), stride=2), fcnn.layer_norm(eps=1e-6)),
    *(fcnn.prelu(tied=True), fcnn.flatten, *[fcnn.dense(5)] * 11),
)
SHAPE = (6, 5, 3)


@pytest.fixture(scope="module")
def network():
    """A network with weights and statistics of its own, a batch and its output in evaluation."""
    rng = np.random.default_rng(0)
    net, x = Net(), rng.standard_normal((4, *SHAPE)).astype(np.float32)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), x))
    # jax.tree.map sorts the names, as a step of an optimizer does.
    variables = jax.tree.map(lambda a: rng.random(a.shape, np.float32) * 0.5, shapes)
    return variables, x, np.asarray(jax.jit(net.apply)(variables, x))


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {**v, "step": 3}])
def test_a_network(tmp_path, network, wrap):
    variables, x, y = network
    path = tmp_path / "net.msgpack"
    path.write_bytes(serialization.to_bytes(wrap(variables)))
    found = fcnn.weights.load(path, MODEL, SHAPE)
    np.testing.assert_allclose(MODEL.apply(found.params, x), y, atol=1e-5 * abs(y).max())
    assert found.names["17"] == "Dense_10"


def test_params_alone_and_bfloat16(tmp_path):
    net = nn.Dense(3)
    x = np.ones((2, 4), np.float32)
    params = net.init(jax.random.key(0), x)["params"]
    half = jax.tree.map(lambda a: a.astype("bfloat16"), params)
    path = tmp_path / "net.msgpack"
    for each in (params, half):
        path.write_bytes(serialization.to_bytes(each))
        found = fcnn.weights.load(path, fcnn.dense(3), (4,)).params
        assert np.array_equal(found.weight, np.asarray(each["kernel"], np.float32))


def test_a_shortcut_that_fits_in_several_places_is_refused(tmp_path):
    """Names are sorted, so a third norm of the same size may belong to either branch."""

    class Residual(nn.Module):
        @nn.compact
        def __call__(self, x):
            y = nn.LayerNorm(name="norm")(nn.Conv(4, (3, 3), name="conv")(x))
            return y + nn.LayerNorm(name="norm_proj")(nn.Conv(4, (1, 1), name="conv_proj")(x))

    net, x = Residual(), np.random.default_rng(0).random((2, 5, 5, 3), np.float32)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), x))
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda a: rng.random(a.shape, np.float32), shapes)
    path = tmp_path / "net.msgpack"
    path.write_bytes(serialization.to_bytes(variables))
    norm = fcnn.layer_norm(eps=1e-6)
    body = fcnn.serial(fcnn.conv2d(4, 3, padding="same"), norm)
    model = fcnn.residual(body, shortcut=fcnn.serial(fcnn.conv2d(4, 1), norm))
    with pytest.raises(TreeError, match="norm_proj"):
        fcnn.weights.load(path, model, (5, 5, 3))
    names = {"0.1": "norm_proj"}
    found = fcnn.weights.load(path, model, (5, 5, 3), names=names)
    y = np.asarray(jax.jit(net.apply)(variables, x))
    np.testing.assert_allclose(model.apply(found.params, x), y, atol=1e-5 * abs(y).max())


def test_other_msgpack_is_refused(tmp_path):
    path = tmp_path / "net.msgpack"
    for data in (b"\x90", b"\x01", b"\x80\x80", b"\xc1", b"\x81\xa1a\xc7\x01\x01\x01"):
        path.write_bytes(data)
        with pytest.raises(DataError):
            fcnn.weights.load(path, MODEL, SHAPE)


def drawn_network(seed):
    """Constructors of both sides of up to four layers for sequences, images or volumes."""
    rng = np.random.default_rng(seed)
    rank = 1 + seed % 3
    conv = (fcnn.conv1d, fcnn.conv2d, fcnn.conv3d)[rank - 1]
    transposed = (fcnn.conv_transpose1d, fcnn.conv_transpose2d, fcnn.conv_transpose3d)[rank - 1]
    theirs, ours = [], []
    c = int(rng.integers(1, 4))
    shape = (*[7, 6, 6][:rank], c)
    for kind in rng.permutation(list("ctblgp"))[:4]:
        k, s = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        bias = bool(rng.integers(2))
        match kind:
            case "c":
                groups, same = (c if bias else 1), bool(rng.integers(2))
                out, padding = 2 * groups, "SAME" if same else "VALID"
                given = {"padding": padding, "feature_group_count": groups, "use_bias": bias}
                theirs.append((nn.Conv, (out, (k,) * rank, (s,) * rank), given))
                named = "same" if same else 0
                kept = "tied" if bias else None
                ours.append(conv(out, k, stride=s, padding=named, groups=groups, bias=kept))
                c = out
            case "t":
                given = {"padding": "VALID", "use_bias": bias}
                theirs.append((nn.ConvTranspose, (3, (k + 1,) * rank, (s,) * rank), given))
                ours.append(transposed(3, k + 1, stride=s, bias="tied" if bias else None))
                c = 3
            case "b":
                theirs.append((nn.BatchNorm, (), {"use_running_average": True}))
                ours.append(fcnn.batch_norm())
            case "l":
                theirs.append((nn.LayerNorm, (), {}))
                ours.append(fcnn.layer_norm(eps=1e-6))
            case "g":
                theirs.append((nn.GroupNorm, (c,), {}))
                ours.append(fcnn.group_norm(c, eps=1e-6))
            case "p":
                theirs.append((nn.RMSNorm, (), {}))
                ours.append(fcnn.rms_norm(eps=1e-6))
    return theirs, fcnn.serial(*ours, fcnn.flatten, fcnn.dense(3)), shape


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(tmp_path, seed):
    theirs, model, shape = drawn_network(seed)

    class Drawn(nn.Module):
        @nn.compact
        def __call__(self, x):
            for make, given, named in theirs:
                x = make(*given, **named)(x)
            return nn.Dense(3)(x.reshape(len(x), -1))

    rng = np.random.default_rng(seed)
    net, x = Drawn(), rng.standard_normal((2, *shape)).astype(np.float32)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), x))
    variables = jax.tree.map(lambda a: rng.random(a.shape, np.float32) * 0.5 + 0.1, shapes)
    path = tmp_path / "net.msgpack"
    path.write_bytes(serialization.to_bytes(variables))
    params = fcnn.weights.load(path, model, shape).params
    y = np.asarray(jax.jit(net.apply)(variables, x))
    np.testing.assert_allclose(model.apply(params, x), y, atol=1e-5 * max(1, abs(y).max()))


def test_an_embedding(tmp_path):
    class Words(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(nn.Embed(7, 3)(x).reshape(len(x), -1))

    net, x = Words(), np.array([[0, 6, 3, 3, 1]])
    variables = net.init(jax.random.key(0), x)
    (tmp_path / "a.msgpack").write_bytes(serialization.to_bytes(variables))
    model = fcnn.serial(fcnn.embedding(7, 3), fcnn.flatten, fcnn.dense(2))
    params = fcnn.weights.load(tmp_path / "a.msgpack", model, (5,)).params
    np.testing.assert_allclose(model.apply(params, x), net.apply(variables, x), atol=1e-6)


def test_the_state_of_nnx(tmp_path):
    """Its dicts have whole numbers as keys; of an optimizer or dropout only arrays are written."""
    nnx = pytest.importorskip("flax.nnx", exc_type=ImportError)

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.conv, self.bn = nnx.Conv(3, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
            self.layers = nnx.List([nnx.Linear(k, 5, rngs=rngs) for k in (120, *[5] * 11)])

        def __call__(self, x):
            x = self.bn(self.conv(x))
            x = x.reshape(len(x), -1)
            for each in self.layers:
                x = each(x)
            return x

    net, rng = Net(nnx.Rngs(0)), np.random.default_rng(0)
    net.eval()
    state = nnx.state(net)
    drawn = jax.tree.map(lambda a: rng.random(a.shape, np.float32) * 0.5, nnx.to_pure_dict(state))
    nnx.replace_by_pure_dict(state, drawn)
    nnx.update(net, state)
    path = tmp_path / "net.msgpack"
    path.write_bytes(serialization.to_bytes(nnx.to_pure_dict(nnx.state(net))))
    dense = [fcnn.dense(5)] * 12
    model = fcnn.serial(fcnn.conv2d(4, 3, padding="same"), fcnn.batch_norm(), fcnn.flatten, *dense)
    found = fcnn.weights.load(path, model, (6, 5, 3))
    assert found.names["14"] == "layers/11"
    x = rng.standard_normal((2, 6, 5, 3)).astype(np.float32)
    y = np.asarray(net(x))
    np.testing.assert_allclose(model.apply(found.params, x), y, atol=1e-5 * abs(y).max())
