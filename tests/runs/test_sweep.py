"""`sweep`: every setting and seed once, on any executor, resumed, failures told."""

import collections
import concurrent.futures
import contextlib
import importlib
import inspect
import json
import multiprocessing
import os
import sys

import numpy as np
import pytest
from scipy import stats

import fcnn
from fcnn.errors import ArgumentError
from fcnn.runs._space import name_of, settings

SPACE = {"rate": [0.1, 0.3], "units": [1, 2]}


def score(run, seed, rate, units):
    run.log(1, loss=1.0)
    return rate * units + 0.001 * seed * units


class Calls(collections.Counter):
    """`score`, and how often it was called for each setting."""

    def __call__(self, run, **given):
        self[tuple(sorted(given.items()))] += 1
        return score(run, **given)


def test_every_setting_and_seed_in_a_folder(tmp_path):
    calls = Calls()
    table = fcnn.sweep(calls, SPACE, path=tmp_path, seeds=(4, 6))
    assert len(calls) == 8
    assert set(calls.values()) == {1}
    assert [group.setting for group in table.groups] == [
        {"rate": rate, "units": units} for rate in (0.1, 0.3) for units in (1, 2)
    ]
    assert table.groups[3].values["value"] == {"4": 0.6 + 0.008, "6": 0.6 + 0.012}
    assert table.groups[3].mean("value") == pytest.approx(0.61)
    folder = fcnn.runs.read(tmp_path / "rate=0.3,units=2,seed=4")
    assert folder.config["config"] == {"rate": 0.3, "units": 2, "seed": 4}


