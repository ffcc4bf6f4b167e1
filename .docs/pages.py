"""The pages of the reference: which there are, and which names stand on each."""

import importlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import public
from entries import entry, first_line, rest

import fcnn

# The names of the package itself: a page of each group, with the modules that it is made of.
LAYERS = {
    "Dense layers, embeddings and convolutions": (
        "dense embedding conv conv_transpose depthwise separable"
    ),
    "Pooling": "pool global_pool adaptive_pool lp_pool",
    "Normalisation": "norm layer_norm group_norm response_norm standardized",
    "Activations and gates": (
        "activations rectifiers prelu smooth hard gates softmax_over elementwise squeeze_excite"
    ),
    "Dropout and noise": "dropout noise",
    "Shapes, padding and resampling": "reshape pad resample",
    "Models made of layers": "combinators branches frozen checkpointed",
}
GROUPS = {
    "Layers, contexts and keys": "_layer _value prng _walk _summary",
    "Gradients": "autodiff _derivatives",
    "Training and prediction": "train _evaluate",
    "Runs in folders": "runs _folder _report",
    "Files": "checkpoint",
    **{title: " ".join(f"layers.{m}" for m in text.split()) for title, text in LAYERS.items()},
    "Further layers": "layers",
    "Further functions": "",
}
SECTIONED = 14  # a page of as many names has sections, one a module


def write(folder: Path) -> None:
    """Write a file for each page, and the index."""
    groups: dict[str, dict[str, Any]] = {title: {} for title in GROUPS}
    for name, thing in public.names(fcnn).items():
        groups[_group(public.home(thing))][name] = thing
    files = {_slug(title): _page(title, fcnn, names) for title, names in groups.items() if names}
    layers = [_slug(title) for title in (*LAYERS, "Further layers")]
    spaces = {each.__name__: each for each in public.spaces() if each is not fcnn}
    for path, space in spaces.items():
        head = f".. py:module:: {path}\n\n{rest(inspect.getdoc(space) or '')}\n"
        files[path] = _page(path, space, public.names(space), head)
    index = [
        _title("fcnn"),
        rest(inspect.getdoc(fcnn) or ""),
        f"This is the reference of version {fcnn.__version__}. README tells how to begin, and "
        "``examples/README.md`` is a cookbook.",
        ".. py:currentmodule:: fcnn",
        _table({f":doc:`{_slug(title)}`": _listed(its) for title, its in groups.items() if its}),
        _table({f":py:mod:`{path}`": first_line(space) for path, space in spaces.items()}),
        _contents("The package", [name for name in files if name not in {*layers, *spaces}]),
        _contents("Layers", [name for name in layers if name in files]),
        _contents("Namespaces", list(spaces)),
    ]
    for name, text in {**files, "index": "\n\n".join(index)}.items():
        (folder / f"{name}.rst").write_text(text, "utf-8")


def _group(home: str) -> str:
    """Return the title of the group with the longest module name that a home begins with."""
    inside = home.removeprefix("fcnn.")
    fits = {
        module: title
        for title, modules in GROUPS.items()
        for module in modules.split()
        if f"{inside}.".startswith(f"{module}.")
    }
    return fits[max(fits, key=len)] if fits else "Further functions"


def _page(title: str, space: ModuleType, names: Mapping[str, Any], head: str = "") -> str:
    rows = {f"`{name}`": first_line(thing) for name, thing in names.items()}
    parts = [_title(title), f".. py:currentmodule:: {space.__name__}", head, _table(rows)]
    order = [f"fcnn.{module}" for module in GROUPS.get(title, "").split()]
    homes: dict[str, list[str]] = {each: [] for each in order}
    for name, thing in names.items():
        homes.setdefault(public.home(thing), []).append(name)
    homes = {home: its for home, its in homes.items() if its}
    sectioned = len(names) >= SECTIONED and len(homes) > 2
    if not sectioned:
        homes = {"": list(names)}
    for home, its in homes.items():
        parts += [_title(_heading(home), "-")] if sectioned else []
        parts += [entry(name, names[name]) for name in its]
    return "\n\n".join(parts)


def _heading(module: str) -> str:
    """Return what a module is about: the first line of its docstring, up to a colon."""
    line = (inspect.getdoc(importlib.import_module(module)) or module).splitlines()[0]
    return re.split(r"[:;.]( |$)", line)[0]


def _table(rows: Mapping[str, str]) -> str:
    cells = [f"   * - {name}\n     - {text}" for name, text in rows.items()]
    return ".. list-table::\n   :class: overview\n   :widths: 30 70\n\n" + "\n".join(cells)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _contents(caption: str, files: list[str]) -> str:
    head = f".. toctree::\n   :hidden:\n   :caption: {caption}\n\n"
    return head + "\n".join(f"   {name}" for name in files)


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}"


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower())
