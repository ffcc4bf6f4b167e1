"""What PyTorch writes, and what it takes back."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn.errors import DataError, TreeError

torch = pytest.importorskip("torch", exc_type=ImportError)
nn = torch.nn


def equal(model, params, module, *shape, atol=1e-11, seed=0):
    """Both give the same output for a batch of examples of that shape, channels last."""
    x = np.random.default_rng(seed).standard_normal((2, *shape))
    x = x.astype(np.asarray(fcnn.tree.leaves(params)[0]).dtype)
    y = model.apply(params, x)
    with torch.no_grad():
        there = module(torch.tensor(np.moveaxis(x, -1, 1))).numpy()
    there = np.moveaxis(there, 1, -1) if there.ndim > 2 else there
    np.testing.assert_allclose(y, there, atol=atol)


def settled(module, shape, seed=0):
    """Train a little, so that no statistic or scale is as it was made."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) * 0.3)
        for _ in range(2):
            module.train()(torch.randn((4, *shape), generator=generator, dtype=torch.float64))
    return module


SAVERS = {
    "pt": lambda state, path: torch.save(state, path),
    "pth": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "safetensors": lambda state, path: safetensors().save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, path
    ),
}


def safetensors():
    return pytest.importorskip("safetensors.torch", exc_type=ImportError)


def both_ways(module, model, shape, folder, kind="pt", atol=1e-11):
    """The module's file gives its output, and the file of what was loaded gives its state."""
    given_shape = (*shape[1:], shape[0])
    path, back = folder / f"net.{kind}", folder / "back.safetensors"
    SAVERS[kind](module.state_dict(), path)
    found = fcnn.weights.load(path, model, given_shape)
    assert not found.ambiguous
    equal(model, found.params, module.eval(), *given_shape, atol=atol)
    fcnn.weights.save(back, model, found.params, shape=given_shape, names=found.names)
    state = safetensors().load_file(back)
    for name, tensor in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)
    module.load_state_dict(state, strict=True)
    return found


@st.composite
def chains(draw):
    """A module and the model that computes the same, of layers for images."""
    whole = st.integers(1, 3)
    size = draw(st.tuples(st.integers(7, 9), st.integers(7, 9)))
    channels = draw(whole)
    module, model, shape = [], [], (channels, *size)
    for _ in range(draw(st.integers(1, 4))):
        c = shape[0]
        kind = draw(st.sampled_from("cdtbgilpsr"))
        k, s, p = draw(whole), draw(st.integers(1, 2)), draw(st.integers(0, 1))
        bias, m = draw(st.booleans()), draw(st.integers(1, 2))
        if kind == "c" and min(shape[1:]) + 2 * p >= k:
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if c % g == 0]))
            out = m * groups
            module.append(nn.Conv2d(c, out, k, s, p, groups=groups, bias=bias))
            model.append(
                fcnn.conv2d(
                    out, k, stride=s, padding=p, groups=groups, bias=bias, flip=draw(st.booleans())
                )
            )
        elif kind == "d" and min(shape[1:]) + 2 * p >= k:
            module.append(nn.Conv2d(c, c * m, k, s, p, groups=c, bias=bias))
            depthwise = {"depth_multiplier": m, "stride": s, "padding": p, "bias": bias}
            model.append(fcnn.depthwise_conv2d(k, **depthwise))
        elif kind == "t":
            module.append(nn.ConvTranspose2d(c, m, k, s, bias=bias))
            model.append(fcnn.conv_transpose2d(m, k, stride=s, bias=bias))
        elif kind == "b":
            module.append(nn.BatchNorm2d(c))
            model.append(fcnn.batch_norm())
        elif kind == "g":
            module.append(nn.GroupNorm(c, c))
            model.append(fcnn.group_norm(c))
        elif kind == "i":
            module.append(nn.InstanceNorm2d(c, affine=True))
            model.append(fcnn.instance_norm())
        elif kind == "l":
            module.append(nn.LayerNorm(shape))
            model.append(fcnn.layer_norm(axes=None))
        elif kind == "p":
            module.append(nn.PReLU(c if bias else 1))
            model.append(fcnn.prelu(tied=not bias))
        elif kind == "s":
            module.append(
                nn.Sequential(
                    nn.Conv2d(c, c, k, groups=c, padding=1, bias=False), nn.Conv2d(c, m, 1)
                )
            )
            model.append(fcnn.separable_conv2d(m, k, padding=1))
        else:
            module.append(nn.Tanh())
            model.append(fcnn.tanh)
        shape = tuple(
            nn.Sequential(*module)
            .double()(torch.zeros(2, channels, *size, dtype=torch.float64))
            .shape[1:]
        )
    end = draw(st.sampled_from(["dense", "norm", "decoder", "none"]))
    flat = int(np.prod(shape))
    if end != "none":
        module.append(nn.Flatten())
        model.append(fcnn.flatten)
    if end == "norm":
        module += [nn.BatchNorm1d(flat), nn.ReLU()]
        model += [fcnn.batch_norm(), fcnn.relu]
    if end in ("dense", "norm"):
        module += [nn.Linear(flat, 5), nn.ReLU(), nn.Linear(5, 2)]
        model += [fcnn.dense(5), fcnn.relu, fcnn.dense(2)]
    if end == "decoder":
        module += [
            nn.Linear(flat, 12),
            nn.PReLU(12),
            nn.Unflatten(1, (3, 2, 2)),
            nn.Conv2d(3, 2, 2),
        ]
        model += [fcnn.dense(12), fcnn.prelu(), fcnn.reshape(2, 2, 3), fcnn.conv2d(2, 2)]
    return nn.Sequential(*module).double(), fcnn.serial(*model), (channels, *size)


