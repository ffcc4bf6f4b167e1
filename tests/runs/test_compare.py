"""`compare`: means, spread and the paired test against NumPy and SciPy."""

import math
import re

import numpy as np
import pytest
from scipy import stats

import fcnn
from fcnn.errors import ArgumentError, DataError

SCORES = {
    ("adam", 0.1): {0: 0.91, 1: 0.93, 2: 0.90, 3: 0.95},
    ("adam", 0.2): {0: 0.94, 1: 0.95, 2: 0.91, 3: 0.99},
    ("sgd", 0.1): {1: 0.80, 3: 0.83, 7: 0.99},
    ("sgd", 0.2): {5: 0.70},
}


def write(path, config, **numbers):
    with fcnn.experiment(path, config) as run:
        run.log(1, val_accuracy=0.0, val_loss=9.0, seconds=1.0)
        run.log(2, loss=1.0, seconds=2.0, **numbers)
    return path


@pytest.fixture
def runs(tmp_path):
    return [
        write(tmp_path / f"{name}-{rate}-{seed}", {"opt": name, "rate": rate, "seed": seed},
              val_accuracy=score, val_loss=1 - score)
        for (name, rate), scores in SCORES.items()
        for seed, score in scores.items()
    ]  # fmt: skip


def test_mean_spread_and_paired_test(runs):
    table = fcnn.compare(runs)
    assert table.metrics == ("val_accuracy", "val_loss", "seconds")
    for group, ((name, rate), scores) in zip(table.groups, SCORES.items(), strict=True):
        values = np.array(list(scores.values()))
        assert group.setting == {"opt": name, "rate": rate}
        assert group.seeds == len(scores)
        assert group.mean("val_accuracy") == pytest.approx(values.mean())
        if len(values) > 1:
            assert group.spread("val_accuracy") == pytest.approx(values.std(ddof=1))
        else:
            assert math.isnan(group.spread("val_accuracy"))
        assert group.mean("seconds") == 3.0
    base, other, few, apart = table.groups
    assert (base.difference, base.p) == (None, None)
    a, b = (np.array(list(SCORES["adam", rate].values())) for rate in (0.2, 0.1))
    assert other.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert other.difference == pytest.approx((a - b).mean())
    assert few.p == pytest.approx(stats.ttest_rel([0.80, 0.83], [0.93, 0.95]).pvalue)
    assert apart.p is None  # no seed in common
    assert table.best().setting == {"opt": "adam", "rate": 0.2}
    assert table.best("val_loss").setting == {"opt": "adam", "rate": 0.2}


def test_the_table(runs):
    lines = str(fcnn.compare(runs, metrics=["val_accuracy"])).splitlines()
    assert lines[0].split() == ["opt", "rate", "seeds", "val_accuracy", "Δ", "val_accuracy", "p"]
    assert lines[1].split() == ["adam", "0.1", "4", "0.922", "±", "0.022"]
    assert lines[2].split()[:7] == ["adam", "0.2", "4", "0.948", "±", "0.033", "+0.025"]
    assert len(lines) == 5
    page = fcnn.compare(runs)._repr_html_()
    assert page.count("<tr>") == 5
    assert "0.922 ± 0.022" in page


def test_the_best_epoch(tmp_path):
    for seed in (0, 1):
        with fcnn.experiment(tmp_path / f"a{seed}", {"seed": seed}) as run:
            run.log(1, val_loss=0.5, val_accuracy=0.7 + seed / 10)
            run.log(2, val_loss=0.9, val_accuracy=0.9)
    assert fcnn.compare(tmp_path).groups[0].mean("val_accuracy") == 0.9
    assert fcnn.compare(tmp_path, at="best").groups[0].mean("val_accuracy") == pytest.approx(0.75)


def test_runs_of_fit_are_grouped_by_all_but_the_key(fit, tmp_path):
    for seed in (0, 1):
        fit(tmp_path / f"small-{seed}", key=fcnn.key(seed), epochs=1)
        fit(tmp_path / f"batch-{seed}", key=fcnn.key(seed), epochs=1, batch_size=16)
    table = fcnn.compare([*sorted(tmp_path.glob("small*")), *sorted(tmp_path.glob("batch*"))])
    assert [group.seeds for group in table.groups] == [2, 2]
    assert [group.setting["fit.batch_size"] for group in table.groups] == [32, 16]
    assert table.groups[1].p is not None
    one = fcnn.compare([tmp_path / "small-0", tmp_path / "small-1"])
    assert one.groups[0].setting == {"runs": "small"}
    assert "Δ" not in str(one)


def test_equal_differences_have_no_p(tmp_path):
    for rate, shift in ((1, 0.0), (2, 0.125)):
        for seed in range(3):
            write(tmp_path / f"{rate}{seed}", {"rate": rate, "seed": seed}, val_loss=seed + shift)
    group = fcnn.compare(tmp_path).groups[1]
    assert (group.difference, group.p) == (0.125, None)


def test_runs_that_did_not_end_are_named(runs, tmp_path):
    with pytest.raises(RuntimeError), fcnn.experiment(tmp_path / "zz", {"opt": "adam"}):
        raise RuntimeError("out of memory")
    (runs[0] / "result.json").unlink()
    table = fcnn.compare(tmp_path)
    assert table.left_out == {"zz": "failed", runs[0].name: "not ended"}
    assert "zz (failed)" in str(table)
    assert "zz (failed)" in table._repr_html_()
    assert table.groups[0].seeds == 3


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    with pytest.raises(ArgumentError, match="at least one run"):
        fcnn.compare([])
    with pytest.raises(ArgumentError, match=re.escape("['recall']")):
        fcnn.compare(runs, metrics=["recall"])
    with pytest.raises(ArgumentError, match="'last' or 'best'"):
        fcnn.compare(runs, at="first")
    with pytest.raises(DataError, match="folder of a run"):
        fcnn.compare([tmp_path / "none"])
    with pytest.raises(ArgumentError, match="one of the metrics"):
        fcnn.compare(runs).best("recall")


def test_names_are_escaped(tmp_path):
    write(tmp_path / "a", {"net": "<script>", "seed": 0}, val_loss=1.0)
    write(tmp_path / "b", {"net": "b", "seed": 0}, val_loss=1.0)
    page = fcnn.compare(tmp_path)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
