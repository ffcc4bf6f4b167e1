"""Users' scripts as mypy and pyright see them: no ``Any`` leaks, and mistakes are found."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fcnn

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SCRIPTS = HERE / "scripts"

WRONG = """
from typing import assert_type
import fcnn
assert_type(fcnn.relu, fcnn.Key)
params, _ = fcnn.dense(3).init(fcnn.key(0), (2,))
assert_type(fcnn.tree.map(lambda p: p, params), int)
fcnn.value_and_grad(fcnn.dense(3))
""".lstrip()
WRONG_LINES = {3, 5, 6}


def readme_script():
    """The README's first network and its loop written by hand."""
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[:2]
    assert "fcnn.fit(" in blocks[0]
    assert "fcnn.value_and_grad(" in blocks[1]
    return "\n".join(blocks)


@pytest.fixture
def folder(tmp_path):
    """A folder of scripts, as a user has them: apart from the package."""
    for script in SCRIPTS.glob("*.py"):
        shutil.copy(script, tmp_path)
    (tmp_path / "readme.py").write_text(readme_script())
    (tmp_path / "wrong.py").write_text(WRONG)
    return tmp_path


def run(command, folder):
    path = os.pathsep.join(
        [str(Path(fcnn.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    )
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def mypy(folder):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; pip install '.[dev]' brings it")
    files = sorted(path.name for path in folder.glob("*.py"))
    done = run([sys.executable, "-m", "mypy", "--strict", "--output=json", *files], folder)
    assert not done.stderr, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all("file" in error for error in found), done.stdout
    return [
        (error["file"], error["line"], error["message"])
        for error in found
        if error["severity"] == "error"
    ]


def pyright(folder):
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed; pip install '.[dev]' brings it")
    config = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": True}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    command = ["--outputjson", "--pythonpath", sys.executable]
    done = run([sys.executable, "-m", "pyright", *command], folder)
    report = json.loads(done.stdout)
    return [
        (Path(error["file"]).name, error["range"]["start"]["line"] + 1, error["message"])
        for error in report["generalDiagnostics"]
    ]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_scripts(checker, folder):
    """All at once, because a checker takes seconds to start."""
    errors = checker(folder)
    wrong = {line for file, line, _ in errors if file == "wrong.py"}
    assert wrong == WRONG_LINES, "a mistake is not found, so the rest proves nothing"
    others = [f"{file}:{line}: {message}" for file, line, message in errors if file != "wrong.py"]
    assert not others, "\n".join(others)