@settings(max_examples=25)
@given(net=chains(), kind=st.sampled_from(["pt", "pth", "safetensors"]))
def test_random_networks_in_and_out(tmp_path_factory, net, kind):
    module, model, shape = net
    module = settled(module, shape)
    if not list(module.parameters()):
        return
    both_ways(module, model, shape, tmp_path_factory.mktemp("net"), kind, atol=1e-9)


def ranked(seed):
    """A module and its model for sequences or volumes, of layers drawn by a seed."""
    rng = np.random.default_rng(seed)
    rank = 1 if seed % 2 else 3
    conv, transposed, norm, instance = (
        (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d),
        (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.InstanceNorm3d),
    )[rank // 2]
    own = (fcnn.conv1d, fcnn.conv3d)[rank // 2]
    own_transposed = (fcnn.conv_transpose1d, fcnn.conv_transpose3d)[rank // 2]
    c = int(rng.integers(1, 3))
    shape = (c, *[9, 8, 8][:rank])
    module, model = [], []
    for kind in rng.permutation(list("ctbgip"))[:4]:
        k, s, p = (int(rng.integers(0, n)) for n in (3, 2, 2))
        bias = bool(rng.integers(2))
        kept = "tied" if bias else None
        match kind:
            case "c":
                module.append(conv(c, 2 * c, k + 1, s + 1, p, groups=c, bias=bias))
                model.append(own(2 * c, k + 1, stride=s + 1, padding=p, groups=c, bias=kept))
                c = 2 * c
            case "t":
                module.append(transposed(c, 2, k + 2, s + 1, bias=bias))
                model.append(own_transposed(2, k + 2, stride=s + 1, bias=kept))
                c = 2
            case "b":
                module.append(norm(c))
                model.append(fcnn.batch_norm())
            case "g":
                module.append(nn.GroupNorm(c, c))
                model.append(fcnn.group_norm(c))
            case "i":
                module.append(instance(c, affine=True))
                model.append(fcnn.instance_norm())
            case "p":
                module.append(nn.PReLU(c))
                model.append(fcnn.prelu())
    body = nn.Sequential(*module, nn.Flatten()).double()
    flat = body.eval()(torch.zeros(1, *shape, dtype=torch.float64)).shape[1]
    whole = nn.Sequential(*body, nn.Linear(flat, 3)).double()
    return whole, fcnn.serial(*model, fcnn.flatten, fcnn.dense(3)), shape


@pytest.mark.parametrize("kind", ["pt", "pth", "safetensors"])
@pytest.mark.parametrize("seed", range(8))
def test_random_networks_of_sequences_and_volumes(tmp_path, seed, kind):
    module, model, shape = ranked(seed)
    both_ways(settled(module, shape), model, shape, tmp_path, kind, atol=1e-9)


@pytest.mark.parametrize("kind", ["pt", "pth", "safetensors"])
def test_in_training_or_evaluation_the_file_is_the_same(tmp_path, kind):
    """Also with the `Parameter` objects of ``keep_vars``."""
    module = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double(), (3, 5, 6))
    model, found = fcnn.serial(fcnn.conv2d(4, 3), fcnn.batch_norm()), []
    for mode in (module.train, module.eval):
        for keep in (True, False):
            SAVERS[kind](mode().state_dict(keep_vars=keep), tmp_path / f"a.{kind}")
            found.append(fcnn.weights.load(tmp_path / f"a.{kind}", model, (5, 6, 3)).params)
    assert all(each == found[0] for each in found)
    equal(model, found[0], module, 5, 6, 3)


OTHER_LAYERS = [
    (nn.Conv1d(3, 4, 3, 2, 1, groups=1), fcnn.conv1d(4, 3, stride=2, padding=1), (3, 9)),
    (nn.Conv3d(2, 4, (1, 2, 3), groups=2), fcnn.conv3d(4, (1, 2, 3), groups=2), (2, 4, 5, 6)),
    (
        nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2),
        fcnn.conv_transpose1d(6, 3, stride=2, padding=1, output_padding=1, groups=2),
        (4, 5),
    ),
    (nn.ConvTranspose3d(2, 3, 2, 2), fcnn.conv_transpose3d(3, 2, stride=2), (2, 2, 3, 4)),
    (nn.BatchNorm1d(3), fcnn.batch_norm(), (3, 5)),
    (nn.RMSNorm(4, eps=1e-6), fcnn.rms_norm(), (4,)),
    (nn.Linear(3, 4), fcnn.dense(4), (3,)),
]


@pytest.mark.parametrize(
    ("module", "model", "shape"), OTHER_LAYERS, ids=lambda each: str(each)[:20]
)
def test_other_layers_in_and_out(tmp_path, module, model, shape):
    both_ways(settled(module.double(), shape), model, shape, tmp_path)


def test_an_embedding(tmp_path):
    module = nn.Embedding(7, 3)
    torch.save(module.state_dict(), tmp_path / "a.pt")
    model = fcnn.embedding(7, 3)
    params = fcnn.weights.load(tmp_path / "a.pt", model, (5,)).params
    x = np.array([[0, 6, 3, 3, 1]])
    assert np.array_equal(model.apply(params, x), module(torch.tensor(x)).detach().numpy())


class Permuted(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


@pytest.mark.parametrize("middle", ["none", "dense", "norm", "conv"])
def test_what_is_flattened_behind_an_embedding(tmp_path, middle):
    """It has its channels last in PyTorch too, but behind a convolution."""
    theirs, ours = {
        "none": ([], []),
        "dense": ([nn.Linear(3, 3), nn.Tanh()], [fcnn.dense(3), fcnn.tanh]),
        "norm": ([nn.LayerNorm(3)], [fcnn.layer_norm()]),
        "conv": ([Permuted(), nn.Conv1d(3, 3, 1), nn.Tanh()], [fcnn.conv1d(3, 1), fcnn.tanh]),
    }[middle]
    module = nn.Sequential(nn.Embedding(7, 3), *theirs, nn.Flatten(), nn.Linear(15, 4)).double()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    model = fcnn.serial(fcnn.embedding(7, 3), *ours, fcnn.flatten, fcnn.dense(4))
    params = fcnn.weights.load(tmp_path / "a.pt", model, (5,)).params
    x = np.array([[0, 6, 3, 3, 1], [2, 5, 4, 0, 1]])
    y = module(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(model.apply(params, x), y, atol=1e-11)


class SqueezeExcite(nn.Module):
    def __init__(self, c, units, linear):
        super().__init__()
        make = nn.Linear if linear else lambda i, o: nn.Conv2d(i, o, 1)
        self.linear, self.fc1, self.fc2 = linear, make(c, units), make(units, c)

    def forward(self, x):
        m = x.mean((2, 3), keepdim=not self.linear)
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(m))))
        return x * (gate[..., None, None] if self.linear else gate)


