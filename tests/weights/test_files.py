"""Files that the real frameworks wrote (`write_files`), read without the frameworks."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import fcnn
from fcnn.errors import ArgumentError, DataError, TreeError

FILES = Path(__file__).parent / "files"
SHAPE = (6, 5, 2)
FRAMEWORKS = ("torch", "tensorflow", "keras", "flax", "jax")


def network(name, conv, eps=1e-5):
    second = {
        "torch": fcnn.conv2d(4, 3, padding=1, groups=2, bias=None),
        "keras": fcnn.separable_conv2d(4, 3, padding="same"),
        "flax": fcnn.conv2d(4, 3, padding="same", groups=2, bias=None),
        "onnx": fcnn.conv2d(4, 3, padding=1, groups=2, bias=None),
    }[name]
    head = (fcnn.dense(5), fcnn.dense(3)) if name == "onnx" else (fcnn.dense(3),)
    return fcnn.serial(conv, fcnn.batch_norm(eps=eps), fcnn.relu, second, fcnn.flatten, *head)


PADDED, SAME = fcnn.conv2d(4, 3, stride=2, padding=1), fcnn.conv2d(4, 3, stride=2, padding="same")
NETWORKS = {
    "torch": network("torch", PADDED),
    "keras": network("keras", SAME, eps=1e-3),
    "flax": network("flax", SAME),
    "onnx": network("onnx", PADDED, eps=1e-3),
}
KINDS = {
    "torch.pt": None,
    "legacy.pth": None,
    "keras.keras": None,
    "keras.weights.h5": None,
    "keras.h5": None,
    "flax.msgpack": None,
    "onnx.onnx": "onnx",
}


def network_of(file):
    return NETWORKS[file.split(".")[0].replace("legacy", "torch")]


def skip_without(file):
    if KINDS[file] is not None:
        pytest.importorskip(KINDS[file], exc_type=ImportError)


@pytest.fixture
def expected():
    with np.load(FILES / "expected.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("file", KINDS)
def test_a_file_gives_the_frameworks_output(file, expected):
    skip_without(file)
    loaded = set(FRAMEWORKS) & set(sys.modules)
    model = network_of(file)
    found = fcnn.weights.load(FILES / file, model, SHAPE)
    name = file.split(".")[0].replace("legacy", "torch")
    y = model.apply(found.params, expected["x"])
    np.testing.assert_allclose(y, expected[name], atol=1e-5)
    lists = (found.dropped, found.filled, found.ambiguous, found.differing)
    assert lists == ([], [], [], [])
    assert set(FRAMEWORKS) & set(sys.modules) == loaded
    for leaf in fcnn.tree.leaves(found.params):
        assert leaf.flags.c_contiguous
        assert leaf.dtype == np.float32


@pytest.mark.parametrize("file", KINDS)
def test_what_is_loaded_trains(file, expected):
    skip_without(file)
    model = network_of(file)
    params = fcnn.weights.load(FILES / file, model, SHAPE).params
    loss_and_grad = fcnn.value_and_grad(model, fcnn.losses.softmax_cross_entropy)
    labels = np.array([0, 1, 2])
    before, grads = loss_and_grad(params, expected["x"], labels, fcnn.training(fcnn.key(0)))
    optimizer = fcnn.optim.sgd(0.01)
    params, _ = optimizer.step(params, grads, optimizer.init(params))
    after, _ = loss_and_grad(params, expected["x"], labels, fcnn.training(fcnn.key(0)))
    assert after < before


@pytest.mark.parametrize("file", ["keras.keras", "keras.h5", "onnx.onnx"])
@pytest.mark.parametrize(
    ("conv", "eps", "said"),
    [
        (fcnn.conv2d(4, 3, stride=2, padding=((0, 2), (0, 2))), 1e-3, "padding"),
        (fcnn.conv2d(4, 3, stride=(2, 3), padding=1), 1e-3, "stride"),
        (None, 1e-5, "eps=0.001"),
    ],
)
def test_other_hyper_parameters_are_refused_where_the_file_tells_them(file, conv, eps, said):
    skip_without(file)
    name = file.split(".")[0]
    model = network(name, conv or network_of(file)[0], eps)
    if said == "stride":
        model = model[:4]  # of what is behind, the shape changes
    with pytest.raises(TreeError, match=rf"serial\[.\]: {said}|2 layers|3 layers|4 layers"):
        fcnn.weights.load(FILES / file, model, SHAPE)
    found = fcnn.weights.load(FILES / file, model, SHAPE, strict=False)
    assert any(said in each for each in found.differing)


def test_another_layout_is_refused_with_both_shapes():
    model = fcnn.serial(fcnn.conv2d(6, 3, stride=2, padding=1), *NETWORKS["torch"][1:].layers)
    with pytest.raises(TreeError, match=r"weight \(6, 2, 3, 3\).*serial\[0\].*\(4, 2, 3, 3\)"):
        fcnn.weights.load(FILES / "torch.pt", model, SHAPE)


def test_a_new_head_on_old_weights():
    body = NETWORKS["torch"][:-1].layers
    model = fcnn.serial(*body, fcnn.dense(7))
    with pytest.raises(TreeError):
        fcnn.weights.load(FILES / "torch.pt", model, SHAPE)
    found = fcnn.weights.load(FILES / "torch.pt", model, SHAPE, strict=False)
    assert found.filled == ["5.weight", "5.bias"]
    assert found.dropped == ["5.weight", "5.bias"]
    right = fcnn.weights.load(FILES / "torch.pt", NETWORKS["torch"], SHAPE).params
    assert found.params[:5] == right[:5]
    shorter = fcnn.serial(*body, fcnn.relu)
    found = fcnn.weights.load(FILES / "torch.pt", shorter, SHAPE, strict=False)
    assert found.dropped == ["5.weight", "5.bias"]
    assert found.params[:5] == right[:5]


def test_a_file_that_is_not_there_or_of_no_kind(tmp_path):
    model = NETWORKS["torch"]
    with pytest.raises(FileNotFoundError):
        fcnn.weights.load(tmp_path / "a.pt", model, SHAPE)
    with pytest.raises(ArgumentError, match=r"ends in \.pt"):
        fcnn.weights.load(tmp_path / "a.txt", model, SHAPE)
    for file in KINDS:
        skip_without(file)
        path = tmp_path / file
        path.write_bytes(b"")
        with pytest.raises(DataError, match="empty"):
            fcnn.weights.load(path, model, SHAPE)
        shutil.copy(FILES / "expected.npz", path)
        with pytest.raises(DataError, match="expected"):
            fcnn.weights.load(path, model, SHAPE)


def test_saved_and_loaded_again(tmp_path):
    model = NETWORKS["torch"]
    params = fcnn.weights.load(FILES / "torch.pt", model, SHAPE).params
    path = tmp_path / "again.safetensors"
    fcnn.weights.save(path, model, params, shape=SHAPE)
    assert fcnn.weights.load(path, model, SHAPE).params == params
    double = fcnn.tree.astype(params, np.float64)
    fcnn.weights.save(path, model, double, shape=SHAPE)
    assert fcnn.weights.load(path, model, SHAPE).params == double
    with pytest.raises(TreeError, match="another structure"):
        fcnn.weights.save(path, model, params[:3], shape=SHAPE)
    with pytest.raises(ArgumentError, match=r"\.safetensors"):
        fcnn.weights.save(tmp_path / "a.pt", model, params, shape=SHAPE)
    with pytest.raises(ArgumentError, match="torch"):
        fcnn.weights.save(path, model, params, shape=SHAPE, format="keras")
