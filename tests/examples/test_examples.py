import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

LAST_LINE = re.compile(r"test accuracy: (\d\.\d{4}) \((\d+)/(\d+)\)")

# What each quick run reaches with every seed tried, less a margin: well above chance.
FLOORS = {
    ("mnist_zero_or_one", "article"): (0.9, 248),
    ("mnist_zero_or_one", "tuned"): (0.9, 248),
    ("mnist_digits", "article"): (0.2, 1200),
    ("mnist_digits", "tuned"): (0.5, 1200),
    ("fashion_pooling", "article"): (0.35, 5000),
    ("fashion_pooling", "tuned"): (0.5, 5000),
    ("mnist_strided", "article"): (0.3, 1200),
    ("mnist_strided", "tuned"): (0.4, 1200),
}


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script offline and returns the accuracy on its last line, and of how many."""

    def run_script(name, *arguments):
        monkeypatch.delenv("FCNN_DATA", raising=False)
        monkeypatch.syspath_prepend(str(EXAMPLES))
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        *_, last = capsys.readouterr().out.splitlines()
        found = LAST_LINE.fullmatch(last)
        assert found, last
        accuracy, right, total = float(found[1]), int(found[2]), int(found[3])
        assert accuracy == round(right / total, 4)
        return accuracy, total

    return run_script


@pytest.mark.parametrize(("name", "recipe"), FLOORS)
def test_a_quick_run_is_better_than_chance(run, name, recipe):
    floor, size = FLOORS[name, recipe]
    accuracy, total = run(name, "--quick", "--recipe", recipe)
    assert total == size
    assert accuracy > floor


@pytest.mark.parametrize("seed", range(5))
def test_xor_is_learnt(run, seed):
    assert run("xor", "--seed", str(seed)) == (1.0, 4)


def test_xor_is_learnt_one_example_at_a_time(run):
    assert run("xor", "--quick", "--recipe", "article") == (1.0, 4)


def test_the_network_of_article_003s_text(run):
    accuracy, _ = run("mnist_strided", "--quick", "--network", "code")
    assert accuracy > 0.4


def test_the_front_door_reads_and_draws(run, tmp_path):
    accuracy, total = run("mnist", "--quick", "--picture", str(tmp_path / "mnist.png"))
    assert total == 1200
    assert accuracy > 0.5


def test_the_front_door_without_matplotlib(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    picture = tmp_path / "mnist.png"
    run("mnist", "--quick", "--epochs", "1", "--picture", str(picture))
    assert not picture.exists()


def test_noise_is_removed_better_than_by_a_blur(monkeypatch, capsys, tmp_path):
    picture = tmp_path / "denoising.png"
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(sys, "argv", ["denoising", "--quick", "--picture", str(picture)])
    runpy.run_path(str(EXAMPLES / "denoising.py"), run_name="__main__")
    *_, last = capsys.readouterr().out.splitlines()
    given, blur, network = map(float, re.findall(r"[a-z] (\d+\.\d)", last))
    assert network > blur > given


def test_heartbeats_are_told_apart(run, tmp_path):
    accuracy, total = run("heartbeats", "--quick", "--picture", str(tmp_path / "beats.png"))
    assert total == 2000
    assert accuracy > 0.5


def test_a_run_on_pythons_own_pool_is_the_same_as_here():
    """In a process of its own: each worker imports the script."""
    command = [sys.executable, "-W", "error", "distributed.py", "--quick", "--engine", "pool"]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the parameters are the same, to the bit" in done.stdout


def test_every_script_is_run_here():
    scripts = {path.stem for path in EXAMPLES.glob("[!_]*.py")}
    assert scripts == {name for name, _ in FLOORS} | {
        "denoising", "distributed", "heartbeats", "mnist", "xor",
    }  # fmt: skip