@pytest.mark.parametrize("linear", [True, False])
def test_squeeze_and_excite_of_either_kind(tmp_path, linear):
    module = nn.Sequential(nn.Conv2d(3, 8, 1), SqueezeExcite(8, 2, linear)).double()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    model = fcnn.serial(fcnn.conv2d(8, 1), fcnn.squeeze_excite(4))
    found = fcnn.weights.load(tmp_path / "a.pt", model, (4, 5, 3))
    equal(model, found.params, module, 4, 5, 3)
    assert found.names == {"0": "0", "1.fc1": "1.fc1", "1.fc2": "1.fc2"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", SAVERS)
def test_precisions(tmp_path, dtype, kind):
    module = nn.Linear(3, 4).to(dtype)
    SAVERS[kind](module.state_dict(), tmp_path / f"a.{kind}")
    params = fcnn.weights.load(tmp_path / f"a.{kind}", fcnn.dense(4), (3,)).params
    assert params.weight.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert np.array_equal(params.weight, module.weight.detach().double().numpy().T)


def test_views_of_storages(tmp_path):
    base = torch.arange(60.0)
    tensors = {
        "weight": base[5:29].reshape(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        "bias": torch.tensor(3.0).expand(2),
    }
    for weight in (
        tensors["weight"],
        base[5:29].reshape(2, 2, 3, 2).transpose(1, 2),
        base[:48:2].reshape(2, 3, 2, 2),
    ):
        for legacy in (False, True):
            state = {**tensors, "weight": weight}
            torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
            found = fcnn.weights.load(tmp_path / "a.pt", fcnn.conv2d(2, 2), (5, 5, 3)).params
            assert np.array_equal(found.weight, weight.numpy().transpose(2, 3, 1, 0))
            assert found.bias.tolist() == [3, 3]


def test_an_archive_without_checksums(tmp_path):
    """All of them are 0 after `set_crc32_options(False)`; zipfile cannot read it, torch can."""
    module = nn.Linear(3, 4)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(module.state_dict(), tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    params = fcnn.weights.load(tmp_path / "a.pt", fcnn.dense(4), (3,)).params
    assert np.array_equal(params.weight, module.weight.detach().numpy().T)


def test_integers_are_no_weights(tmp_path):
    state = {"weight": torch.ones(4, 3, dtype=torch.int64), "bias": torch.ones(4)}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(DataError, match="floats in 'weight', got int64"):
        fcnn.weights.load(tmp_path / "a.pt", fcnn.dense(4), (3,))


def test_a_whole_module_is_refused_with_advice(tmp_path):
    torch.save(nn.Linear(3, 4), tmp_path / "a.pt")
    with pytest.raises(
        DataError, match=r"got 'torch\.nn\.modules\.linear\.Linear'.*state_dict\(\)"
    ):
        fcnn.weights.load(tmp_path / "a.pt", fcnn.dense(4), (3,))


NET = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.conv2d(4, 3), fcnn.flatten, fcnn.dense(2))


def net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(8, 2)
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {f"module.{n}": t for n, t in s.items()},
        lambda s: {f"_orig_mod.{n}": t for n, t in s.items()},
        lambda s: {f"module._orig_mod.{n}": t for n, t in s.items()},
        lambda s: {f"model.{n}": t for n, t in s.items()},
        lambda s: {"epoch": 3, "model": s, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
        lambda s: {"state_dict": s, "lr": 0.1, "args": ["a"]},
    ],
)  # fmt: skip
def test_wrappers(tmp_path, wrap):
    module = net().double()
    torch.save(wrap(module.state_dict()), tmp_path / "a.pt")
    found = fcnn.weights.load(tmp_path / "a.pt", NET, (5, 6, 3))
    equal(NET, found.params, module, 5, 6, 3)


def test_a_prefix_chooses(tmp_path):
    module, other = net().double(), net().double()
    both = {"model": module.state_dict(), "ema": other.state_dict()}
    torch.save(both, tmp_path / "a.pt")
    with pytest.raises(DataError, match=r'model, ema; say which with prefix="model."'):
        fcnn.weights.load(tmp_path / "a.pt", NET, (5, 6, 3))
    found = fcnn.weights.load(tmp_path / "a.pt", NET, (5, 6, 3), prefix="ema.")
    equal(NET, found.params, other, 5, 6, 3)
    flat = {f"{n}.{k}": t for n, s in both.items() for k, t in s.items()}
    torch.save(flat, tmp_path / "b.pt")
    found = fcnn.weights.load(tmp_path / "b.pt", NET, (5, 6, 3), prefix="ema.")
    equal(NET, found.params, other, 5, 6, 3)
    with pytest.raises(DataError, match="begin with 'head"):
        fcnn.weights.load(tmp_path / "b.pt", NET, (5, 6, 3), prefix="head.")


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
@pytest.mark.parametrize("way", ["old", "new", "dim"])
def test_weight_norm(tmp_path, way, kind):
    norm = nn.utils.parametrizations.weight_norm
    module = net().double()
    for i in (0, 2, 4):
        if way == "old":
            with pytest.warns(FutureWarning):
                module[i] = nn.utils.weight_norm(module[i])
        else:
            module[i] = norm(module[i], dim=1 if way == "dim" else 0)
    with torch.no_grad():
        for each in module.parameters():
            each.add_(torch.rand(each.shape, dtype=each.dtype))
    SAVERS[kind](module.state_dict(), tmp_path / f"a.{kind}")
    found = fcnn.weights.load(tmp_path / f"a.{kind}", NET, (5, 6, 3))
    equal(NET, found.params, module, 5, 6, 3, atol=1e-9)


def test_what_is_missing_is_refused_and_filled_as_torch_computes(tmp_path):
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4, affine=False)).double()
    settled(module, (3,)).eval()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    model = fcnn.serial(fcnn.dense(4), fcnn.batch_norm())
    with pytest.raises(TreeError, match=r"0\.bias; 1\.scale; 1\.bias"):
        fcnn.weights.load(tmp_path / "a.pt", model, (3,))
    found = fcnn.weights.load(tmp_path / "a.pt", model, (3,), strict=False)
    assert found.filled == ["0.bias", "1.scale", "1.bias"]
    equal(model, found.params, module, 3)


