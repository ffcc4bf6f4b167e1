"""The report: one file, nothing fetched, every section, every text escaped."""

import base64
import io
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

import fcnn
from fcnn import _report
from fcnn._report._chart import chart, ticks
from fcnn._report._png import coloured, png
from fcnn.data import Dataset
from fcnn.errors import DataError

SECTIONS = ["curves", "learning-rate", "confusion", "classes", "mistakes", "filters", "maps",
            "saliency", "model", "time", "repeat"]  # fmt: skip
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The tags of a page; elements must close in the order in which they opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.section, self.sections = [], [], [], None, {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), self.section))
        if tag == "section":
            self.section = dict(attrs)["id"]
            self.sections[self.section] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), self.section))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        self.text.append(data)
        if self.section is not None:
            self.sections[self.section] += data

    def images(self, section):
        found = [attrs for tag, attrs, where in self.tags if tag == "img" and where == section]
        return [base64.b64decode(each["src"].split(",")[1]) for each in found]


def page_of(path):
    return Page((path / "report.html").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data, held_out, model):
    path = tmp_path_factory.mktemp("runs") / 'net <script>alert("1")<'
    adam = fcnn.optim.adam(fcnn.optim.cosine(0.01, 12))
    fcnn.fit(model, fcnn.losses.softmax_cross_entropy, adam, data, validation=held_out, log=None,
             key=fcnn.key(3), epochs=3, keep_best=True, run=path)  # fmt: skip
    return path


