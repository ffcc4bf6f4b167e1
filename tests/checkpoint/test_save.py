"""What is saved is what is loaded, to the bit, in both formats."""

import os
import stat
import subprocess
import sys
from collections import namedtuple

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError, DataError, TreeError
from fcnn.initializers import normal
from fcnn.losses import softmax_cross_entropy

MODEL = fcnn.serial(
    fcnn.named("stem", fcnn.conv2d(4, 3, weight_init=normal(0.1))),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.residual(fcnn.conv2d(4, 1), fcnn.named("inner", fcnn.relu)),
    fcnn.flatten,
    fcnn.fanout(digit=fcnn.dense(3), tilt=fcnn.dense(1)),
)
Pair = namedtuple("Pair", "left right")


@pytest.fixture(params=["npz", "safetensors"])
def file(request, tmp_path):
    if request.param == "safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"net.{request.param}"


@pytest.fixture
def params():
    return MODEL.init(fcnn.key(0), (8, 8, 1))[0]


@pytest.fixture(scope="module")
def run():
    data = fcnn.data.mnist("train", 100)
    model = fcnn.serial(
        fcnn.conv2d(2, 5), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dense(10)
    )
    optimizer = optim.adamw(optim.cosine(0.01, 20), weight_decay=0.1)
    settings = {"key": fcnn.key(3), "epochs": 2, "validation": data[:20], "keep_best": True}
    return model, fcnn.fit(model, softmax_cross_entropy, optimizer, data, log=None, **settings)


def test_params_come_back(file, params):
    fcnn.save(file, params)
    assert fcnn.load(file) == params
    assert fcnn.load(file, like=params) == params


TREES = {
    "numbers": (1, 2.5, True, -0.0, float("inf"), 1e-310),
    "empty": ((), [], {}, None),
    "zero-dimensional": {"a": np.array(3.0), "b": np.float32(1.5), "c": np.int64(7)},
    "dtypes": [np.arange(4).astype(d) for d in ("f2", "f4", "f8", "i1", "u2", "i8", "?")],
    "orders": (np.arange(6.0).reshape(2, 3).T, np.arange(8.0)[::-2], np.zeros((0, 3))),
    "keys": {"a.b": 1.0, "a": {"b": 2.0}, "['x']": 3.0, "": np.ones(1)},
    "whole numbers as keys": {1: np.ones(2), 2: np.zeros(1)},
    "a leaf": np.ones((2, 2)),
    "names that collide": {"a": {"b": np.ones(1)}, "a.b": np.zeros(1), "a.b#1": np.full(1, 2.0)},
}


@pytest.mark.parametrize("case", TREES)
def test_trees_come_back(file, case):
    given = TREES[case]
    fcnn.save(file, given)
    for found in (fcnn.load(file), fcnn.load(file, like=given)):
        assert tree.equal(found, given)
        kinds = [(type(leaf), np.asarray(leaf).dtype) for leaf in tree.leaves(given)]
        assert [(type(leaf), np.asarray(leaf).dtype) for leaf in tree.leaves(found)] == kinds


def test_signs_and_nans_come_back_to_the_bit(file):
    given = np.array([-0.0, np.nan, -np.inf, 1e-310])
    fcnn.save(file, (given, -0.0))
    array, number = fcnn.load(file)
    assert array.tobytes() == given.tobytes()
    assert np.signbit(number)


@pytest.mark.filterwarnings("error")
def test_big_endian_and_text_come_back_in_npz(tmp_path):
    given = {"a": np.arange(3, dtype=">i4"), "b": np.array(["cat", "dog"]), "c": 1j * np.ones(2)}
    fcnn.save(tmp_path / "a.npz", given)
    found = fcnn.load(tmp_path / "a.npz")
    assert all(found[k].dtype == given[k].dtype and (found[k] == given[k]).all() for k in given)


def test_a_state_and_a_run_come_back(file, run):
    model, done = run
    fcnn.save(file, done.state)
    assert fcnn.load(file) == done.state
    fcnn.save(file, done, model=model)
    assert fcnn.load(file) == done
    assert fcnn.load(file).best == done.best
    assert fcnn.load_model(file) == (model, done.params)


def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path, run):
    model, _ = run
    data, optimizer = fcnn.data.mnist("train", 100), optim.adam(0.01)
    settings = {"log": None, "key": fcnn.key(0)}
    whole = fcnn.fit(model, softmax_cross_entropy, optimizer, data, epochs=3, **settings)
    half = fcnn.fit(model, softmax_cross_entropy, optimizer, data, epochs=1, **settings)
    fcnn.save(tmp_path / "half.npz", half.state)
    state = fcnn.load(tmp_path / "half.npz")
    rest = fcnn.fit(model, softmax_cross_entropy, optimizer, data, epochs=3, state=state, log=None)
    assert rest.state == whole.state


