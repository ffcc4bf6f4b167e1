"""What a run shows: a line for each epoch, at once, and a bar where somebody sees it."""

import io
import re
import sys
import types

import numpy as np
import pytest

import fcnn
from fcnn import optim
from fcnn.data import Dataset
from fcnn.losses import softmax_cross_entropy

DATA = Dataset(np.eye(12, dtype=np.float32), np.arange(12) % 2)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Writer:
    """As a logger puts in the place of standard error: no isatty."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


def fit(**options):
    options = {"key": fcnn.key(0), "epochs": 2, "batch_size": 4} | options
    return fcnn.fit(fcnn.dense(2), softmax_cross_entropy, optim.sgd(0.1), DATA, **options)


def test_a_line_for_each_epoch(capsys):
    fit(validation=DATA[:3])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        numbers = r"loss \d\.\d{4}  accuracy \d\.\d{4}  val_loss \d\.\d{4}  val_accuracy \d\.\d{4}"
        assert re.fullmatch(rf"epoch {number}/2  {numbers}  \d\.\d s", line), line


@pytest.mark.parametrize("log", [{}, {"log": print}])
def test_each_line_is_flushed(monkeypatch, log):
    class Pipe(io.StringIO):
        flushed = 0

        def flush(self):
            assert self.getvalue().endswith(" s\n"), "after the line"
            self.flushed = self.getvalue().count("\n")

    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    lines = []
    state = None
    for epoch in (1, 2):
        state = fit(state=state, epochs=epoch, **log).state
        lines.append(pipe.flushed)
    assert lines == [1, 2]


def test_without_a_log_nothing_is_shown(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(log=None)
    assert capsys.readouterr().out == terminal.getvalue() == ""


def test_a_log_is_called_with_each_line(capsys):
    lines = []
    run = fit(log=lines.append)
    assert lines == [str(report) for report in run.history]
    assert capsys.readouterr().out == ""


def test_a_terminal_shows_a_bar_for_each_epoch(monkeypatch):
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)  # no thread that outlives the test
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(log=lambda line: None)
    for epoch in ("epoch 1/2", "epoch 2/2"):
        assert f"{epoch}:   0%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue() or "0/3" in terminal.getvalue()
    assert terminal.getvalue().rstrip(" ").endswith("\r"), "the bar is wiped out"


def test_a_bar_counts_the_steps_that_are_left(monkeypatch):
    made = []

    class Bar:
        def __init__(self, **options):
            made.append(options)
            self.steps = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            made[-1]["steps"] = self.steps

        def update(self):
            self.steps += 1

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr("tqdm.tqdm", Bar)
    state = next(
        fcnn.train.steps(
            fcnn.dense(2), softmax_cross_entropy, optim.sgd(0.1), DATA,
            fcnn.train.init(fcnn.dense(2), optim.sgd(0.1), DATA, fcnn.key(0)), batch_size=4,
        )
    )  # fmt: skip
    fit(state=state, log=lambda line: None)
    assert [(each["desc"], each["total"], each["steps"]) for each in made] == [
        ("epoch 1/2", 2, 2),
        ("epoch 2/2", 3, 3),
    ]


@pytest.mark.parametrize("stream", [None, Writer(), io.StringIO()])
def test_without_a_terminal_there_is_no_bar(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    fit(log=lambda line: None)
    if isinstance(stream, io.StringIO):
        assert stream.getvalue() == ""


def test_a_closed_standard_error_is_no_terminal(monkeypatch):
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(Terminal, "isatty", io.StringIO.isatty)
    fit(log=lambda line: None)


def in_a_notebook(monkeypatch, shell):
    """Make IPython's shell this one, and standard error a stream that is no terminal."""
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


JUPYTER = types.SimpleNamespace(kernel=object())


def test_a_notebook_without_widgets_shows_a_bar_of_text(monkeypatch):
    stream = in_a_notebook(monkeypatch, JUPYTER)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    fit(log=lambda line: None)
    assert "epoch 1/2" in stream.getvalue()


def test_a_notebook_with_widgets_shows_one(monkeypatch):
    from tqdm import tqdm

    made = []

    class Widget(tqdm):
        def __init__(self, *args, **kwargs):
            made.append(kwargs["desc"])
            super().__init__(*args, file=io.StringIO(), **kwargs)

    stream = in_a_notebook(monkeypatch, JUPYTER)
    module = types.ModuleType("tqdm.notebook")
    module.tqdm = Widget
    monkeypatch.setitem(sys.modules, "ipywidgets", types.ModuleType("ipywidgets"))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", module)
    fit(log=lambda line: None)
    assert made == ["epoch 1/2", "epoch 2/2"]
    assert stream.getvalue() == ""


@pytest.mark.parametrize("shell", [None, types.SimpleNamespace()])
def test_ipython_without_a_kernel_is_no_notebook(monkeypatch, shell):
    stream = in_a_notebook(monkeypatch, shell)
    fit(log=lambda line: None)
    assert stream.getvalue() == ""
