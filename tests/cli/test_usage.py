"""What is said of wrong arguments: one sentence, the word that was meant, and a status."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fcnn.cli import _main, main
from fcnn.cli._text import paint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "expected a command, got 'trian'; did you mean train?"),
        (["train", "--epoch", "3"], "expected an option, got '--epoch'; did you mean --epochs?"),
        (["train", "--epochs", "0"], "--epochs: expected a whole number from 1, got '0'"),
        (["train", "--learning-rate", "nan"], "expected a number above 0, got 'nan'"),
        (["train", "--schedule", "cosin"], "got 'cosin'; did you mean cosine?"),
        (["train", "--optimizer", "adm"], "an optimizer's name, got 'adm'; did you mean adam?"),
        (["train", "--optimizer", "sgd(mass=1)"], "unexpected keyword argument 'mass'"),
        (["train", "--augment", "flp+shift"], "got 'flp'; did you mean flip?"),
        (["train", "--model", "lenet"], "got 'lenet'; did you mean lenet5?"),
        (["train", "--workers", "100000"], "expected at most"),
        (["train", "--data", "mnits"], "got 'mnits'; did you mean mnist?"),
        (["train", "--size", "0"], "expected a size such as 64 or 48x64, got '0'"),
        (["train", "--resume"], "expected a run below runs to go on with, got none"),
        (["train", "--limit", "99999"], "expected at most 5000 as limit, got 99999"),
        (["train", "digits"], "expected no more arguments, got 'digits'"),
        (["evaluate", "runs/none"], "expected the folder of a run, got 'runs/none'"),
        (["evaluate"], "expected RUN, got nothing"),
        (["summary", "mlp", "28x28"], "expected the shape of one example"),
        (["data", "where", "minst"], "got 'minst'; did you mean mnist?"),
        (["sweep", "--try", "rate=1"], "expected OPTION=VALUE,VALUE, got 'rate=1'"),
        (["export", "runs/none", "m.onx"], "expected a file that ends in .onnx"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_status_2(fcnn_command, words, said):
    status, out, err = fcnn_command(*words)
    assert (status, out) == (2, "")
    text = " ".join(err.split())
    assert said in text
    assert text.startswith(f"fcnn {words[0]}: " if words[0] in _main.COMMANDS else "fcnn: ")


def test_help_is_of_every_command_and_fits(fcnn_command):
    assert fcnn_command()[0] == 2
    status, out, _ = fcnn_command("--help")
    assert status == 0
    for name in _main.COMMANDS:
        assert f"\n  {name} " in out
        status, text, _ = fcnn_command(name, "--help")
        assert status == 0
        assert text.startswith(f"usage: fcnn {name}")
        assert "examples:\n  " in text


def test_version(fcnn_command):
    assert fcnn_command("--version")[1].startswith("fcnn ")


def test_an_error_of_a_file_names_it(fcnn_command, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    assert "expected an .npz file" in fcnn_command("train", "--data", "bad.npz")[2]
    np.savez("empty.npz", z=np.zeros(3))
    assert "expected arrays x and y" in fcnn_command("train", "--data", "empty.npz")[2]
    status, _, err = fcnn_command("train", "--data", "gone.npz")
    assert (status, "cannot use gone.npz: no such file" in err) == (2, True)


def test_paint_is_for_terminals_that_want_it(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "bold", Terminal()) == "\x1b[1mx\x1b[0m"
    assert paint("x", "bold") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "bold", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert paint("x", "bold", Terminal()) == "x"


def test_ctrl_c_is_status_130(fcnn_command, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fcnn.cli._summary.run", stop)
    assert fcnn_command("summary", "mlp") == (130, "", "fcnn summary: stopped\n")


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fcnn", "summary", "resnet56", "(32, 32, 3)"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_bug_is_no_callers_mistake(monkeypatch):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr("fcnn.cli._summary.run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["summary", "mlp"])
