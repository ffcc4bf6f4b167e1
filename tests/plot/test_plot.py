import itertools
import subprocess
import sys

import numpy as np
import pytest

import fcnn
from fcnn import explain, plot
from fcnn.data import Dataset
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.train import Evaluation, Report

pytest.importorskip("matplotlib", exc_type=ImportError)

NAMES = [f"a class of a long name {i}" for i in range(10)]
HISTORY = [
    Report(i + 1, 12, 1 / (i + 1), {"accuracy": 0.5 + i / 30},
           Evaluation(2 / (i + 1), 50, 20 + i, {"top-3": 0.9}), 1.0)
    for i in range(12)
]  # fmt: skip
MODEL = fcnn.serial(fcnn.conv2d(5, 3), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, fcnn.dense(10))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((30, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def params():
    return MODEL.init(fcnn.key(0), (8, 8, 3))[0]


@pytest.fixture(scope="module")
def data(images):
    return Dataset(images, np.random.default_rng(1).integers(0, 10, 30), NAMES)


def everything(data, params):
    """One of each picture, at its default size."""
    images = data.inputs
    scores = MODEL.apply(params, images)
    maps = explain.feature_maps(MODEL, params, images[:2])
    return {
        "learning_curves": plot.learning_curves(HISTORY),
        "confusion_matrix": plot.confusion_matrix(scores, data.targets, classes=NAMES),
        "worst_mistakes": plot.worst_mistakes(scores, data),
        "attributions": plot.attributions(
            images[:4], explain.saliency(MODEL, params, images[:4]), titles=NAMES[:4]
        ),
        "feature_maps": plot.feature_maps(maps),
        "filters": plot.filters(explain.filters(params[0])),
    }


@pytest.fixture(scope="module")
def pictures(data, params):
    return everything(data, params)


def renderer_of(figure):
    """What has drawn a figure, and so laid it out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def test_there_is_a_test_of_each(pictures):
    assert set(pictures) == set(plot.__all__)


def test_nothing_is_cut(pictures):
    for name, figure in pictures.items():
        renderer = renderer_of(figure)
        width, height = figure.bbox.size
        for ax in figure.axes:
            box = ax.get_tightbbox(renderer)  # with its labels and titles
            assert min(box.x0, box.y0) >= -1, (name, box)
            assert box.x1 <= width + 1, (name, box)
            assert box.y1 <= height + 1, (name, box)


def test_neighbours_do_not_overlap(pictures):
    for name, figure in pictures.items():
        renderer = renderer_of(figure)
        boxes = [ax.get_tightbbox(renderer) for ax in figure.axes]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other), (name, one, other)


def test_pictures_are_saved_and_pyplot_stays_out(tmp_path):
    code = (
        "import sys, numpy as np; from fcnn import plot\n"
        "plot.confusion_matrix([0, 1], [0, 1]).savefig(sys.argv[1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    path = tmp_path / "picture.png"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    assert path.read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("name", plot.__all__)
def test_without_matplotlib_one_sentence_names_the_extra(name, data, params, monkeypatch):
    calls = {
        "learning_curves": lambda: plot.learning_curves(HISTORY),
        "confusion_matrix": lambda: plot.confusion_matrix([0, 1], [0, 1]),
        "worst_mistakes": lambda: plot.worst_mistakes(MODEL.apply(params, data.inputs), data),
        "attributions": lambda: plot.attributions(data.inputs, data.inputs),
        "feature_maps": lambda: plot.feature_maps(data.inputs),
        "filters": lambda: plot.filters(data.inputs),
    }
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'fcnn\[plot\]'"):
        calls[name]()


class TestLearningCurves:
    def test_draws_the_numbers(self):
        figure = plot.learning_curves(HISTORY)
        loss, accuracy, top = figure.axes
        assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy", "top-3"]
        training, validation = loss.lines
        np.testing.assert_array_equal(training.get_xdata(), range(1, 13))
        np.testing.assert_allclose(training.get_ydata(), [each.loss for each in HISTORY])
        np.testing.assert_allclose(validation.get_ydata(), [2 / i for i in range(1, 13)])
        assert len(accuracy.lines) == 2
        assert len(top.lines) == 1
        assert [text.get_text() for text in loss.get_legend().texts] == ["training", "validation"]

    def test_of_a_run_marks_the_best_epoch(self, rng):
        x = rng.normal(size=(20, 3)).astype(np.float32)
        data = Dataset(x, (x[:, 0] > 0).astype(np.int64))
        run = fcnn.fit(
            fcnn.dense(2), fcnn.losses.softmax_cross_entropy, fcnn.optim.sgd(0.1), data,
            key=fcnn.key(0), epochs=3, validation=data, keep_best=True, log=None,
        )  # fmt: skip
        line = plot.learning_curves(run).axes[0].lines[-1]
        assert line.get_label() == "best epoch"
        assert set(line.get_xdata()) == {3}

    def test_in_a_given_figure(self):
        from matplotlib.figure import Figure

        whole = Figure()
        left, right = whole.subfigures(1, 2)
        assert plot.learning_curves(HISTORY, figure=left) is left
        assert len(left.axes) == 3
        assert not right.axes

    def test_refusals(self):
        with pytest.raises(ArgumentError, match="expected a run or reports"):
            plot.learning_curves(3)
        with pytest.raises(ArgumentError, match="at least one epoch"):
            plot.learning_curves([])
        with pytest.raises(ArgumentError, match="expected a matplotlib figure, got str"):
            plot.learning_curves(HISTORY, figure="a.png")


class TestConfusionMatrix:
    def test_writes_the_counts(self, rng):
        predicted, true = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
        figure = plot.confusion_matrix(predicted, true, classes=["a", "b", "c", "d"])
        counts = fcnn.metrics.confusion_matrix(predicted, true)
        (ax,) = figure.axes
        assert [int(text.get_text()) for text in ax.texts] == counts.ravel().tolist()
        share = ax.images[0].get_array()
        np.testing.assert_allclose(share, counts / counts.sum(axis=1, keepdims=True))
        assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c", "d"]
        assert ax.get_title() == f"{np.trace(counts)} of 50 right"

    def test_in_given_axes(self):
        from matplotlib.figure import Figure

        figure = Figure()
        _, ax = figure.subplots(1, 2)
        assert plot.confusion_matrix([0, 1], [0, 1], ax=ax) is figure
        assert len(ax.texts) == 4
        with pytest.raises(ArgumentError, match="expected matplotlib axes"):
            plot.confusion_matrix([0, 1], [0, 1], ax=figure)


class TestWorstMistakes:
    def test_shows_the_mistakes_in_order(self, images):
        data = Dataset(images[:4], [0, 1, 2, 0], ("cat", "dog", "owl"))
        p = np.array([[0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.5, 0.495, 0.005], [0.4, 0.05, 0.55]])
        figure = plot.worst_mistakes(p, data)
        titles = [ax.get_title() for ax in figure.axes]
        assert titles == ["owl\nas cat (50 %)", "cat\nas dog (60 %)", "cat\nas owl (55 %)"]
        for ax, i in zip(figure.axes, (2, 0, 3), strict=True):
            np.testing.assert_array_equal(ax.images[0].get_array(), images[i])
        logits = plot.worst_mistakes(np.log(p) + 5, data, count=2)
        assert [ax.get_title() for ax in logits.axes] == titles[:2]

    def test_says_that_there_is_none(self, images):
        figure = plot.worst_mistakes(np.eye(3), Dataset(images[:3], [0, 1, 2]))
        assert [text.get_text() for text in figure.texts] == ["no mistakes"]

    def test_refusals(self, images, data):
        with pytest.raises(ShapeError, match=r"expected scores \(30, classes\)"):
            plot.worst_mistakes(np.zeros((2, 10)), data)
        with pytest.raises(ArgumentError, match="expected a Dataset"):
            plot.worst_mistakes(np.zeros((30, 10)), images)
        with pytest.raises(LabelError, match="expected labels"):
            plot.worst_mistakes(np.zeros((30, 10)), Dataset(images, np.zeros((30, 1))))


class TestImages:
    def test_attributions_show_the_largest_channel(self, images):
        found = np.zeros((2, 8, 8, 3))
        found[0, 2, 3], found[0, 2, 4] = (1, -4, 2), (-4, 0, 0)
        figure = plot.attributions(images[:2], found, titles=["one"])
        heat = figure.axes[2].images[1].get_array()
        assert np.argwhere(heat).tolist() == [[2, 3], [2, 4]]
        assert heat[2, 3] == heat[2, 4] == 1
        assert not figure.axes[3].images[1].get_array().any()
        assert [ax.get_title() for ax in figure.axes] == ["one", "", "", ""]

    def test_small_maps_are_stretched_over_the_image(self, images):
        figure = plot.attributions(images[:1], np.ones((1, 3, 3)))
        below, above = figure.axes[1].images
        assert below.get_extent() == above.get_extent() == [-0.5, 7.5, 7.5, -0.5]

    def test_feature_maps_show_an_example(self, images, params):
        maps = explain.feature_maps(MODEL, params, images[:3])
        figure = plot.feature_maps(maps, example=2, channels=4)
        assert len(figure.axes) == 3 * 4
        assert figure.axes[0].texts[0].get_text() == "serial[0]"
        shown = figure.axes[5].images[0].get_array()
        np.testing.assert_array_equal(shown, maps["serial[1]"][2, :, :, 1])

    def test_filters_of_any_number_of_channels(self, rng):
        for channels, tiles in ((1, 2), (2, 4), (3, 2), (17, 32)):
            figure = plot.filters(rng.normal(size=(2, 3, 3, channels)))
            assert len(figure.axes) == tiles
        assert len(plot.filters(rng.normal(size=(9, 3, 3, 1)), count=7).axes) == 7

    def test_zero_is_the_middle_of_the_colours(self):
        weights = np.array([[[[0.0], [2.0]]], [[[-1.0], [0.5]]]])
        first, second = plot.filters(weights).axes
        assert first.images[0].get_clim() == second.images[0].get_clim() == (-2, 2)

    def test_numbers_outside_0_to_1_are_stretched(self):
        image = np.array([[[-1.0], [3.0]], [[1.0], [1.0]]])
        shown = plot.attributions(image[None], np.zeros((1, 2, 2))).axes[0].images[0].get_array()
        np.testing.assert_allclose(shown, [[0, 1], [0.5, 0.5]])

    def test_refusals(self, images):
        with pytest.raises(ShapeError, match="expected 30 attributions, got 2"):
            plot.attributions(images, images[:2])
        with pytest.raises(ShapeError, match=r"expected images \(n, h, w, c\)"):
            plot.attributions(images[0, 0], images)
        with pytest.raises(ShapeError, match="expected feature maps"):
            plot.feature_maps({"out": np.zeros((2, 3))})
        with pytest.raises(ArgumentError, match="expected an example from 0 to 29"):
            plot.feature_maps(images, example=30)
        with pytest.raises(ShapeError, match="expected filters"):
            plot.filters(np.zeros((3, 4)))