def check_self_contained(page):
    for tag, attrs, _ in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form", "video", "audio")
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            if name in attrs:
                assert attrs[name].startswith(("data:", "#")), (tag, attrs[name])
    style = "".join(page.text)
    assert "@import" not in style
    assert "url(" not in style
    (policy,) = [a["content"] for tag, a, _ in page.tags if tag == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_one_file_that_fetches_nothing_with_every_section(folder):
    page = page_of(folder)
    check_self_contained(page)
    assert list(page.sections) == SECTIONS
    links = [a["href"] for tag, a, _ in page.tags if tag == "a"]
    assert links == [f"#{name}" for name in SECTIONS]
    assert all(len(text) > 20 for text in page.sections.values())
    assert not any("Left out" in text for text in page.sections.values())
    text = (folder / "report.html").read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_names_are_escaped(folder):
    text = (folder / "report.html").read_text("utf-8")
    assert "<script" not in text
    assert "left <b>" not in text
    assert "left &lt;b&gt;" in text
    shown = "".join(page_of(folder).text)
    assert "left <b>" in shown
    assert 'right & "down"' in shown


def test_the_numbers_are_those_of_the_model(folder, held_out, model):
    params = fcnn.runs.read(folder).params()
    scores = fcnn.predict(model, params, held_out.inputs)
    counts = fcnn.metrics.confusion_matrix(scores, held_out.targets, 3)
    page = page_of(folder)
    told = [a for tag, a, where in page.tags if tag == "rect" and where == "confusion"]
    assert len(told) == 9
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            name = f"{held_out.classes[i]} as {held_out.classes[j]}: {count}"
            assert name in page.sections["confusion"]
    right, n = int(np.trace(counts)), len(held_out)
    assert 0 < right < n
    assert f"{right} of {n} examples right ({100 * right / n:.2f} %)" in page.sections["confusion"]
    for function in (fcnn.metrics.precision, fcnn.metrics.recall, fcnn.metrics.f1):
        for value in function(scores, held_out.targets, classes=3):
            assert f"{value:.3f}" in page.sections["classes"]
    wrong = np.flatnonzero(scores.argmax(axis=1) != held_out.targets)
    assert len(page.images("mistakes")) == min(24, len(wrong))
    assert f"{len(wrong)} mistakes, the least probable" in page.sections["mistakes"]
    assert len(page.images("filters")) == 4
    assert len(page.images("saliency")) % 2 == 0
    assert len(page.images("saliency")) > 4
    assert "3×3, of 1 channel" in page.sections["filters"]
    assert f"{fcnn.summary(model, (8, 8, 1)).params:,} params" in page.sections["model"]
    assert "fcnn.reproduce(" in page.sections["repeat"]
    assert fcnn.checkpoint.environment()["blas"] in page.sections["repeat"]
    config = fcnn.runs.read(folder).config["fit"]
    assert config["data"]["sha256"] in page.sections["repeat"]


def test_the_worst_mistake_is_the_first(folder, held_out, model):
    scores = fcnn.predict(model, fcnn.runs.read(folder).params(), held_out.inputs).astype(float)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    own = chances[np.arange(len(scores)), held_out.targets]
    own[scores.argmax(axis=1) == held_out.targets] = np.inf
    worst = int(own.argmin())
    first = page_of(folder).images("mistakes")[0]
    expected = np.rint(255 * held_out.inputs[worst, ..., 0].astype(float)).astype(np.uint8)
    assert np.array_equal(decoded(first), expected)


def decoded(file):
    image = pytest.importorskip("PIL.Image", exc_type=ImportError)
    return np.asarray(image.open(io.BytesIO(file)))


def test_png_files_are_read_by_pillow():
    rng = np.random.default_rng(0)
    for shape in ((3, 5), (4, 2, 3), (1, 1)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        assert np.array_equal(decoded(png(pixels)), pixels)


def test_png_files_have_right_checksums():
    file, at = png(np.zeros((2, 2), np.uint8)), 8
    while at < len(file):
        (length,) = struct.unpack(">I", file[at : at + 4])
        body = file[at + 4 : at + 8 + length]
        assert struct.unpack(">I", file[at + 8 + length : at + 12 + length]) == (zlib.crc32(body),)
        at += 12 + length


def test_colours_go_from_the_first_to_the_last():
    found = coloured(np.array([[-1.0, 0.0, 1.0, np.nan]]), "blue-red", -1, 1)
    assert found[0, :3].tolist() == [[33, 102, 172], [247, 247, 247], [178, 24, 43]]


def test_points_of_curves_stand_where_their_numbers_are():
    drawn = chart("loss", [1, 2, 3], [("training", "a", [4.0, None, 2.0])])
    xs, ys = zip(*[map(float, each) for each in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)],
                 strict=True)  # fmt: skip
    assert xs == (52.0, 350.0)
    assert ys[0] < ys[1]
    y_of = {float(t): float(y) for y, t in re.findall(r'y1="([\d.]+)".*?>([\d.]+)</text>', drawn)}
    assert y_of[4.0] == pytest.approx(ys[0], abs=0.1)
    assert y_of[2.0] == pytest.approx(ys[1], abs=0.1)
    wide = chart("loss", [1, 2], [("training", "a", [1000.0, 0.1])])
    assert ">100</text>" in wide
    assert ">1</text>" in wide
    assert chart("loss", [1], [("training", "a", [None])]) == ""
    assert "circle" in chart("loss", [1], [("training", "a", [2.0])])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.93, 0.9312), (-7, 1e5), (1e-9, 3e-9)])
def test_ticks_lie_between_and_are_few(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 7
    assert low <= found[0] + 1e-12
    assert found[-1] <= high + 1e-12
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_a_run_whose_targets_are_no_classes(tmp_path):
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(size=(20, 4)), rng.normal(size=(20, 1)))
    loss, sgd = fcnn.losses.mean_squared_error, fcnn.optim.descend(fcnn.optim.scale(0.1))
    fcnn.fit(
        fcnn.dense(1), loss, sgd, data, key=fcnn.key(0), epochs=1, run=tmp_path / "r", log=None
    )
    page = page_of(tmp_path / "r")
    check_self_contained(page)
    assert list(page.sections) == SECTIONS
    prediction = fcnn.predict(fcnn.dense(1), fcnn.runs.read(tmp_path / "r").params(), data.inputs)
    error = float(np.abs(prediction - data.targets).mean())
    assert f"{error:.4g}" in page.sections["confusion"]
    dots = [a for tag, a, where in page.tags if tag == "circle" and where == "confusion"]
    assert len(dots) == 20
    worst = int(np.abs(prediction - data.targets).argmax())
    assert page.sections["mistakes"].startswith(f"Largest errorsexample {worst}true ")
    assert "not classes" in page.sections["classes"]
    assert "not images" in page.sections["saliency"]
    assert "does not say" in page.sections["learning-rate"]