def test_the_arrays_names_are_the_layers(file, params):
    fcnn.save(file, params, model=MODEL)
    names = {
        "stem.weight", "stem.bias", "1.scale", "1.bias", "1.mean", "1.var", "3.1.0.weight",
        "3.1.0.bias", "5.digit.weight", "5.digit.bias", "5.tilt.weight", "5.tilt.bias",
    }  # fmt: skip
    if file.suffix == ".npz":
        with np.load(file) as found:
            assert set(found.files) == names | {"fcnn.json"}
            np.testing.assert_array_equal(found["stem.weight"], params[0].weight)
    else:
        from safetensors.numpy import load_file

        assert set(load_file(file)) == names


def test_a_states_arrays_are_named_by_the_layers_too(tmp_path, params):
    fcnn.save(tmp_path / "s.npz", {"params": params, "ema": params}, model=MODEL)
    with np.load(tmp_path / "s.npz") as found:
        assert {"params.stem.weight", "ema.stem.weight", "params.5.tilt.bias"} <= set(found.files)


def test_the_same_tree_gives_the_same_bytes(tmp_path, params):
    for name in ("a.npz", "b.npz"):
        fcnn.save(tmp_path / name, params, model=MODEL, note="x")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_model_comes_back(file, params):
    fcnn.save(file, params, model=MODEL)
    assert fcnn.load_model(file) == (MODEL, params)


def test_a_model_with_an_array_and_an_initializer_comes_back(tmp_path):
    scale = fcnn.initializers.constant(np.array([1.0, 2.0]))
    model = fcnn.serial(fcnn.dense(2, bias_init=scale), fcnn.relu)
    params, _ = model.init(fcnn.key(0), (3,))
    fcnn.save(tmp_path / "m.npz", params, model=model)
    assert fcnn.load_model(tmp_path / "m.npz") == (model, params)


def test_the_info_comes_back(file):
    info = {"class_names": ("cat", "dog"), "input_shape": (8, 8, 1), "mean": np.array([0.5])}
    fcnn.save(file, (1.0,), model=fcnn.relu, normalisation={"scale": 0.25}, **info)
    found = fcnn.load_info(file)
    assert found["class_names"] == ("cat", "dog")
    assert found["input_shape"] == (8, 8, 1)
    assert found["normalisation"] == {"scale": 0.25}
    assert found["mean"].tolist() == [0.5]
    assert found["model"] == "relu"
    assert found["environment"] == fcnn.checkpoint.environment()


def test_the_first_leaf_that_differs_is_named(file, params):
    fcnn.save(file, params)
    other, _ = MODEL.init(fcnn.key(0), (9, 8, 1))
    with pytest.raises(
        TreeError, match=r"\[5\]\['digit'\].weight of shape \(168, 3\) float32, got"
    ):
        fcnn.load(file, like=other)
    double = tree.astype(params, np.float64)
    with pytest.raises(TreeError, match=r"\[0\].weight of shape .* float64, got .* float32"):
        fcnn.load(file, like=double)
    with pytest.raises(TreeError, match=r"no leaf \[1\].scale, got shape \(4,\)"):
        fcnn.load(file, like=params[:1])
    with pytest.raises(TreeError, match=r"\[6\] of a number \(float\), got nothing"):
        fcnn.load(file, like=(*params, 1.0))


def test_what_fits_is_taken_and_the_rest_is_said(file, params):
    fcnn.save(file, params)
    other, _ = MODEL.init(fcnn.key(1), (9, 8, 1))
    with pytest.warns(
        UserWarning, match=r"took 10 of 12 .* kept those of like: .*'digit'\].weight"
    ):
        found = fcnn.load(file, like=other, strict=False)
    assert found[:5] == params[:5]
    assert found[5]["digit"].weight is not params[5]["digit"].weight
    assert tree.equal(found[5]["digit"].weight, other[5]["digit"].weight)
    assert tree.equal(found[5]["digit"].bias, params[5]["digit"].bias)
    with pytest.warns(UserWarning, match="left in the file: .*weight"):
        fcnn.load(file, like=params[:5], strict=False)


def test_a_file_of_numpys_own_is_a_dict_of_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.ones((2, 3)), bias=np.zeros(3))
    assert tree.equal(
        fcnn.load(tmp_path / "a.npz"), {"weight": np.ones((2, 3)), "bias": np.zeros(3)}
    )
    like = fcnn.DenseParams(np.zeros((2, 3)), np.ones(3))
    assert fcnn.load(tmp_path / "a.npz", like=like) == fcnn.DenseParams(
        np.ones((2, 3)), np.zeros(3)
    )
    np.savez_compressed(tmp_path / "c.npz", weight=np.ones((2, 3)))
    with pytest.raises(DataError, match="uncompressed"):
        fcnn.load(tmp_path / "c.npz")


