"""Every example in a docstring runs and is true, and every public function has one."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import fcnn
from fcnn._value import Value

ROOT = Path(__file__).parent.parent
MODULES = [
    "fcnn",
    *(
        info.name
        for info in pkgutil.walk_packages(fcnn.__path__, "fcnn.")
        if not info.name.endswith("__main__")
    ),
]


def owner(thing):
    """The module that a function, a class or a value was written in."""
    if isinstance(thing, Value):
        return thing.spec.constructor.__module__
    return getattr(inspect.unwrap(thing), "__module__", None) if callable(thing) else None


def docstrings(module):
    """``(name, docstring)`` of a module and of everything written in it.

    doctest's own finder passes over what `functools.wraps` has wrapped, and over values.
    """
    yield module.__name__, module.__doc__
    for name, thing in sorted(vars(module).items()):
        if owner(thing) != module.__name__:
            continue
        yield f"{module.__name__}.{name}", thing.__doc__
        if inspect.isclass(thing):
            for member, value in sorted(vars(thing).items()):
                plain = value.fget if isinstance(value, property) else value
                plain = getattr(plain, "__func__", plain)
                if inspect.isfunction(plain) and not member.startswith("_"):
                    yield f"{module.__name__}.{name}.{member}", plain.__doc__


EXAMPLES = {
    name: doc
    for module in MODULES
    for name, doc in docstrings(importlib.import_module(module))
    if doc and ">>>" in doc
}

LIBRARIES = {
    "fcnn.plot.": "matplotlib",
    "fcnn.data._columns.read_parquet": "pyarrow",
    "fcnn.data._columns.": "PIL",
    "fcnn.jax.": "jax",
    "fcnn.sklearn.": "sklearn",
    "fcnn.data._images.": "PIL",
    "fcnn.data._image_folder.": "PIL",
    "fcnn.data._published.sklearn_digits": "sklearn",
    "fcnn.export._onnx.onnx": "onnx",
    "fcnn.weights._save.save": "safetensors",
}
"""What examples need besides fcnn."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    for part, library in LIBRARIES.items():
        if name.startswith(part):
            pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    # No names but those that the example imports: a reader can paste it.
    test = doctest.DocTestParser().get_doctest(
        inspect.cleandoc(EXAMPLES[name]), {"__name__": "example"}, name, None, None
    )
    report = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)


def test_examples_are_found_behind_wrappers_and_in_values():
    assert {"fcnn", "fcnn.layers.conv.conv2d", "fcnn.layers.activations.relu",
            "fcnn.losses._classes.softmax_cross_entropy", "fcnn.tree._map.map", "fcnn._layer.Layer",
            "fcnn.initializers._scaled.he_normal"} <= set(EXAMPLES)  # fmt: skip
    assert len(EXAMPLES) > 60


def public():
    """``(path, thing)`` for every public name that is no module."""
    todo = [fcnn]
    while todo:
        space = todo.pop()
        for name in space.__all__:
            thing = getattr(space, name)
            if inspect.ismodule(thing):
                todo.append(thing)
            else:
                yield f"{space.__name__}.{name}", thing


PUBLIC = dict(public())


@pytest.mark.parametrize(("path", "thing"), list(PUBLIC.items()), ids=list(PUBLIC))
def test_every_public_name_is_documented(path, thing):
    if inspect.isclass(thing):
        assert thing.__doc__, path
    elif isinstance(thing, Value) or inspect.isroutine(thing):
        assert thing.__doc__, path
        assert ">>>" in thing.__doc__, f"{path} has no example"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module):
    assert importlib.import_module(module).__doc__


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_blocks_are_found():
    assert blocks("a\n```python\nx = 1\n```\n```sh\nls\n```\n```python\ny\n```\n") == [
        "x = 1\n",
        "y\n",
    ]


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    found = blocks((ROOT / "README.md").read_text("utf-8"))
    assert found
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    for i, block in enumerate(found):
        exec(compile(block, f"README.md, python block {i + 1}", "exec"), names)