def test_what_is_left_over_is_refused_and_listed(tmp_path):
    module = net().double()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    without = fcnn.serial(*NET.layers[:2], fcnn.conv2d(4, 3, bias=None), *NET.layers[3:])
    with pytest.raises(TreeError, match="bias"):
        fcnn.weights.load(tmp_path / "a.pt", without, (5, 6, 3))
    found = fcnn.weights.load(tmp_path / "a.pt", without, (5, 6, 3), strict=False)
    assert (found.dropped, found.filled) == (["2.bias"], [])


def test_the_order_of_the_original_and_not_its_names_decides(tmp_path):
    """Layers are called otherwise, and batch norms are made after all convolutions."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
            self.bn1, self.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

        def forward(self, x):
            return self.bn2(self.conv2(self.bn1(self.conv1(x))))

    module = settled(Net().double(), (3, 7, 7)).eval()
    model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.conv2d(4, 3), fcnn.batch_norm())
    for kind, save in SAVERS.items():
        save(module.state_dict(), tmp_path / f"a.{kind}")
        found = fcnn.weights.load(tmp_path / f"a.{kind}", model, (7, 7, 3))
        equal(model, found.params, module, 7, 7, 3)


def test_two_ways_are_refused_unless_names_say_which(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.right(x) * torch.relu(self.left(x))

    module = Net().double()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    right, left = fcnn.conv2d(4, 3), fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu)
    model = fcnn.multiply(right, left)
    with pytest.raises(TreeError, match=r"0: left or right; 1\.0: right or left; strict"):
        fcnn.weights.load(tmp_path / "a.pt", model, (5, 5, 3))
    found = fcnn.weights.load(tmp_path / "a.pt", model, (5, 5, 3), strict=False)
    assert found.ambiguous == ["0: left or right", "1.0: right or left"]
    found = fcnn.weights.load(tmp_path / "a.pt", model, (5, 5, 3), names={"0": "right"})
    equal(model, found.params, module, 5, 5, 3)
    named = fcnn.multiply(fcnn.named("right", right), left)
    found = fcnn.weights.load(tmp_path / "a.pt", named, (5, 5, 3))
    equal(named, found.params, module, 5, 5, 3)
    with pytest.raises(TreeError, match="got 'middle'"):
        fcnn.weights.load(tmp_path / "a.pt", model, (5, 5, 3), names={"0": "middle"})


def test_sorted_names_without_numbers_are_ambiguous(tmp_path):
    """A .safetensors file of PyTorch does not keep the order of encoder and decoder."""
    state = {f"{n}.weight": torch.randn(4, 4) for n in ("encoder", "middle", "decoder")}
    safetensors().save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    model = fcnn.serial(*[fcnn.conv1d(4, 1, bias=None)] * 3)
    with pytest.raises(TreeError, match="encoder or middle"):
        fcnn.weights.load(tmp_path / "a.safetensors", model, (5, 4))
    found = fcnn.weights.load(tmp_path / "a.pt", model, (5, 4))
    assert list(found.names.values()) == ["encoder", "middle", "decoder"]


def test_shared_and_frozen_layers(tmp_path):
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()
    module[2].weight, module[2].bias = module[0].weight, module[0].bias
    torch.save(module[0].state_dict(), tmp_path / "a.pt")
    tied = fcnn.shared(fcnn.dense(4))
    model = fcnn.frozen(fcnn.serial(tied, fcnn.tanh, tied))
    found = fcnn.weights.load(tmp_path / "a.pt", model, (4,))
    equal(model, found.params, module, 4)


def test_flattened_branches_side_by_side(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.fc = nn.Conv2d(2, 3, 2), nn.Conv2d(2, 4, 3), nn.Linear(60 + 48, 2)

        def forward(self, x):
            return self.fc(torch.cat([self.a(x).flatten(1), self.b(x).flatten(1)], 1))

    module = Net().double()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    branches = [fcnn.serial(conv, fcnn.flatten) for conv in (fcnn.conv2d(3, 2), fcnn.conv2d(4, 3))]
    model = fcnn.serial(fcnn.concat(*branches), fcnn.dense(2))
    found = fcnn.weights.load(tmp_path / "a.pt", model, (5, 6, 2))
    equal(model, found.params, module, 5, 6, 2)


def test_features_of_two_orders_are_refused(tmp_path):
    torch.save(nn.Linear(12, 2).state_dict(), tmp_path / "a.pt")
    other = fcnn.serial(fcnn.reshape(2, 2, 3), fcnn.flatten)
    model = fcnn.serial(fcnn.add(fcnn.flatten, other), fcnn.dense(2))
    with pytest.raises(TreeError, match="one order, got two"):
        fcnn.weights.load(tmp_path / "a.pt", model, (2, 3, 2))


def test_a_layer_without_a_rule_is_refused_by_its_path(tmp_path):
    @fcnn.layer
    def shifted():
        def init(key, shape):
            return {"shift": fcnn.initializers.zeros(key, shape)}, shape

        def apply(params, x, ctx=fcnn.EVAL):
            return x + params["shift"]

        def vjp(params, x, ctx=fcnn.EVAL):
            return x + params["shift"], lambda dy: ({"shift": dy.sum(0)}, dy)

        return init, apply, vjp

    torch.save(
        {"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2), "1.shift": torch.ones(2)},
        tmp_path / "a.pt",
    )
    model = fcnn.serial(fcnn.dense(2), shifted())
    with pytest.raises(TreeError, match=r"serial\[1\]: expected a rule.*weights\.rule\(shifted\)"):
        fcnn.weights.load(tmp_path / "a.pt", model, (3,))

    @fcnn.weights.rule(shifted)
    def slots(target):
        return [fcnn.weights.Slot("shift", "['shift']", target.in_shape)]

    found = fcnn.weights.load(tmp_path / "a.pt", model, (3,))
    assert found.params[1]["shift"].tolist() == [1, 1]
    fcnn.weights.save(tmp_path / "a.safetensors", model, found.params, shape=(3,))
    again = fcnn.weights.load(tmp_path / "a.safetensors", model, (3,))
    assert fcnn.tree.equal(again.params, found.params)


def test_numbers_of_another_byte_order(tmp_path):
    """A file of a big-endian machine, made from one of this."""
    module = nn.Linear(3, 4)
    torch.save(module.state_dict(), tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if "/data/" in name:
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            new.writestr(name, b"big" if name.endswith("byteorder") else data)
    assert torch.equal(torch.load(tmp_path / "b.pt")["weight"], module.weight)
    params = fcnn.weights.load(tmp_path / "b.pt", fcnn.dense(4), (3,)).params
    assert np.array_equal(params.weight, module.weight.detach().numpy().T)


def test_a_buffer_like_torch_loads_it(tmp_path):
    out = io.BytesIO()
    torch.save(net().state_dict(), out)
    (tmp_path / "a.bin").write_bytes(out.getvalue())  # as some hubs call it
    assert fcnn.weights.load(tmp_path / "a.bin", NET, (5, 6, 3)).names == {
        "0": "0",
        "2": "2",
        "4": "4",
    }
