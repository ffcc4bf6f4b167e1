"""Every snippet of the cookbook runs, in a folder of its own, and has ten lines at most."""

import re
import shlex
import sys
import types
from pathlib import Path

import pytest

from fcnn.cli import main

TEXT = (Path(__file__).parent.parent / "examples" / "README.md").read_text("utf-8")
START, *SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)
TITLES = [section.splitlines()[0] for section in SECTIONS]
OPTIONAL = r"^(?:import|from) (PIL|distributed|jax|nbclient|onnx|optax|safetensors|sklearn|torch)\b"


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


SNIPPETS = {
    f"{title}, {i + 1}": block
    for title, section in zip(TITLES, SECTIONS, strict=True)
    for i, block in enumerate(blocks(section, "python"))
}
COMMANDS = blocks(TEXT, "sh")


@pytest.fixture(scope="module")
def names():
    """What the lines at the beginning define."""
    (block,) = blocks(START, "python")
    found = {}
    exec(compile(block, "the cookbook's beginning", "exec"), found)
    return found


# Dask's own, of ports, loops and files.
NOISE = {"Train on a cluster, 1": pytest.mark.filterwarnings("ignore")}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=NOISE.get(name, ())) for name in SNIPPETS]
)
def test_snippet(name, names, tmp_path, monkeypatch):
    block = SNIPPETS[name]
    for library in re.findall(OPTIONAL, block, re.MULTILINE):
        pytest.importorskip(library, exc_type=ImportError)
    if "tensorboard" in block:
        pytest.importorskip("tensorboard", exc_type=ImportError)
    if "fcnn.plot." in block:
        pytest.importorskip("matplotlib", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    # A module, so that what a snippet defines pickles as it does in a script.
    script = types.ModuleType("cookbook")
    script.__dict__.update(names, __name__="cookbook")
    monkeypatch.setitem(sys.modules, "cookbook", script)
    exec(compile(block, f"examples/README.md, {name}", "exec"), script.__dict__)


@pytest.mark.parametrize("block", COMMANDS)
def test_commands(block, tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image", exc_type=ImportError)
    pytest.importorskip("onnx", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FCNN_DATA", raising=False)
    image.new("L", (28, 28)).save("digit.png")
    for line in block.splitlines():
        command, *arguments = shlex.split(line, comments=True)
        assert command == "fcnn"
        assert main(arguments) == 0, capsys.readouterr().err


@pytest.mark.parametrize("block", [*SNIPPETS.values(), *COMMANDS, *blocks(START, "python")])
def test_a_snippet_is_short(block):
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 100


def test_every_job_is_linked_once():
    links = re.findall(r"\]\(#([^)]*)\)", START)
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in TITLES]
    assert sorted(links) == sorted(anchors)


def test_snippets_are_found():
    assert len(SNIPPETS) >= 20
    assert all("```python\n" in section or "```sh\n" in section for section in SECTIONS)
