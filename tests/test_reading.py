"""The maps of the source name every file, and what they name is there."""

import ast
import re
from pathlib import Path

import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent
GUIDE = (ROOT / "READING.md").read_text("utf-8")
PACKAGES = sorted(path.parent for path in ROOT.rglob("__init__.py") if path.parent != ROOT)
ONE_FILE = {"quantize"}
ROW = re.compile(r"(?:\w+/?, )*\w+/?(?=  +\S|$)")
"""Names at the start of a line, and behind two spaces, or on the next line, what they are."""


def files(folder):
    """The names of a package's files, and of the packages in it with a slash."""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    return modules | {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}


def is_private(folder):
    return any(part.startswith("_") for part in folder.relative_to(ROOT).parts)


def named(folder):
    """The rows of a package's map: in its docstring, or in a comment below one for users."""
    text = (folder / "__init__.py").read_text("utf-8")
    if is_private(folder) or folder.name == "cli":
        lines = [line[4:] for line in ast.parse(text).body[0].value.value.splitlines()
                 if line.startswith("    ")]  # fmt: skip
    else:
        lines = [line[4:] for line in text.splitlines() if line.startswith("#   ")]
    rows = [ROW.match(line) for line in lines]
    return {name for row in rows if row for name in row[0].split(", ")}


MAPPED = [each for each in PACKAGES if each.name not in ONE_FILE]


@pytest.mark.parametrize("folder", MAPPED, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_package_begins_with_a_map_of_its_files(folder):
    found = named(folder)
    doc = ast.parse((folder / "__init__.py").read_text("utf-8")).body[0].value.value
    inline = set(re.findall(r"`(_\w+)`", doc)) if folder.name == "cli" else set()
    assert found - files(folder) == set()
    assert files(folder) - found - inline == set()


def test_the_guide_names_every_file_and_package_at_the_top():
    quoted = set(re.findall(r"`(\w+)`", GUIDE))
    assert {name.rstrip("/") for name in files(ROOT)} - quoted - {"_layer"} == set()


def test_what_the_guide_names_is_there():
    paths = re.findall(r"`(fcnn/[\w/]+\.py)(?::(\w+))?`", GUIDE)
    assert len(paths) > 30
    for path, name in paths:
        tree = ast.parse((ROOT.parent / path).read_text("utf-8"))
        own = {node.name for node in tree.body if hasattr(node, "name")}
        assert not name or name in own, f"{path} has no {name}"