def test_a_run_of_two_inputs(tmp_path):
    rng = np.random.default_rng(0)
    both = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
    data = Dataset(both, rng.integers(0, 2, 20))
    model = fcnn.serial(fcnn.concat(), fcnn.dense(2))
    loss, sgd = fcnn.losses.softmax_cross_entropy, fcnn.optim.sgd(0.1)
    fcnn.fit(model, loss, sgd, data, key=fcnn.key(0), epochs=1, run=tmp_path / "r", log=None)
    page = page_of(tmp_path / "r")
    assert "examples right" in page.sections["confusion"]
    assert "0.1 in every epoch" in page.sections["learning-rate"]


def test_many_classes_and_soft_targets(tmp_path):
    rng = np.random.default_rng(0)
    targets = np.eye(70, dtype=np.float32)[rng.integers(0, 70, 140)]
    data = Dataset(rng.random((140, 6, 6, 3), np.float32), targets, [f"c{i}" for i in range(70)])
    model = fcnn.serial(fcnn.conv2d(50, 3), fcnn.flatten, fcnn.dense(70), fcnn.softmax)
    loss, sgd = fcnn.losses.categorical_cross_entropy, fcnn.optim.sgd(0.1)
    fcnn.fit(model, loss, sgd, data, key=fcnn.key(0), epochs=1, run=tmp_path / "r", log=None)
    page = page_of(tmp_path / "r")
    assert "of 140 examples right" in page.sections["confusion"]
    assert len(page.images("mistakes")) == 24
    assert len(page.images("filters")) == 48
    assert "The first 48 are shown" in page.sections["filters"]


def test_a_report_of_other_data_and_of_the_folder_alone(folder, quarters, tmp_path):
    other = quarters(30, 5)
    fcnn.report(folder, other)
    assert "of 30 examples right" in page_of(folder).sections["confusion"]
    assert "of the data given" in page_of(folder).sections["confusion"]
    fcnn.report(folder)
    page = page_of(folder)
    check_self_contained(page)
    assert list(page.sections) == SECTIONS
    assert "Left out" in page.sections["confusion"]
    assert "Left out" not in page.sections["curves"]
    with pytest.raises(DataError, match="folder of a run"):
        fcnn.report(tmp_path)


def test_a_loop_of_ones_own_has_a_report(tmp_path, model, held_out):
    with fcnn.experiment(tmp_path / "r", {"<i>": "<u>"}) as run:
        pass
    check_self_contained(page_of_report(tmp_path / "r"))
    with fcnn.experiment(tmp_path / "r") as run:
        run.log(1, loss=1.0, note="<u>")
    params = model.init(fcnn.key(0), (8, 8, 1))[0]
    fcnn.report(tmp_path / "r", held_out, model=model, params=params)
    page = page_of(tmp_path / "r")
    assert "of 40 examples right" in page.sections["confusion"]
    assert "<u>" in page.sections["repeat"]
    assert "<u>" not in (tmp_path / "r" / "report.html").read_text()


def page_of_report(path):
    fcnn.report(path)
    return page_of(path)


def test_a_finished_run_is_kept_if_its_report_fails(fit, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("no page")

    monkeypatch.setattr(fcnn.train._recording, "write_report", fail)
    with pytest.warns(RuntimeWarning, match=r"complete, but its report .* ZeroDivisionError: no"):
        run = fit(tmp_path / "r", epochs=1)
    assert run.state.epoch == 1
    assert fcnn.runs.read(tmp_path / "r").result["status"] == "finished"
    assert _report.report(tmp_path / "r").exists()