def test_the_same_call_again_computes_what_is_missing(tmp_path):
    calls = Calls()
    first = fcnn.sweep(calls, SPACE, path=tmp_path, seeds=2)
    (tmp_path / "rate=0.1,units=2,seed=1" / "result.json").unlink()
    again = fcnn.sweep(calls, SPACE, path=tmp_path, seeds=2)
    assert sum(calls.values()) == 9
    assert str(again) == str(first)
    assert fcnn.sweep(calls, SPACE, path=tmp_path, seeds=3).groups[0].seeds == 3
    assert sum(calls.values()) == 13


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """`score`, in a module that worker processes can import."""
    source = inspect.getsource(score)
    (tmp_path / "scores_of_a_sweep.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    yield importlib.import_module("scores_of_a_sweep").score
    del sys.modules["scores_of_a_sweep"]


def pool_of_python():
    return concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


@contextlib.contextmanager
def dask():
    distributed = pytest.importorskip("distributed", exc_type=ImportError)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(processes=False, **options) as client:
        yield client.get_executor()


@pytest.mark.parametrize(
    "make",
    [
        lambda: fcnn.parallel.threads(2),
        lambda: fcnn.parallel.processes(2),
        pool_of_python,
        pytest.param(dask, marks=pytest.mark.filterwarnings("ignore")),  # Dask's own, of ports
    ],
    ids=["threads", "processes", "pool", "dask"],
)
def test_executors_give_the_same_table(importable, tmp_path, make):
    here = fcnn.sweep(importable, SPACE, path=tmp_path / "here")
    with make() as pool:
        there = fcnn.sweep(importable, SPACE, path=tmp_path / "there", executor=pool)
    assert str(there) == str(here)


def test_a_run_that_fails_is_told_and_tried_again(tmp_path):
    broken = True

    def function(run, seed, rate):
        run.log(1, loss=rate)
        if broken and rate == 0.2:
            raise FloatingPointError("NaN")

    with pytest.warns(RuntimeWarning, match=r"1 of 3 .* rate=0\.2,seed=0: FloatingPointError"):
        table = fcnn.sweep(function, {"rate": [0.1, 0.2, 0.3]}, path=tmp_path)
    assert table.left_out == {"rate=0.2,seed=0": "failed"}
    result = json.loads((tmp_path / "rate=0.2,seed=0" / "result.json").read_text())
    assert result["error"] == "FloatingPointError: NaN"
    broken = False
    assert len(fcnn.sweep(function, {"rate": [0.1, 0.2, 0.3]}, path=tmp_path).groups) == 3


def test_if_all_fail_the_first_error_is_raised(tmp_path):
    def function(run, seed, rate):
        raise FloatingPointError(f"NaN at {rate}")

    with pytest.raises(FloatingPointError, match=r"NaN at 0\.1"):
        fcnn.sweep(function, {"rate": [0.1, 0.2]}, path=tmp_path)


def test_ctrl_c_stops_the_sweep(tmp_path):
    calls = []

    def function(run, seed, rate):
        calls.append(rate)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fcnn.sweep(function, {"rate": [0.1, 0.2]}, path=tmp_path)
    assert calls == [0.1]


def test_fit_in_a_sweep_is_resumed_from_its_checkpoint(fit, tmp_path):
    seen = []

    def function(run, seed, epochs):
        def log(line):
            seen.append(line.split("  ")[0])
            if len(seen) == 2:
                raise ConnectionError("killed")

        return fit(run, key=fcnn.key(seed), epochs=epochs, log=log)

    with pytest.raises(ConnectionError):
        fcnn.sweep(function, {"epochs": [3]}, path=tmp_path)
    table = fcnn.sweep(function, {"epochs": [3]}, path=tmp_path)
    assert seen == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    whole = fit(key=fcnn.key(0), epochs=3)
    assert table.groups[0].mean("val_loss") == whole.history[-1].validation.loss


def test_random_search_draws_by_key_and_number(tmp_path):
    space = {
        "rate": stats.loguniform(1e-4, 1e-1),
        "units": stats.randint(4, 9),
        "act": ("relu", "tanh"),
        "scale": lambda key: float(fcnn.initializers.normal(1.0)(key, (1,))[0]),
    }
    few, many = settings(space, 20, fcnn.key(0)), settings(space, 400, fcnn.key(0))
    assert many[:20] == few
    assert settings(space, 20, fcnn.key(1)) != few
    rates = np.log10([each["rate"] for each in many])
    assert -4 <= rates.min() < -3.9 < -1.1 < rates.max() <= -1
    assert stats.kstest(rates, stats.uniform(-4, 3).cdf).pvalue > 0.01
    assert {each["units"] for each in many} == {4, 5, 6, 7, 8}
    assert all(type(each["units"]) is int for each in many)
    assert 140 < sum(each["act"] == "relu" for each in many) < 260
    table = fcnn.sweep(
        lambda run, seed, rate: rate,
        {"rate": stats.uniform(0, 1)},
        path=tmp_path,
        samples=3,
        key=fcnn.key(2),
    )
    assert len(table.groups) == 3


def test_other_settings_have_other_names():
    assert name_of({"a": 1}, 0) == "a=1,seed=0"
    names = {
        name_of({"a": value}, 0)
        for value in ("x/y", "x:y", "x y", "x_y", fcnn.relu, ["x"] * 60, ["x"] * 61)
    }
    assert len(names) == 7
    assert all(len(name) < 110 and "/" not in name for name in names)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"space": {"rate": 0.1}}, "list of values for 'rate'"),
        ({"space": {"rate": "0.1"}}, "list of values for 'rate'"),
        ({"space": {"rate": [0.1]}, "samples": 2}, "expected a key"),
        ({"space": {"rate": 3}, "samples": 2, "key": fcnn.key(0)}, "a distribution"),
        ({"space": "rate"}, "dict of values"),
        ({"space": [3]}, "list of dicts"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": []}, "at least one"),
        ({"function": 3}, "expected a function"),
        ({"executor": 3}, "executor with submit"),
    ],
)
def test_what_is_no_sweep_is_refused(tmp_path, given, match):
    options = {"function": score, "space": SPACE, "path": tmp_path / "s"} | given
    with pytest.raises(ArgumentError, match=match):
        fcnn.sweep(options.pop("function"), options.pop("space"), **options)
    assert not (tmp_path / "s").exists()
