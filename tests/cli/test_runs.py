"""From training to a result: runs of the command line, their folders and what is said of them."""

import json

import numpy as np
import pytest

import fcnn
from fcnn.cli import _main, _models
from fcnn.cli._recipe import AUGMENTATIONS, RATES, SCHEDULES, augment_of, optimizer_of
from fcnn.cli._sources import read
from fcnn.data import mnist


def file_of(path, n=40, **more):
    digits = mnist("train", n)
    np.savez(path, x=(digits.inputs * 255).astype(np.uint8), y=digits.targets, **more)


def test_a_run_from_training_to_its_table(train, fcnn_command):
    out = train()
    assert "mnist: 64 examples to train on, 1,200 for test" in out
    assert out.rstrip().endswith("next:    fcnn predict runs/mnist IMAGE…")
    assert "report.html" in out
    assert "\nepoch       loss   accuracy  test loss  test accuracy  seconds\n  1/1 " in out

    status, said, _ = fcnn_command("evaluate", "runs/mnist")
    assert status == 0
    folder = fcnn.runs.read("runs/mnist")
    accuracy = folder.metrics[-1]["val_accuracy"]
    assert f"mnist, test: {accuracy:.4f} (" in said
    assert len([line for line in said.splitlines() if line[:2].strip().isdigit()]) == 10
    params = folder.params()
    guesses = fcnn.predict(_models.mlp(10), params, mnist("test").inputs).argmax(axis=1)
    assert np.mean(guesses == mnist("test").targets) == pytest.approx(accuracy)

    assert fcnn_command("report", "runs/mnist")[1] == "runs/mnist/report.html\n"
    train("--seed", "1")  # into a new folder
    status, table, _ = fcnn_command("compare", "runs/mnist", "runs/mnist-2")
    assert (status, table.splitlines()[1].split()[:2]) == (0, ["mnist", "2"])
    assert fcnn_command("evaluate", "runs/minst")[2].endswith("did you mean\nruns/mnist?\n")


def test_resumed_training_ends_in_the_bits_of_one_that_was_not_stopped(train, fcnn_command):
    train("--run", "whole", "--epochs", "3", "--schedule", "constant")
    train("--run", "parts", "--epochs", "1", "--schedule", "constant")
    out = train("--run", "parts", "--resume", "--epochs", "3")
    assert "  1/3" not in out
    assert "  2/3" in out
    assert fcnn.runs.read("whole").params() == fcnn.runs.read("parts").params()
    status, _, err = fcnn_command("train", "--run", "parts", "--resume", "--batch-size", "3")
    assert (status, "expected the --batch-size of the run parts, 32, got 3" in err) == (2, True)
    assert fcnn_command("train", "--run", "parts")[0] == 2


def test_ctrl_c_while_training_keeps_the_run(train, fcnn_command, monkeypatch):
    from fcnn.cli._train import Lines

    def stop(self, line):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lines, "__call__", stop)
        words = ("--limit", "64", "--epochs", "2", "--workers", "1", "--model", "mlp")
        status, _, err = fcnn_command("train", *words)
    assert status == _main.STOPPED
    assert "go on with: fcnn train --run runs/mnist --resume" in " ".join(err.split())
    assert fcnn.runs.read("runs/mnist").result["status"] == "interrupted"
    assert "  2/2" in train("--resume")


def test_a_run_is_reproduced_or_not(train, fcnn_command):
    train("--augment", "shift+noise(0.1)")
    status, out, _ = fcnn_command("reproduce", "runs/mnist", "--workers", "1")
    assert (status, out) == (0, "epoch 1/1: the same bits\n\nthe same bits in 1 epoch\n")
    lines = fcnn.runs.read("runs/mnist").path / "metrics.jsonl"
    row = json.loads(lines.read_text())
    lines.write_text(json.dumps({**row, "digest": "0" * 16}) + "\n")
    status, out, _ = fcnn_command("reproduce", "runs/mnist", "--workers", "1")
    assert (status, "other bits from epoch 1 on" in out) == (1, True)


