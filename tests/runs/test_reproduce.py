"""`reproduce`: the same bits, or the epoch and the items of the fingerprint that differ."""

import json

import pytest

import fcnn
from fcnn import tree
from fcnn.errors import ArgumentError, DataError
from fcnn.runs import _reproduce


@pytest.fixture
def parts(data, held_out):
    return {"data": data, "validation": held_out, "log": None}


def rewrite(path, change):
    """Change the JSON of a file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_same_bits(fit, parts, tmp_path):
    run = fit(tmp_path / "r")
    said = []
    again = fcnn.reproduce(tmp_path / "r", **parts | {"log": said.append})
    assert again
    assert again.same
    assert (again.epochs, again.first, again.differences) == (3, None, {})
    assert tree.equal(again.params, run.params)
    assert again.now == run.history[-1].cells()
    assert str(again) == "the same bits in 3 epochs"
    assert [line.endswith("  the same bits") for line in said] == [True] * 3


def test_any_executor_and_fewer_epochs(fit, parts, tmp_path):
    fit(tmp_path / "r", shard_size=8)
    with fcnn.parallel.threads(2) as pool:
        again = fcnn.reproduce(tmp_path / "r", epochs=1, executor=pool, **parts)
    assert again
    assert again.epochs == 1
    assert str(again) == "the same bits in 1 epoch"


def test_other_bits_are_told_by_epoch_and_cause(fit, parts, tmp_path, monkeypatch):
    fit(tmp_path / "r")
    file = tmp_path / "r" / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1] |= {"digest": "0" * 16}
    rows[2] |= {"digest": "0" * 16, "loss": 7.0}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    here = _reproduce.session()
    changed = here | {
        "environment": here["environment"] | {"blas": "openblas 0.3.30 Haswell", "probe": "00"},
        "git": {"commit": "c" * 40, "changed": True},
    }
    monkeypatch.setattr(_reproduce, "session", lambda: changed)
    again = fcnn.reproduce(tmp_path / "r", **parts)
    assert not again
    assert again.first == 2
    assert set(again.differences) == {"blas", "probe", "commit"}
    assert again.differences["blas"] == (here["environment"]["blas"], "openblas 0.3.30 Haswell")
    assert again.differences["commit"][1] == f"{'c' * 40} with changes"
    text = str(again)
    assert text.startswith("other bits from epoch 2 on, of 3 epochs\n  loss: 7.0 before, 1.1")
    assert "  probe: " in text
    assert "<pre>other bits" in again._repr_html_()


def test_bits_that_differ_with_the_same_fingerprint(fit, parts, tmp_path):
    def by_call(scale):
        return lambda key, x: x * x.dtype.type(scale)

    fit(tmp_path / "r", augment=by_call(1))
    assert fcnn.reproduce(tmp_path / "r", augment=by_call(1), **parts)
    again = fcnn.reproduce(tmp_path / "r", augment=by_call(0.5), **parts)
    assert again.first == 1
    assert "functions of your own" in str(again)


def test_every_time_that_a_run_was_computed_is_compared(fit, parts, tmp_path):
    fit(tmp_path / "r", epochs=1)
    fit(tmp_path / "r", epochs=2)

    def older(config):
        config["sessions"][0]["environment"]["numpy"] = "2.0.0"

    rewrite(tmp_path / "r" / "config.json", older)
    again = fcnn.reproduce(tmp_path / "r", **parts)
    assert again
    assert again.differences["numpy"][0] == "2.0.0"
    assert "what differs" in str(again)


def test_data_by_name_and_others_by_the_caller(fit, parts, tmp_path):
    digits = fcnn.data.mnist("train", 200)[50:]
    model, loss = fcnn.serial(fcnn.flatten, fcnn.dense(10)), fcnn.losses.softmax_cross_entropy
    sgd = fcnn.optim.sgd(0.1)
    fcnn.fit(model, loss, sgd, digits, key=fcnn.key(0), epochs=2, run=tmp_path / "d", log=None)
    assert fcnn.reproduce(tmp_path / "d", log=None)
    fit(tmp_path / "r", epochs=1)
    with pytest.raises(ArgumentError, match=r"no set of fcnn\.data; pass data="):
        fcnn.reproduce(tmp_path / "r", log=None)
    with pytest.raises(DataError, match=r"expected the run's data, .* of SHA-256"):
        fcnn.reproduce(tmp_path / "r", **parts | {"data": parts["data"][:69]})


def test_a_run_without_an_epoch_is_refused(fit, parts, tmp_path):
    fit(tmp_path / "r", epochs=1)
    (tmp_path / "r" / "metrics.jsonl").unlink()
    with pytest.raises(DataError, match="complete epoch"):
        fcnn.reproduce(tmp_path / "r", **parts)


def test_nothing_is_written(fit, parts, tmp_path):
    fit(tmp_path / "r", epochs=1)
    before = {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    fcnn.reproduce(tmp_path / "r", **parts)
    assert {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()} == before
