"""The layers of the code: who may import whom, and where each public name lives."""

import ast
import importlib
import inspect
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent

# A module imports from lower rows only; the longest name that fits decides. Files of one
# package may import each other, without a cycle.
ROWS = {
    "fcnn._typing": 0,
    "fcnn._signatures": 0.5,
    "fcnn.errors": 0,
    "fcnn._blas": 1,
    "fcnn._call": 0,
    "fcnn._check": 1,
    "fcnn._prefetch": 1,
    "fcnn._value": 1,
    "fcnn.prng": 2,
    "fcnn.tree": 2,
    "fcnn._record": 2.5,
    "fcnn.initializers": 3,
    "fcnn._batch": 3,
    "fcnn._stream": 3.1,
    "fcnn._layer": 3,
    "fcnn._ops": 3,
    "fcnn._walk": 3.1,
    "fcnn._freezing": 3.1,
    "fcnn._pointwise": 3.1,
    "fcnn._sharing": 3.2,
    "fcnn.fusion": 3.3,
    "fcnn.layers": 4,
    "fcnn.losses": 4,
    "fcnn.metrics": 4,
    "fcnn._doors": 3.4,
    "fcnn._scores": 4,
    "fcnn.optim": 4,
    "fcnn.data": 4,
    "fcnn.checkpoint": 4.5,
    "fcnn.parallel": 4,
    "fcnn.autodiff": 5,
    "fcnn._evaluate": 5,
    "fcnn._calibrate": 5.1,
    "fcnn._jit": 4.2,
    "fcnn._summary": 5,
    "fcnn.typing": 5,
    "fcnn._derivatives": 5.5,
    "fcnn.explain": 5.6,
    "fcnn.export": 6,
    "fcnn.quantize": 6.1,
    "fcnn.models": 5,
    "fcnn.plot": 6.5,
    "fcnn._folder": 5.7,
    "fcnn._report": 5.8,
    "fcnn.runs": 6.5,
    "fcnn.train": 6,
    "fcnn.testing": 6,
    "fcnn.jax": 6.5,
    "fcnn.sklearn": 6.5,
    "fcnn.weights": 6,
    "fcnn": 7,
    "fcnn.__main__": 7.5,
    "fcnn.cli": 7,
}
PACKAGES = {
    "fcnn._jit",
    "fcnn.jax",
    "fcnn.sklearn",
    "fcnn._derivatives",
    "fcnn._folder",
    "fcnn._report",
    "fcnn.runs",
    "fcnn.cli",
    "fcnn.explain",
    "fcnn.plot",
    "fcnn._ops",
    "fcnn.checkpoint",
    "fcnn.initializers",
    "fcnn.layers",
    "fcnn.models",
    "fcnn.losses",
    "fcnn.metrics",
    "fcnn.optim",
    "fcnn.parallel",
    "fcnn.data",
    "fcnn.export",
    "fcnn.testing",
    "fcnn.train",
    "fcnn.tree",
    "fcnn.weights",
}


