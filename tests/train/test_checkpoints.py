"""`fit(checkpoint=)`: the same call again finishes a run that ended anywhere, with the same bits.

FCNN_KILLS=30 in the environment kills a real process that often, with every executor.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError, DataError, NonFiniteError, TreeError
from fcnn.losses import softmax_cross_entropy

KILLS = int(os.environ.get("FCNN_KILLS", "4"))
MODEL = fcnn.serial(
    fcnn.conv2d(3, 5), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dropout(0.2), fcnn.dense(10)
)
ADAM, KEY = optim.adam(optim.cosine(0.01, 40)), fcnn.key(5)


@pytest.fixture(scope="module")
def data():
    return fcnn.data.mnist("train", 160)


def fit(data, file=None, epochs=3, **options):
    held_out = data[:40]
    options = {"key": KEY, "log": None, "validation": held_out, "keep_best": True} | options
    options = {"optimizer": ADAM, "data": data} | options
    return fcnn.fit(MODEL, softmax_cross_entropy, epochs=epochs, checkpoint=file, **options)


def killer(at):
    """An augmentation that raises at its n-th call."""
    calls = itertools.count(1)

    def raises(key, x):
        if next(calls) == at:
            raise ConnectionError("killed")
        return x

    return raises


@pytest.mark.parametrize("every", [None, 1, 3])
@pytest.mark.parametrize("at", [1, 4, 8, 14])
def test_the_same_call_again_goes_on_to_the_same_bits(data, tmp_path, every, at):
    whole = fit(data)
    with pytest.raises(ConnectionError):
        fit(data, tmp_path / "run.npz", every=every, augment=killer(at))
    run = fit(data, tmp_path / "run.npz", every=every)
    assert run == whole
    assert [report.number for report in run.history] == [1, 2, 3]
    assert fcnn.load(tmp_path / "run.npz") == whole
    assert [each.name for each in tmp_path.iterdir()] == ["run.npz"]


def test_a_finished_run_is_returned_and_a_longer_one_goes_on(data, tmp_path, monkeypatch):
    whole = fit(data, epochs=4)
    first = fit(data, tmp_path / "run.npz", epochs=2)
    assert fit(data, tmp_path / "run.npz", epochs=2, augment=killer(1)) == first
    assert fit(data, tmp_path / "run.npz", epochs=4).state == whole.state


def test_every_is_counted_in_steps(data, tmp_path):
    seen = []

    def look(key, x):
        if (tmp_path / "run.npz").exists():
            seen.append(fcnn.load(tmp_path / "run.npz").state.step)
        return x

    fit(data, tmp_path / "run.npz", every=2, augment=look, epochs=2)
    assert seen == [2, 2, 4, 5, 6, 6, 8, 8]  # 5 steps an epoch


def test_older_checkpoints_are_kept(data, tmp_path):
    whole = [fit(data, epochs=n).state for n in (1, 2, 3, 4)]
    fit(data, tmp_path / "run.npz", epochs=4, keep=3)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "run.1.npz", "run.2.npz", "run.npz",
    ]  # fmt: skip
    for name, state in [("run", whole[3]), ("run.1", whole[2]), ("run.2", whole[1])]:
        assert fcnn.load(tmp_path / f"{name}.npz").state == state


def test_older_checkpoints_without_hard_links(data, tmp_path, monkeypatch):
    def no_links(*args):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    fit(data, tmp_path / "run.npz", keep=2)
    assert fcnn.load(tmp_path / "run.1.npz").state == fit(data, epochs=2).state


def test_ctrl_c_writes_the_last_state(data, tmp_path):
    calls = itertools.count(1)

    def stop(key, x):
        if next(calls) == 8:
            signal.raise_signal(signal.SIGINT)
        return x

    with pytest.raises(KeyboardInterrupt) as raised:
        fit(data, tmp_path / "run.npz", augment=stop)
    assert fcnn.load(tmp_path / "run.npz").state == raised.value.state
    assert raised.value.state.step == 7
    assert fit(data, tmp_path / "run.npz") == fit(data)


def test_params_that_are_not_finite_are_not_written(data, tmp_path):
    wild = optim.sgd(1e30)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError):
        fit(data, tmp_path / "run.npz", optimizer=wild, every=1)
    if (tmp_path / "run.npz").exists():
        leaves = tree.leaves(fcnn.load(tmp_path / "run.npz").params)
        assert all(np.isfinite(leaf).all() for leaf in leaves)


def test_another_run_is_refused(data, tmp_path):
    file = tmp_path / "run.npz"
    fit(data, file, epochs=1)
    with pytest.raises(TreeError, match="expected a state of the optimizer sgd"):
        fit(data, file, optimizer=optim.sgd(0.1))
    with pytest.raises(TreeError, match=r"expected a state of the key Key\(seed=6"):
        fit(data, file, key=fcnn.key(6))
    fit(data, file, optimizer=optim.sgd(0.1), changed="optimizer", epochs=2)
    with pytest.raises(ArgumentError, match="expected no state where the checkpoint"):
        fit(data, file, state=fit(data, epochs=1).state)


def test_bad_arguments(data, tmp_path):
    with pytest.raises(ArgumentError, match="path of a file as checkpoint, got 3"):
        fit(data, 3)
    with pytest.raises(ArgumentError, match=r"ends in \.npz or \.safetensors, got 'run\.pt'"):
        fit(data, tmp_path / "run.pt")
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        fit(data, tmp_path / "no" / "run.npz")
    with pytest.raises(ArgumentError, match="expected a checkpoint for every and keep"):
        fit(data, every=3)
    with pytest.raises(ArgumentError, match="expected a whole number of at least 1 for keep"):
        fit(data, tmp_path / "run.npz", keep=0)
    fcnn.save(tmp_path / "params.npz", (1.0,))
    with pytest.raises(DataError, match=r"expected a checkpoint of fcnn\.fit in params\.npz"):
        fit(data, tmp_path / "params.npz")


def test_other_bits_are_said(data, tmp_path, monkeypatch):
    fit(data, tmp_path / "run.npz", epochs=1)
    real = fcnn.checkpoint.environment()
    monkeypatch.setattr(
        "fcnn.train._checkpoints.environment", lambda: real | {"probe": "0", "numpy": "9.0"}
    )
    with pytest.warns(UserWarning, match=r"gives other bits \(numpy .*, now 9\.0; probe"):
        fit(data, tmp_path / "run.npz", epochs=1)


@tree.node
class Gain:
    """A user's own params."""

    gain: np.ndarray


