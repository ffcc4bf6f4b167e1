"""``python -m fcnn check``: the table, the exit status, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

import fcnn
from fcnn.__main__ import main
from fcnn.testing._layer import LAWS
from fcnn.testing._table import Row, layer_rows, table

ROOT = Path(fcnn.__file__).parents[1]
MODULE = """
import fcnn
import ran

@fcnn.layer
def scale(factor, *, slip=1.0, order=("a", -1)):
    def init(key, shape):
        return (), shape

    def apply(params, x, ctx=fcnn.EVAL):
        return factor * x

    def vjp(params, x, ctx=fcnn.EVAL):
        return factor * x, lambda dy: ((), slip * factor * dy)

    return init, apply, vjp

@fcnn.layer
def double():
    return scale(2.0).init, scale(2.0).apply, scale(2.0).vjp

half = scale(0.5)
bare = tuple(half)

def refuses():
    raise fcnn.errors.ArgumentError("expected a full moon")

def fail(*args):
    ran.calls.append(args)
"""


@pytest.fixture
def mylayers(tmp_path, monkeypatch):
    (tmp_path / "mylayers.py").write_text(MODULE)
    (tmp_path / "ran.py").write_text("calls = []")
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mylayers", "ran", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in ("mylayers", "ran", "broken"):
        sys.modules.pop(name, None)


def run(capsys, *arguments):
    status = main(["check", *arguments])
    return status, capsys.readouterr().out


@pytest.mark.usefixtures("mylayers")
class TestCheck:
    @pytest.mark.parametrize("layer", [
        "mylayers:scale(2.0)", "mylayers:scale(factor=-2.0, order=('b', -3))", "mylayers:double",
        "mylayers:half", "mylayers:bare", "mylayers:serial(scale(0.5), dense(2))",
    ])  # fmt: skip
    def test_a_right_layer(self, layer, capsys):
        status, out = run(capsys, layer, "(4, 5, 1)")
        assert status == 0
        assert out.splitlines()[-1] == f"all {len(LAWS)} laws hold"
        for law in LAWS:
            assert f"\n{law.name} " in out

    def test_a_wrong_layer(self, capsys):
        status, out = run(capsys, "mylayers:scale(2.0, slip=1.001)", "(4,)")
        assert status == 1
        assert out.splitlines()[-1] == f"1 of {len(LAWS)} laws is broken"
        assert "gradient      BROKEN: on (4,) in evaluation: for 1 example(s), the pullback" in out
        assert max(map(len, out.splitlines())) <= 80

    def test_shapes(self, capsys):
        assert run(capsys, "mylayers:half", "5")[0] == 0
        assert run(capsys, "mylayers:half", "[4, 5]")[0] == 0
        both = "fcnn:serial(itemwise(dense(2), flatten), concat())"
        assert run(capsys, both, "((3,), (2, 2, 1))")[0] == 0

    def test_a_law_may_be_left_out(self, capsys):
        wrong = "mylayers:scale(2.0, slip=1.001)"
        status, out = run(capsys, wrong, "(4,)", "--skip", "gradient", "--skip", "calls")
        assert status == 0
        assert out.splitlines()[-1] == f"all {len(LAWS) - 2} laws hold"

    @pytest.mark.parametrize(
        ("layer", "said"),
        [
            ("mylayers", "expected module:name or module:name(arguments), got 'mylayers'"),
            ("mylayers:", "expected module:name"),
            (":scale", "expected module:name"),
            ("nowhere:scale", "expected a module that Python finds, got 'nowhere'"),
            ("mylayers.inner:scale", "expected a module that Python finds"),
            ("broken:scale", "expected a module that imports, got 'broken': No module named"),
            ("mylayers.py:scale", "write mylayers:scale"),
            ("./pack/mylayers.py:scale", "write pack.mylayers:scale"),
            ("mylayers:scal", "got 'scal'; did you mean scale?"),
            ("mylayers:scale", "needs arguments, scale(factor, "),
            ("mylayers:scale()", "missing a required argument: 'factor'"),
            ("mylayers:scale(2.0, slop=1)", "unexpected keyword argument 'slop'"),
            ("mylayers:scale(", "expected a name or a call, got 'scale('"),
            ("mylayers:scale(2.0).vjp", "expected a name or a call"),
            ("mylayers:scale(2 ** 9)", "expected names, calls and literals, got '2 ** 9'"),
            ("mylayers:scale(*(1, 2))", "expected names, calls and literals"),
            ("mylayers:scale(**{})", "expected plain arguments"),
            ("mylayers:scale([x for x in (1,)])", "expected names, calls and literals"),
            ("mylayers:scale(lambda: fail(1))", "expected names, calls and literals"),
            ("mylayers:scale(fail.__globals__)", "expected names, calls and literals"),
            ("mylayers:__builtins__", "expected a name of mylayers, got '__builtins__'"),
            ("mylayers:half(2)", "expected a constructor to call, got scale(0.5)"),
            ("mylayers:fcnn", "expected a layer or (init, apply, vjp)"),
            ("mylayers:refuses", "expected a full moon"),
        ],
    )
    def test_what_is_no_layer(self, layer, said, capsys):
        assert main(["check", layer, "(4,)"]) == 2
        assert said in " ".join(capsys.readouterr().err.split())

    @pytest.mark.parametrize("shape", ["", "(4,", "four", "(4, 'a')", "__import__('os')", "4.5"])
    def test_what_is_no_shape(self, shape, capsys):
        assert main(["check", "mylayers:half", shape]) == 2
        assert "expected the shape of one example" in capsys.readouterr().err

    def test_a_shape_that_the_layer_refuses(self, capsys):
        assert main(["check", "fcnn:conv2d(8, 3)", "(28,)"]) == 2
        assert "conv2d(8, 3): " in capsys.readouterr().err

    def test_a_law_that_is_none(self, capsys):
        assert main(["check", "mylayers:half", "(4,)", "--skip", "gravity"]) == 2
        assert "gravity" in capsys.readouterr().err


def test_from_the_shell(mylayers):
    command = [sys.executable, "-m", "fcnn", "check", "mylayers:scale(2.0, slip=2)", "(4,)"]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=mylayers, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "BROKEN" in done.stdout
    assert done.stderr == ""


def test_rows_and_tables_for_programs():
    rows = layer_rows(fcnn.dense(2), (3,), calls=2, skip=["value"])
    assert [row.law for row in rows] == [law.name for law in LAWS if law.name != "value"]
    assert not any(row.problem for row in rows)
    text = table([Row("a", "it is so", ""), Row("law", "", "seen " * 30)], "title", width=40)
    assert text.splitlines()[:4] == ["title", "", "law   result", "a     passed: it is so"]
    assert max(map(len, text.splitlines())) <= 40


def test_without_a_command_there_is_help(capsys):
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out
    assert main(["check", "--help"]) == 0
    assert "mylayers:scale(2.0, axis=-1)" in capsys.readouterr().out
