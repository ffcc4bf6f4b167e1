"""The sdist and the wheel: built, checked, looked into, installed and used."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("build", "setuptools", "twine")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed; pip install '.[dev]' brings them"
)


def python(*arguments, cwd, **environment):
    command = [sys.executable, *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources():
    """Every file of the package, relative to the checkout."""
    paths = [path for path in (ROOT / "fcnn").rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel built from it, of a copy of what is under version control."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in sources():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    python("-m", "build", "--no-isolation", cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sdist, wheel


def test_packages(built, tmp_path):
    """One test, because building takes seconds."""
    sdist, wheel = built
    assert "PASSED" in python("-m", "twine", "check", "--strict", sdist, wheel, cwd=tmp_path)
    expected = sources()
    for needed in ("fcnn/py.typed", "fcnn/data/embedded/ORIGIN.md", "fcnn/_ops/conv.py"):
        assert needed in expected

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    info = {name for name in names if ".dist-info/" in name}
    assert names - info == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in info)
    assert "\nLicense-Expression: MIT\n" in metadata
    assert "\nAuthor: The fcnn authors\n" in metadata

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*expected, "pyproject.toml", "README.md", "LICENSE"} <= names

    site = tmp_path / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site]
    python(*install, wheel, cwd=tmp_path)
    code = "import fcnn; print(fcnn.__file__, len(fcnn.data.mnist('test')), fcnn.__version__)"
    env = {"PYTHONPATH": str(site), "FCNN_DATA": ""}
    file, count, version = python("-c", code, cwd=tmp_path, **env).split()
    assert Path(file) == site / "fcnn" / "__init__.py"
    assert count == "1200"
    assert wheel.name == f"fcnn-{version}-py3-none-any.whl"