@fcnn.layer
def gain(function):
    """A user's own layer, whose argument no file can hold."""

    def init(key, shape):
        return Gain(np.ones(shape[-1:], np.float32)), shape

    def apply(params, x, ctx=fcnn.EVAL):
        return x * params.gain

    def vjp(params, x, ctx=fcnn.EVAL):
        axes = tuple(range(x.ndim - 1))
        return x * params.gain, lambda dy: (Gain((dy * x).sum(axis=axes)), dy * params.gain)

    return init, apply, vjp


def test_a_users_own_layer_is_resumed_too(data, tmp_path):
    model = fcnn.serial(fcnn.flatten, gain(lambda: 0), fcnn.dense(10))
    options = {"key": KEY, "log": None, "checkpoint": tmp_path / "run.npz"}
    sgd = optim.sgd(0.1, momentum=0.9)
    for epochs in (1, 2):
        run = fcnn.fit(model, softmax_cross_entropy, sgd, data, epochs=epochs, **options)
    whole = fcnn.fit(model, softmax_cross_entropy, sgd, data, epochs=2, key=KEY, log=None)
    assert run.params == whole.params


PROGRAM = textwrap.dedent(
    """
    import contextlib, sys, warnings
    import fcnn
    from fcnn import optim
    from fcnn.losses import softmax_cross_entropy

    @contextlib.contextmanager
    def dask():
        import distributed
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with distributed.Client(processes=False, **options) as client:
            yield client.get_executor()

    if __name__ == "__main__":
        warnings.simplefilter("ignore")
        file, how = sys.argv[1:3]
        data = fcnn.data.mnist("train", 320)
        model = fcnn.serial(
            fcnn.conv2d(4, 5), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dropout(0.2),
            fcnn.dense(64), fcnn.relu, fcnn.dense(10),
        )
        ways = {
            "alone": contextlib.nullcontext, "processes": lambda: fcnn.parallel.processes(2),
            "dask": dask,
        }
        with ways[how]() as executor:
            print("ready", flush=True)
            run = fcnn.fit(
                model, softmax_cross_entropy, optim.adam(0.003), data, key=fcnn.key(0),
                epochs=EPOCHS, batch_size=64, executor=executor, checkpoint=file, every=1, keep=2,
                log=None, validation=data[:64],
            )
        print(fcnn.tree.digest(run.params), len(run.history), flush=True)
    """
)


