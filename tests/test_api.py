"""The public names with their signatures, and ten error messages, as they were last agreed on.

After a change that is meant: ``python -m tests.test_api`` writes both files anew.
"""

import difflib
import inspect
import re
import typing
from pathlib import Path

import numpy as np
import pytest

import fcnn
from fcnn import data, losses, optim, tree  # noqa: F401 (names that `MISTAKES` uses)
from fcnn._value import Value

HERE = Path(__file__).parent

MISTAKES = """
fcnn.conv2d(8, 5).init(fcnn.key(0), (4, 28, 1))
fcnn.conv2d(8, 5, strides=2)
fcnn.serial(fcnn.relu, fcnn.dense)
model.apply(params, np.zeros((2, 9, 9, 1), np.float32))
model.apply(params, np.zeros((2, 8, 8, 1), np.uint8))
fcnn.dropout(0.5).apply((), np.ones((2, 3), np.float32), fcnn.training())
losses.softmax_cross_entropy(np.zeros((2, 3)), np.array([0, 3]))
tree.map(lambda p, g: p - g, (1.0, {"a": 2.0}), (1.0, {"b": 2.0}))
data.Dataset(np.zeros((3, 2), np.uint8), [0, 1, 2])
fcnn.fit(model, losses.mean_squared_error, optim.scale(-0.1), digits, key=fcnn.key(0), epochs=1)
""".strip().splitlines()


def public(space=fcnn):
    """``(path, thing)`` of every public name, namespaces first."""
    for name in sorted(space.__all__):
        thing = getattr(space, name)
        yield f"{space.__name__}.{name}", thing
        if inspect.ismodule(thing):
            yield from public(thing)


class Text(str):
    """An annotation that prints without quotes."""

    __repr__ = str.__str__


def signature(function):
    found = inspect.signature(function)
    parameters = [
        each.replace(annotation=Text(each.annotation)) if type(each.annotation) is str else each
        for each in found.parameters.values()
    ]
    returns = found.return_annotation
    returns = Text(returns) if type(returns) is str else returns
    text = str(found.replace(parameters=parameters, return_annotation=returns))
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", text)


def describe(path, thing):
    """One line, and for a class or an overloaded function some more."""
    if inspect.ismodule(thing):
        yield f"module {path}"
    elif inspect.isclass(thing) and not typing.get_origin(thing):
        yield from describe_class(path, thing)
    elif path.startswith("fcnn.typing."):
        yield f"type {path}"
    elif isinstance(thing, Value) or not callable(thing):
        yield f"{path}: {type(thing).__name__}"
    else:
        for each in typing.get_overloads(inspect.unwrap(thing)) or [thing]:
            yield f"{path}{signature(each)}"


def describe_class(path, cls):
    own = [base for base in cls.__mro__ if base.__module__.startswith("fcnn")]
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    kind = f" is a {bases}" if bases else ""
    is_called = any("__init__" in vars(base) for base in own) and not is_protocol(cls)
    call = signature(cls).removesuffix(" -> None") if is_called else ""
    yield f"class {path}{call}{kind}"
    for name in sorted({name for base in own for name in vars(base) if not name.startswith("_")}):
        member = inspect.getattr_static(cls, name)
        if type(member).__module__.startswith("sklearn"):  # made by scikit-learn, where it is
            continue
        plain = getattr(member, "__func__", member)
        yield f"    .{name}{signature(plain) if inspect.isfunction(plain) else ''}"


def is_protocol(cls):
    return typing.Protocol in cls.__bases__


def api():
    """The text of ``api.txt``."""
    return "".join(f"{line}\n" for path, thing in public() for line in describe(path, thing))


def messages():
    """The text of ``errors.txt``."""
    model = fcnn.serial(fcnn.conv2d(2, 3), fcnn.relu, fcnn.flatten, fcnn.dense(3))
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    digits = data.Dataset(np.zeros((4, 8, 8, 1), np.float32), [0, 1, 2, 0])
    names = {**globals(), "model": model, "params": params, "digits": digits}
    return "\n".join(f"{line}\n    {message(line, names)}\n" for line in MISTAKES)


def message(line, names):
    try:
        eval(line, names)
    except Exception as error:
        return re.sub(" at 0x[0-9a-f]+", "", f"{type(error).__name__}: {error}")
    raise AssertionError(f"{line} raises nothing")


FILES = {"api.txt": api, "errors.txt": messages}


@pytest.mark.parametrize("name", FILES)
def test_snapshot(name):
    agreed = (HERE / name).read_text("utf-8").splitlines()
    found = FILES[name]().splitlines()
    changes = "\n".join(difflib.unified_diff(agreed, found, f"tests/{name}", "now", lineterm=""))
    assert not changes, f"{changes}\nIf that is meant: python -m tests.test_api"


def test_the_snapshots_see_names_signatures_members_and_messages(monkeypatch):
    def dense(units: int, *, bias: str = "no") -> "Layer": ...  # noqa: F821

    before = api()
    assert "TypeError: conv2d() got an unexpected argument 'strides'" in messages()
    monkeypatch.setattr(fcnn, "dense", dense)
    assert "\nfcnn.dense(units: int, *, bias: str = 'no') -> Layer\n" in api()
    monkeypatch.setattr(fcnn, "__all__", [name for name in fcnn.__all__ if name != "dense"])
    assert "fcnn.dense(" in before
    assert "fcnn.dense(" not in api()
    assert "\nclass fcnn.Layer(" in before
    assert "    .layers\n" in before
    assert "path: str = ''" in before


def test_ten_mistakes():
    assert len(MISTAKES) == 10


@pytest.mark.parametrize(
    ("path", "thing"),
    [(p, t) for p, t in public() if inspect.isfunction(t)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_signature_says_what_comes_back(path, thing):
    returns = inspect.signature(thing).return_annotation
    assert returns not in (inspect.Signature.empty, "Value"), f"{path} returns {returns}"


def test_dir_shows_public_names_only():
    assert dir(fcnn) == sorted(fcnn.__all__)


if __name__ == "__main__":
    for name, text in FILES.items():
        (HERE / name).write_text(text(), "utf-8")