def test_a_sweep_is_a_table_and_goes_on(fcnn_command):
    words = ["sweep", "--try", "optimizer=sgd(momentum=0.9),adam", "--seeds", "2", "--limit", "32",
             "--epochs", "1", "--model", "mlp", "--workers", "1"]  # fmt: skip
    status, out, err = fcnn_command(*words)
    assert (status, err) == (0, "")
    assert out.count(": test accuracy 0.") == 4
    assert "sgd(momentum=0.9)" in out
    again = fcnn_command(*words)[1]
    assert "test accuracy" not in again
    assert again.splitlines()[1:3] == out.splitlines()[5:7]
    name = next(line for line in out.splitlines() if line.startswith("optimizer=adam,seed=1"))
    assert fcnn_command("evaluate", f"runs/sweep/{name.split(':')[0]}")[0] == 0


def test_an_npz_file_and_targets_that_are_numbers(train, fcnn_command):
    file_of("digits.npz")
    assert "digits.npz: 32 examples to train on, 8 for validation" in train(
        "--data", "digits.npz", "--limit", "32"
    )
    assert fcnn_command("evaluate", "runs/digits")[0] == 0
    x = np.linspace(0, 1, 80, dtype=np.float32).reshape(40, 2)
    np.savez("line.npz", x=x, y=x.sum(axis=1))
    out = train("--data", "line.npz", "--limit", "32", "--epochs", "2")
    assert "next:    fcnn evaluate runs/line" in out
    assert "line.npz, validation: loss" in fcnn_command("evaluate", "runs/line")[1]
    assert "tells classes of images apart" in fcnn_command("predict", "runs/line", "a.png")[2]


def test_arrays_of_a_file_by_their_names(tmp_path):
    digits = mnist("train", 20)
    path = tmp_path / "known.npz"
    x, y = digits.inputs[..., 0], digits.targets
    names = [f"n{i}" for i in range(10)]
    np.savez(path, x_train=x[:15], y_train=y[:15], x_test=x[15:], y_test=y[15:], classes=names)
    found = read(str(path))
    assert (len(found.train), len(found.held), found.held_name) == (15, 5, "test")
    assert found.train.classes == tuple(names)
    np.testing.assert_array_equal(found.held.inputs, digits.inputs[15:])


def test_a_folder_of_images_is_trained_on_evaluated_and_predicted(train, fcnn_command, tmp_path):
    image = pytest.importorskip("PIL.Image", exc_type=ImportError)
    digits = mnist("train", classes=(3, 7), per_class=12)
    for i, (x, target) in enumerate(digits):
        path = tmp_path / "pets" / f"kind {target}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray((x[..., 0] * 255).astype(np.uint8)).save(path)
    train("--data", "pets", "--limit", "19", "--epochs", "20", "--augment", "none")
    status, out, _ = fcnn_command("evaluate", "runs/pets", "--data", "pets")
    assert (status, "pets, all: 1.0000 (24/24)" in out) == (0, True)
    first = next((tmp_path / "pets" / "kind 3").iterdir())
    files = [str(first.relative_to(tmp_path)), "gone.png"]
    status, out, err = fcnn_command("predict", "runs/pets", *files, "--top", "1")
    assert (status, err) == (2, "fcnn predict: gone.png: no such file or directory\n")
    assert out.startswith(f"{files[0]}  kind 3 ")
    inverted = fcnn_command("predict", "runs/pets", files[0], "--invert")[1]
    assert inverted != fcnn_command("predict", "runs/pets", files[0])[1]
    (tmp_path / "pets" / "kind 9").mkdir()
    image.new("L", (28, 28)).save(tmp_path / "pets" / "kind 9" / "0.png")
    status, _, err = fcnn_command("evaluate", "runs/pets", "--data", "pets")
    assert (status, "expected classes of kind 3, kind 7, got kind 9" in err) == (2, True)


