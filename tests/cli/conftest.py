"""Runs of the command line, in this process."""

import pytest

from fcnn.cli import main


@pytest.fixture
def fcnn_command(capsys, monkeypatch, tmp_path):
    """Return ``run(*words) -> (status, output, errors)``, in an empty folder, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FCNN_DATA", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*words):
        status = main(words)
        found = capsys.readouterr()
        assert all(len(line) <= 80 for line in (found.out + found.err).splitlines())
        assert "Traceback" not in found.err
        return status, found.out, found.err

    return run


@pytest.fixture
def train(fcnn_command):
    """Return ``train(*words)``: a short training in this thread, which must end well."""

    def run(*words):
        short = ("--limit", "64", "--epochs", "1", "--workers", "1", "--model", "mlp")
        given = {word for word in words if word.startswith("--")}
        rest = [
            word
            for option, value in zip(short[::2], short[1::2], strict=True)
            for word in (option, value)
            if option not in given and not ("--resume" in given and option != "--workers")
        ]
        status, out, err = fcnn_command("train", *words, *rest)
        assert (status, err) == (0, ""), err
        return out

    return run