def name_of(path):
    parts = ("fcnn", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def place(module):
    """The entry of `ROWS` that a module falls under."""
    parts = module.split(".")
    for n in range(len(parts), 1, -1):
        if ".".join(parts[:n]) in ROWS:
            return ".".join(parts[:n])
    return module


def imports(module):
    """The modules of fcnn that a module imports, anywhere, but for the type checker's eyes."""
    tree = ast.parse(FILES[module].read_text("utf-8"))
    is_package = FILES[module].name == "__init__.py"
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".") if is_package else module.split(".")[:-1]
            base = base[: len(base) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            whole = [f"{origin}.{alias.name}" for alias in node.names]
            names = [name if name in FILES else origin for name in whole]
        else:
            continue
        for name in names:
            if name == "fcnn" or name.startswith("fcnn."):
                assert name in FILES, f"{module} imports {name}, which is not there"
                yield name


@pytest.mark.parametrize("module", FILES)
def test_a_module_has_a_row(module):
    assert place(module) in ROWS, f"give {module} a row in {__file__}"


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_from_lower_rows_only(module):
    here = place(module)
    for imported in imports(module):
        there = place(imported)
        if here == there and here in PACKAGES:
            continue
        assert ROWS[there] < ROWS[here], (
            f"{module} of row {ROWS[here]} imports {imported} of row {ROWS[there]}"
        )


FAMILIES = {
    "activations", "adaptive_pool", "checkpointed", "combinators", "conv", "conv_transpose",
    "dense", "depthwise", "dropout", "elementwise", "embedding", "frozen", "gates",
    "global_pool", "group_norm", "hard", "layer_norm", "lp_pool", "noise", "norm", "pad", "pool",
    "prelu", "rectifiers", "resample", "reshape", "response_norm", "smooth", "softmax_over",
    "standardized",
}  # fmt: skip
COMMON = {
    "_chain", "_children", "_composition", "_convolution", "_example_norm", "_sliding",
    "_transposed",
}  # fmt: skip
"""What layers of several families, or of several ranks, are made of."""


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_no_family_of_layers_knows_another(family):
    """Neighbours meet in `fused` alone; `branches` and `separable` are made of other layers."""
    found = {name for name in imports(f"fcnn.layers.{family}") if name.startswith("fcnn.layers")}
    assert found <= {f"fcnn.layers.{name}" for name in COMMON}


def test_every_file_of_layers_is_a_family_or_known_to_join_them():
    joining = {"_joins", "_side_by_side", "branches", "fused", "separable", "squeeze_excite"}
    files = {name.removeprefix("fcnn.layers").lstrip(".") for name in FILES if ".layers" in name}
    assert files == FAMILIES | joining | COMMON | {""}


def test_no_import_goes_in_a_circle():
    graph = {module: {i for i in imports(module) if i != module} for module in FILES}
    order = tuple(TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(order) == set(FILES)


def test_the_checker_of_imports_sees_every_form():
    assert not set(imports("fcnn"))  # all of it for the type checker's eyes
    found = set(imports("fcnn._walk"))
    assert {"fcnn._layer", "fcnn.prng"} <= found
    assert "fcnn.parallel" in set(imports("fcnn.autodiff"))
    assert "fcnn._ops.window" in set(imports("fcnn._ops.conv"))


def test_importing_fcnn_imports_nothing_heavy():
    heavy = [
        "scipy.signal", "scipy.special", "scipy.linalg", "scipy.ndimage", "matplotlib", "tqdm",
        "threadpoolctl", "dask", "torch", "jax", "onnx", "gzip", "lzma", "zipfile",
        "urllib.request", "multiprocessing",
    ]  # fmt: skip
    code = (
        "import fcnn, sys; before = 'numpy' in sys.modules\n"
        "fcnn.serial(fcnn.conv2d(2, 3), fcnn.relu).init(fcnn.key(0), (8, 8, 1))\n"
        f"print([m for m in {heavy!r} if m in sys.modules] + ['numpy'] * before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_namespaces_that_are_imported_late_are_there_when_they_are_named():
    code = "import fcnn; print('data' in dir(fcnn), fcnn.data.mnist, fcnn.metrics, fcnn.testing)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True")
    with pytest.raises(AttributeError, match="module 'fcnn' has no attribute 'dta'"):
        _ = fcnn.dta


@pytest.mark.parametrize("module", FILES)
def test_nothing_of_numpys_global_generator_is_used(module):
    if module == "fcnn.testing._globals":  # which watches it, and puts it back
        return
    allowed = {"Generator", "Philox", "SeedSequence"}
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
            "np.random",
            "numpy.random",
        ):
            assert node.attr in allowed, f"{module}:{node.lineno} uses np.random.{node.attr}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", "")]
            assert not {"random", "numpy.random"} & set(modules), f"{module}:{node.lineno}"


@pytest.mark.parametrize("module", FILES)
def test_no_assert_is_spent_on_a_callers_mistake(module):
    if module.startswith("fcnn.testing"):
        return
    tree = ast.parse(FILES[module].read_text("utf-8"))
    found = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not found, f"{module} asserts in lines {found}"