def test_export_writes_what_onnx_reads(train, fcnn_command):
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    train()
    status, out, _ = fcnn_command("export", "runs/mnist", "digits.onnx")
    assert (status, out.startswith("digits.onnx: ")) == (0, True)
    assert onnx.load("digits.onnx").graph.output[0].name == "output"


def test_export_writes_c_too(train, fcnn_command, tmp_path):
    train()
    status, out, _ = fcnn_command("export", "runs/mnist", "digits.h")
    assert (status, out.startswith("digits.h: ")) == (0, True)
    text = (tmp_path / "digits.h").read_text("utf-8")
    assert "digits_predict(const float *input, float *output)" in text
    assert "digits_class_names[10]" in text


def test_a_layer_that_breaks_a_law_is_status_1(fcnn_command, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mylayers_of_test.py").write_text(
        "import fcnn\n"
        "def half():\n"
        "    y = lambda params, x, ctx=fcnn.EVAL: x / 2\n"
        "    def vjp(params, x, ctx=fcnn.EVAL):\n"
        "        return x / 2, lambda dy: (params, dy)\n"
        "    return (lambda key, shape: ((), shape)), y, vjp\n"
    )
    status, out, _ = fcnn_command("check", "mylayers_of_test:half", "(3,)")
    assert (status, "BROKEN" in out) == (1, True)
    status, out, _ = fcnn_command("check", "fcnn:relu", "(3,)", "--skip", "memory")
    assert status in (0, 2)


def test_data_where_and_verify(fcnn_command, monkeypatch, tmp_path):
    out = fcnn_command("data", "where")[1].splitlines()
    assert out[1].split() == ["mnist", "5,000", "1,200", "in", "the", "package"]
    assert fcnn_command("data", "verify")[0] == 0
    status, out, _ = fcnn_command("data", "verify", "mnist", "--folder", ".")
    assert (status, out.count("missing")) == (1, 4)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
    out = fcnn_command("data", "verify", "mnist", "--folder", ".")[1]
    assert (out.count("missing"), out.count("damaged")) == (3, 1)
    monkeypatch.setenv("FCNN_DATA", "nowhere")
    assert "not in" in fcnn_command("data", "where", "mnist")[1]


@pytest.mark.parametrize("name", _models.NAMES)
def test_every_model_has_as_many_outputs_as_there_are_classes(name):
    shape = (187, 1) if name == "ecg" else (64, 64, 3)
    model = _models.model_of(name, shape, 7)
    assert [*fcnn.walk(model, shape)][-1].out_shape == (7,)


@pytest.mark.parametrize(
    "size", [(3, 3), (8, 8), (17, 40), (18, 18), (28, 28), (64, 48), (224, 224)]
)
def test_the_default_model_takes_images_of_any_size(size):
    model = _models.model_of(None, (*size, 3), 5)
    assert [*fcnn.walk(model, (*size, 3))][-1].out_shape == (5,)
    assert fcnn.summary(model, (*size, 3)).params < 500_000


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_begin_and_end_where_they_should(schedule):
    made = optimizer_of("sgd", 0.5, schedule, 12).spec.arguments["learning_rate"]
    rates = [made(i) for i in range(12)] if callable(made) else [made] * 12
    assert max(rates) == pytest.approx(0.5)
    assert rates[-1] <= 0.5
    assert (rates[-1] < 0.1) == (schedule != "constant")


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_optimizer_is_made_for_short_runs(steps):
    params, _ = fcnn.dense(2).init(fcnn.key(0), (3,))
    for name in RATES:
        for schedule in SCHEDULES:
            optimizer_of(name, None, schedule, steps).init(params)


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "random_crop"])
def test_every_augmentation_works_by_its_name(name):
    found = augment_of(f"{name}+flip", 10)
    images, labels = mnist("train", 4).inputs, mnist("train", 4).targets
    changed = (
        found(fcnn.key(0), images, labels)[0]
        if name in ("mixup", "cutmix")
        else found(fcnn.key(0), images)
    )
    assert changed.shape == images.shape