@tree.node
class Own:
    """A node of a user's module."""

    a: np.ndarray


def test_a_users_own_classes_need_their_module(file):
    given = (Own(np.ones(2)), Pair(np.zeros(1), 2.0))
    fcnn.save(file, given)
    assert fcnn.load(file, like=given) == given
    with pytest.raises(TreeError, match=r"expected a node of fcnn, got '.*Own'; pass modules="):
        fcnn.load(file)
    assert fcnn.load(file, modules=[__name__]) == given


def test_functions_are_looked_up_in_named_modules_only(tmp_path):
    @attrs.frozen
    class Local:
        pass

    with pytest.raises(TreeError, match="got Local"):
        fcnn.save(tmp_path / "a.npz", (Local(),))
    assert list(tmp_path.iterdir()) == []


def test_only_constructors_and_classes_are_ever_called(tmp_path, monkeypatch):
    """A file that names another function of fcnn or of Python is refused, and nothing runs."""
    from fcnn.checkpoint import _npz

    called = []
    monkeypatch.setattr(fcnn.data, "download", lambda *a, **k: called.append(a))
    for kind, name in [
        ("call", "fcnn.data.download"), ("node", "fcnn.data.download"), ("call", "os.getcwd"),
        ("record", "fcnn.data.Dataset"), ("function", "fcnn.data.download"), ("name", "fcnn.fit"),
        ("node", "fcnn.__main__.main"), ("call", "fcnn.key"), ("node", "fcnn.tree._node.Structure"),
    ]:  # fmt: skip
        doc = {kind: name, "args": [], "kwargs": {}, "fields": {}}
        with open(tmp_path / "a.npz", "wb") as out:
            _npz.write(out, {"format": 1, "tree": doc, "info": None}, {})
        with pytest.raises(TreeError, match="expected"):
            fcnn.load(tmp_path / "a.npz")
    assert not called


@pytest.mark.parametrize("name", [f"{__name__}.os.getcwd", "__main__.__builtins__.eval"])
def test_what_a_named_module_imports_is_not_found_in_it(tmp_path, name):
    from fcnn.checkpoint import _npz

    with open(tmp_path / "a.npz", "wb") as out:
        _npz.write(out, {"format": 1, "tree": {"function": name}, "info": None}, {})
    with pytest.raises(TreeError, match="found None"):
        fcnn.load(tmp_path / "a.npz", modules=[__name__, "__main__"])


def test_bad_arguments(tmp_path):
    with pytest.raises(ArgumentError, match=r"ends in \.npz or \.safetensors, got 'net\.pt'"):
        fcnn.save(tmp_path / "net.pt", 1.0)
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        fcnn.save(tmp_path / "no" / "net.npz", 1.0)
    with pytest.raises(FileNotFoundError):
        fcnn.load(tmp_path / "net.npz")
    with pytest.raises(TreeError, match=r"got object array at 0"):
        fcnn.save(tmp_path / "net.npz", (np.array([None]),))
    with pytest.raises(ArgumentError, match="expected a layer as model, got str"):
        fcnn.save(tmp_path / "net.npz", 1.0, model="relu")
    fcnn.save(tmp_path / "net.npz", 1.0)
    with pytest.raises(DataError, match=r"expected a model in net\.npz"):
        fcnn.load_model(tmp_path / "net.npz")
    assert [each.name for each in tmp_path.iterdir()] == ["net.npz"]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    fcnn.save(tmp_path / "a.npz", (1.0,))

    def fails(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        fcnn.save(tmp_path / "a.npz", (2.0,))
    monkeypatch.undo()
    assert fcnn.load(tmp_path / "a.npz") == (1.0,)
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_the_files_mode_is_that_of_any_new_file(tmp_path):
    fcnn.save(tmp_path / "a.npz", (1.0,))
    (tmp_path / "b").touch()
    mode = stat.S_IMODE((tmp_path / "b").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == mode
    (tmp_path / "a.npz").chmod(0o640)
    fcnn.save(tmp_path / "a.npz", (1.0,))
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == 0o640


def test_safetensors_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'fcnn\[safetensors\]'"):
        fcnn.save(tmp_path / "a.safetensors", 1.0)


def test_the_probe_is_the_same_in_another_process():
    code = "import fcnn; print(fcnn.checkpoint.environment())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(fcnn.checkpoint.environment())