def namespaces():
    """The top level and every module in its ``__all__``, and theirs."""
    found, todo = [], [fcnn]
    while todo:
        space = todo.pop()
        found.append(space)
        todo += [getattr(space, n) for n in space.__all__ if inspect.ismodule(getattr(space, n))]
    return found


def test_every_public_name_is_there():
    for space in namespaces():
        assert len(set(space.__all__)) == len(space.__all__)
        for name in space.__all__:
            assert hasattr(space, name), f"{space.__name__}.{name}"
            assert not name.startswith("_")


def test_every_public_name_has_one_path():
    paths = {}
    for space in namespaces():
        for name in space.__all__:
            paths.setdefault(id(getattr(space, name)), []).append(f"{space.__name__}.{name}")
    doubled = [names for names in paths.values() if len(names) > 1]
    assert not doubled


def test_every_public_file_is_a_public_namespace_or_reexported():
    """A file without an underscore either is a namespace or has its names at the top level."""
    spaces = {space.__name__ for space in namespaces()}
    top = set(fcnn.__all__)
    for module in FILES:
        parts = module.split(".")[1:]
        if len(parts) != 1 or parts[0].startswith("_") or module in spaces or parts[0] == "cli":
            continue
        found = importlib.import_module(module)
        own = getattr(found, "__all__", None) or [
            name
            for name, value in vars(found).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module
        ]
        assert top & set(own), f"{module} is no namespace, and none of its names is public"


@pytest.mark.parametrize(
    "module", [module for module, path in FILES.items() if path.name == "__init__.py"]
)
def test_an_init_defines_nothing(module):
    """But what imports a namespace late, and what the type checker sees in its place."""
    first, *rest = ast.parse(FILES[module].read_text("utf-8")).body
    if module == "fcnn":
        late = [node for node in rest if isinstance(node, ast.FunctionDef | ast.If)]
        assert [ast.unparse(node).split("(")[0].split(":")[0] for node in late] == [
            "if TYPE_CHECKING",
            "def __dir__",
        ]
        rest = [node for node in rest if node not in late]
    assert isinstance(first, ast.Expr), "a docstring comes first"
    assert isinstance(first.value, ast.Constant)
    for node in rest:
        if isinstance(node, ast.Assign):
            assert ast.unparse(node.targets[0]) in ("__all__", "__version__")
        else:
            assert isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)


def test_what_is_imported_when_named_is_what_the_type_checker_sees():
    """Both branches of ``if TYPE_CHECKING`` in ``fcnn/__init__.py`` name the same things."""
    (branch,) = (
        node
        for node in ast.walk(ast.parse((ROOT / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    )
    seen = {
        alias.name: node.module
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    named = {name: f"fcnn.{home}" for home, names in fcnn._HOMES.items() for name in names}
    assert seen == named | dict.fromkeys(fcnn._MODULES, "fcnn")
    assert set(seen) <= set(fcnn.__all__)


CONSTANT = {"fcnn._ops.memory", "fcnn._ops.winograd.matrices", "fcnn._ops.scatter"}
"""Which may make arrays with NumPy itself: what makes them, tables, and one recorded call."""
OF_SHAPES = {
    "fcnn._ops.depthwise": {"places"},
    "fcnn._ops.resample": {"np.ones(out)", "np.full(stop - start, 1 / (stop - start))"},
}
"""Arrays computed of shapes alone, which are no results."""


@pytest.mark.parametrize(
    "module", [m for m in FILES if m.startswith(("fcnn._ops", "fcnn.layers", "fcnn.losses"))]
)
def test_kernels_make_arrays_where_a_recorder_sees_them(module):
    """See `fcnn._ops.memory`."""
    if module in CONSTANT:
        return
    names = ("empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like")
    unseen = {f"np.{name}" for name in (*names, "ascontiguousarray", "asarray", "array")}
    text = FILES[module].read_text("utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in unseen:
            line = lines[node.lineno - 1]
            allowed = any(each in line for each in OF_SHAPES.get(module, ()))
            assert allowed, f"{module}:{node.lineno}: use fcnn._ops.memory"
