"""The API reference is built without a warning, and has each public name once."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MISSING = [name for name in ("sphinx", "furo") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed; pip install '.[docs]' brings them"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages by name; Sphinx's warnings fail the build."""
    folder = tmp_path_factory.mktemp("reference")
    command = [sys.executable, str(ROOT / ".docs"), str(folder)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == f"reference: {folder / 'index.html'}\n"
    return {path.name: path.read_text("utf-8") for path in folder.glob("*.html")}


def test_each_public_name_stands_there_once(pages):
    api = (ROOT / "tests" / "api.txt").read_text("utf-8")
    kinds = re.findall(r"^(module )?(?:class |type )?(fcnn\.[\w.]+)", api, re.MULTILINE)
    names = {f"module-{name}" if is_module else name for is_module, name in kinds}
    assert {"fcnn.conv2d", "fcnn.relu", "fcnn.EVAL", "fcnn.typing.Size", "fcnn.train.State",
            "module-fcnn.data.augment"} <= names  # fmt: skip
    found = Counter(name for text in pages.values() for name in re.findall(r'id="([^"]+)"', text))
    assert {name: found[name] for name in names} == dict.fromkeys(names, 1)


def test_names_lead_to_each_other(pages):
    convolutions = pages["dense-layers-embeddings-and-convolutions.html"]
    assert 'href="layers-contexts-and-keys.html#fcnn.Layer"' in convolutions
    assert 'href="fcnn.errors.html#fcnn.errors.ShapeError"' in convolutions


def test_names_keep_their_underscore(pages):
    assert "<strong>classes_</strong>" in pages["fcnn.sklearn.html"]


def test_nothing_is_loaded_from_elsewhere(pages):
    text = "".join(pages.values())
    loaded = re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]+)"', text)
    assert "searchindex.js" in loaded
    assert not [each for each in loaded if re.match(r"(https?:)?//", each)]
