"""`fit(run=)` and `experiment`: what is in the folder, and that it goes on where it ended."""

import itertools
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

import fcnn
from fcnn import metrics, optim, tree
from fcnn.errors import ArgumentError, DataError, TreeError

ADAM = optim.adam(optim.cosine(0.01, 12))


def lines(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def killer(at):
    """An augmentation that raises at its n-th call."""
    calls = itertools.count(1)

    def raises(key, x):
        if next(calls) == at:
            raise ConnectionError("killed")
        return x

    return raises


def test_a_run_leaves_all_that_repeats_it(fit, model, tmp_path):
    path = tmp_path / "runs" / "first"
    run = fit(path, keep_best=True)
    assert sorted(p.name for p in path.iterdir()) == [
        "checkpoints", "config.json", "metrics.jsonl", "report.html", "result.json",
    ]  # fmt: skip
    assert fcnn.load(path / "checkpoints" / "run.npz") == run
    config = json.loads((path / "config.json").read_text())
    asked, (session,) = config["fit"], config["sessions"]
    assert asked["printed"]["model"] == repr(model)
    assert asked["printed"]["optimizer"] == repr(ADAM)
    assert asked["key"] == {"seed": 3, "path": []}
    assert (asked["epochs"], asked["batch_size"], asked["shard_size"]) == (3, 32, "auto")
    assert asked["shard"] == 32  # batch norm: 16 would do without
    assert asked["data"]["examples"] == 70
    assert asked["data"]["source"] is None
    assert asked["validation"]["sha256"] != asked["data"]["sha256"]
    assert session["environment"] == fcnn.checkpoint.environment()
    assert session["git"] is None or len(session["git"]["commit"]) == 40
    result = json.loads((path / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["digest"] == tree.digest(run.params)
    assert result["best"]["epoch"] == run.best.number


def test_a_line_an_epoch(fit, tmp_path):
    run = fit(tmp_path / "r")
    found = lines(tmp_path / "r")
    assert [row["epoch"] for row in found] == [1, 2, 3]
    for row, report in zip(found, run.history, strict=True):
        assert {name: row[name] for name in report.cells()} == report.cells()
        assert row["seconds"] == report.seconds
        assert row["examples_per_second"] == 70 / report.seconds
    rate = optim.cosine(0.01, 12)
    assert [row["learning_rate"] for row in found] == [rate(2), rate(5), rate(8)]
    assert found[-1]["digest"] == tree.digest(run.params)[:16]


def test_lines_are_on_the_disk_when_the_epoch_has_ended(fit, tmp_path):
    counts = []
    fit(tmp_path / "r", log=lambda line: counts.append(len(lines(tmp_path / "r"))))
    assert counts == [1, 2, 3]


def test_the_folder_gives_back_model_loss_optimizer_and_data(tmp_path):
    digits, key = fcnn.data.mnist("train", 300)[100:], fcnn.fold_in(fcnn.key(2), 7)
    loss = fcnn.losses.cross_entropy(class_weights=np.arange(1.0, 11.0))
    model = fcnn.serial(fcnn.flatten, fcnn.dense(10))
    run = fcnn.fit(model, loss, ADAM, digits, key=key, epochs=1, run=tmp_path / "r", log=None,
                   augment=fcnn.data.augment.affine(shift=1),
                   metrics={"right": metrics.accuracy})  # fmt: skip
    folder = fcnn.runs.read(tmp_path / "r")
    args = folder.arguments()
    assert (args["model"], args["loss"], args["optimizer"]) == (model, loss, ADAM)
    assert args["augment"] == fcnn.data.augment.affine(shift=1)
    assert args["metrics"] == {"right": metrics.accuracy}
    assert args["key"] == key
    assert folder.data() == digits
    assert folder.data("validation") is None
    assert tree.equal(folder.params(), run.params)


def test_arrays_among_arguments_are_kept_to_the_bit(tmp_path):
    weights = np.array([0.1, 1 / 3, 2.0], np.float32)
    from fcnn._folder._json import pack, unpack

    packed = json.loads(json.dumps(pack({"w": weights, "x": (1, weights[:0])})))
    found = unpack(packed)
    assert found["w"].dtype == np.float32
    assert found["w"].tobytes() == weights.tobytes()
    assert found["x"][1].shape == (0,)
    packed["arrays"]["w"]["base64"] = "!"
    with pytest.raises(DataError):
        unpack(packed)


@pytest.mark.parametrize("at", [2, 3, 5, 9])
def test_the_same_call_again_goes_on_to_the_same_bits(fit, tmp_path, at):
    same = {"keep_best": True}
    whole = fit(augment=killer(0), **same)
    path = tmp_path / "r"
    with pytest.raises(ConnectionError):
        fit(path, augment=killer(at), **same)
    assert fcnn.runs.read(path).result["status"] == "failed"
    assert fcnn.runs.read(path).result["error"] == "ConnectionError: killed"
    run = fit(path, augment=killer(0), **same)
    assert run == whole
    assert [row["epoch"] for row in lines(path)] == [1, 2, 3]
    assert len(fcnn.runs.read(path).config["sessions"]) == 2
    assert fcnn.runs.read(path).result["status"] == "finished"


def test_a_longer_run_goes_on(fit, tmp_path):
    fit(tmp_path / "r", epochs=2)
    longer = fit(tmp_path / "r", epochs=4)
    assert longer.state == fit(epochs=4).state
    assert [row["epoch"] for row in lines(tmp_path / "r")] == [1, 2, 3, 4]
    assert fcnn.runs.read(tmp_path / "r").config["fit"]["epochs"] == 4


SCRIPT = """
import os, signal, sys
import fcnn

def train(run, log):
    model, loss = fcnn.serial(fcnn.flatten, fcnn.dense(10)), fcnn.losses.softmax_cross_entropy
    digits, adam = fcnn.data.mnist("train", 100), fcnn.optim.adam(0.01)
    return fcnn.fit(model, loss, adam, digits, key=fcnn.key(3), epochs=3, run=run, log=log)

def die(line):
    if line.startswith("epoch 2"):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    train(sys.argv[1], die)
"""


def test_a_killed_process_leaves_a_folder_that_goes_on(tmp_path):
    path, names = tmp_path / "r", {"__name__": "script"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert [row["epoch"] for row in lines(path)] == [1, 2]
    assert fcnn.runs.read(path).result == {"status": "not ended"}
    exec(SCRIPT, names)
    assert names["train"](path, None) == names["train"](None, None)
    assert [row["epoch"] for row in lines(path)] == [1, 2, 3]


def test_a_line_that_was_cut_off_is_written_anew(fit, tmp_path):
    path = tmp_path / "r"
    fit(path, epochs=2)
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "los')
    assert [row["epoch"] for row in fcnn.runs.read(path).metrics] == [1, 2]
    fit(path)
    assert [row["epoch"] for row in lines(path)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"batch_size": 16}, "batch_size"),
        ({"shard_size": 8}, "shard_size"),
        ({"optimizer": optim.sgd(0.1)}, "optimizer"),
        ({"drop_last": True}, "drop_last"),
        ({"loss": fcnn.losses.cross_entropy(label_smoothing=0.1)}, "loss"),
        ({"model": fcnn.serial(fcnn.flatten, fcnn.dense(3))}, "model"),
        ({"validation": None}, "validation"),
        ({"key": fcnn.key(4)}, "key"),
        ({"augment": fcnn.data.augment.affine(shift=1)}, "augment"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_folder_of_another_run_is_refused(fit, tmp_path, given, name):
    fit(tmp_path / "r", epochs=1)
    before = (tmp_path / "r" / "checkpoints" / "run.npz").read_bytes()
    with pytest.raises(ArgumentError, match=f"expected the {name} of the run .*another folder"):
        fit(tmp_path / "r", **given)
    assert (tmp_path / "r" / "checkpoints" / "run.npz").read_bytes() == before


def test_a_run_that_never_began_may_be_another(fit, tmp_path):
    with pytest.raises(ConnectionError):
        fit(tmp_path / "r", augment=killer(1), batch_size=16)
    fit(tmp_path / "r")
    assert fcnn.runs.read(tmp_path / "r").config["fit"]["batch_size"] == 32


@pytest.mark.parametrize("kind", ["params", "state"])
def test_where_a_run_began_is_kept(fit, data, held_out, tmp_path, kind):
    first = fit(epochs=1)
    given = {"params": first.params} if kind == "params" else {"state": first.state}
    fit(tmp_path / "r", epochs=2, **given)
    held = fcnn.load(tmp_path / "r" / "start.npz")
    assert tree.equal(getattr(held, "params", held), first.params)
    assert fcnn.reproduce(tmp_path / "r", data=data, validation=held_out, log=None)


def test_other_data_are_refused(fit, quarters, tmp_path):
    fit(tmp_path / "r", epochs=1)
    for name, other in (("data", quarters(70, 9)), ("validation", quarters(40, 9))):
        with pytest.raises(ArgumentError, match=f"expected the {name} of the run"):
            fit(tmp_path / "r", **{name: other})


def test_run_and_checkpoint_are_refused_together(fit, tmp_path):
    with pytest.raises(ArgumentError, match="run or checkpoint, got both"):
        fit(tmp_path / "r", checkpoint=tmp_path / "c.npz")
    with pytest.raises(ArgumentError, match="expected a folder as run"):
        fit(3)
    assert not list(tmp_path.iterdir())


def test_every_and_keep_are_those_of_the_runs_checkpoints(fit, tmp_path):
    fit(tmp_path / "r", every=1, keep=2)
    assert sorted(p.name for p in (tmp_path / "r" / "checkpoints").iterdir()) == [
        "run.1.npz", "run.npz",
    ]  # fmt: skip


def test_ctrl_c_keeps_the_run(fit, tmp_path):
    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "r", log=stop)
    assert fcnn.runs.read(tmp_path / "r").result["status"] == "interrupted"
    assert fit(tmp_path / "r") == fit()


def test_a_full_disk_is_the_error_and_keeps_the_state(fit, tmp_path, monkeypatch):
    def fill(line):
        def full(path, content):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("fcnn._folder._experiment.write", full)
        raise ConnectionError("the first error")

    with pytest.raises(ConnectionError) as raised:
        fit(tmp_path / "r", log=fill)
    assert raised.value.state.epoch == 1
    monkeypatch.undo()
    assert fit(tmp_path / "r") == fit()


def test_an_experiment_is_given_to_fit(fit, model, tmp_path):
    with fcnn.experiment(tmp_path / "r", {"rate": 0.01, "net": model}) as run:
        found = fit(run)
        run.result(note="good", value=np.float32(0.5))
    folder = fcnn.runs.read(tmp_path / "r")
    assert folder.config["config"] == {"rate": 0.01, "net": repr(model)}
    assert folder.result["note"] == "good"
    assert folder.result["value"] == 0.5
    assert folder.result["digest"] == tree.digest(found.params)
    with (
        pytest.raises(ArgumentError, match=r"rate=0\.01, got 0\.02"),
        fcnn.experiment(tmp_path / "r", {"rate": 0.02, "net": model}),
    ):
        pass
    assert folder.result["status"] == "finished"


def test_a_loop_of_ones_own_logs_what_it_likes(tmp_path):
    with fcnn.experiment(tmp_path / "r") as run:
        run.log(loss=float("nan"))
        run.log(1, loss=3.0)
        run.log(2, loss=2.0)
        run.log(2, loss=1.5)
    assert [(row.get("epoch"), row["loss"]) for row in lines(tmp_path / "r")] == [
        (None, None), (1, 3.0), (2, 1.5),
    ]  # fmt: skip
    with pytest.raises(ArgumentError, match=r"run of fcnn\.fit"):
        fcnn.runs.read(tmp_path / "r").arguments()


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"without config\.json"):
        fcnn.runs.read(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        _ = fcnn.runs.read(tmp_path).config
    (tmp_path / "config.json").write_text('{"format": 9}')
    with pytest.raises(DataError, match="format 1"):
        _ = fcnn.runs.read(tmp_path).config


def test_a_part_that_a_file_cannot_hold_is_asked_for(fit, tmp_path):
    def local(key, x):
        return x

    fit(tmp_path / "r", augment=local, epochs=1)
    with pytest.raises(ArgumentError, match="pass augment="):
        fcnn.runs.read(tmp_path / "r").arguments()
    assert fcnn.runs.read(tmp_path / "r").arguments(augment=local)["augment"] is local


def twice(key, x):
    return 2 * x


def test_functions_of_ones_own_are_found_in_modules_that_are_named(fit, tmp_path):
    fit(tmp_path / "r", augment=twice, epochs=1)
    folder = fcnn.runs.read(tmp_path / "r")
    with pytest.raises(TreeError, match="pass modules="):
        folder.arguments()
    assert folder.arguments([twice.__module__])["augment"] is twice