def started(tmp_path, how, threads):
    """The training program, from where it begins to train."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "run.npz"), how],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def eventually_changes(file, process):
    """Wait until the process has written a checkpoint of its own."""

    def mark():
        try:
            return file.stat().st_ino, file.stat().st_mtime_ns
        except OSError:  # it is being replaced
            return None

    before = mark()
    while mark() in (before, None) and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="it kills with SIGKILL")
@pytest.mark.parametrize("how", ["alone", *(("processes", "dask") if KILLS > 4 else ())])
def test_a_process_killed_at_random_moments_ends_in_the_same_bits(tmp_path, how):
    if how == "dask":
        pytest.importorskip("distributed")
    (tmp_path / "program.py").write_text(PROGRAM.replace("EPOCHS", str(10 + 2 * KILLS)))
    process = started(tmp_path, "alone", 1)
    whole = process.communicate()[0].splitlines()[-1]
    (tmp_path / "run.npz").unlink()
    (tmp_path / "run.1.npz").unlink()
    draw, kills, interrupted, steps = random.Random(0), 0, 0, []
    while True:
        threads = draw.choice([1, 2])
        process = started(tmp_path, how, threads)
        if kills < KILLS:
            eventually_changes(tmp_path / "run.npz", process)
            time.sleep(draw.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
        output = process.communicate()[0]
        if process.returncode == 0:
            break
        kills += 1
        interrupted += len(list(tmp_path.glob(".*.part"))) > 0
        for part in tmp_path.glob(".*.part"):  # what a killed process was writing
            part.unlink()
        if (tmp_path / "run.npz").exists():
            steps.append(fcnn.load(tmp_path / "run.npz").state.step)
    print(f"{kills} kills, {interrupted} while writing, after steps {steps}")
    assert kills == KILLS
    assert len(set(steps)) > KILLS / 2
    assert output.splitlines()[-1] == whole
    assert steps == sorted(steps)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB; a privilege of root, so skipped for others."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("cannot mount a small file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_checkpoint_says_what_it_is_of(data, tmp_path):
    fit(data, tmp_path / "run.npz", epochs=1)
    about = fcnn.load_info(tmp_path / "run.npz")
    assert about["input_shape"] == data.shape
    assert about["class_names"] == data.classes
    assert about["model"].startswith("serial(")


def check_full(data, file, fill):
    """Run until the disk is full, look at what is left, make room, and go on."""
    fit(data, file, epochs=1)
    before = file.read_bytes()
    undo = fill()
    with pytest.raises(OSError, match="No space left") as raised:
        fit(data, file, epochs=2)
    assert "run.npz is the last that could be written" in "".join(raised.value.__notes__)
    assert raised.value.state.epoch == 2
    assert raised.value.filename == str(file)
    assert file.read_bytes() == before
    assert not list(file.parent.glob(".*"))
    undo()
    assert fit(data, file).state == fit(data).state


def test_a_full_disk_is_an_error_and_the_last_checkpoint_loads(data, small_disk):
    def fill():
        other = small_disk / "other"
        with pytest.raises(OSError, match="No space left"):
            other.write_bytes(bytes(2**20))
        return other.unlink

    check_full(data, small_disk / "run.npz", fill)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_disk_that_fills_while_it_writes(data, tmp_path, monkeypatch):
    from fcnn.checkpoint import _npz

    def write(out, doc, arrays):
        out.write(bytes(1000))
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    def fill():
        monkeypatch.setattr(_npz, "write", write)
        return monkeypatch.undo

    check_full(data, tmp_path / "run.npz", fill)


def test_what_a_killed_process_had_begun_to_write_is_removed(data, tmp_path):
    for name, age in [(".run.npz.abc.part", 3600), (".run.npz.def.part", 1), (".other.part", 3600)]:
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, times=(time.time() - age,) * 2)
    fit(data, tmp_path / "run.npz", epochs=1)
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {".run.npz.def.part", ".other.part", "run.npz"}
