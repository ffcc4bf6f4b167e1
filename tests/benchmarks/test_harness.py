"""Tests of the benchmark: its contestants compute the same numbers, and its report is right."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import fcnn
from fcnn import losses, tree

sys.path.insert(0, str(Path(__file__).parent))  # the benchmark is a script with its own modules

import _articles
import _fcnn
from _bench import BEFORE, FCNN, Bench, task_of
from _cells import CELLS, KEPT
from _layer_cells import layers
from _measure import Effort, Entry, Found, measure, quartiles, ratio
from _networks import ARTICLES, IMAGES, WIDTHS, WORKLOADS, Workload, described, multiply_adds
from _process import Field
from _report import Report
from _resources import imports, memory
from _scaling import shards, workers
from _timing import training
from _work import Work, channels_first, examples, leaves, parameters

OWN = Path(fcnn.__file__).resolve().parents[1]


def sent(workload: Workload) -> Work:
    """Return the workload as a contestant's process gets it."""
    return Work.of(json.loads(json.dumps(described(workload))))


def without_dropout(name: str) -> Work:
    """Return a workload without dropout, which draws other numbers in each framework."""
    workload = WORKLOADS[name]
    kept = [each for each in workload.model.layers if each.spec.name != "dropout"]
    return sent(workload._replace(model=fcnn.serial(*kept)))


def of_fcnn(work: Work, batch: int):
    """Return the loss and its gradients, in float64."""
    model = _fcnn.model(work.model)
    params = _fcnn.initial(work, model, np.float64)
    f = fcnn.value_and_grad(model, getattr(losses, work.loss))
    return f(params, *examples(work, batch), fcnn.training(fcnn.key(0)))


@pytest.mark.parametrize("name", [*WORKLOADS, *IMAGES, *WIDTHS, *KEPT])
def test_a_description_builds_the_model_again(name):
    workload = (WORKLOADS | IMAGES | WIDTHS | KEPT)[name]
    work = sent(workload)
    assert _fcnn.model(work.model) == workload.model
    assert work.model.out_shape == (work.classes,)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_parameters_fit_the_model_and_are_not_its_own(name):
    """Statistics of 0 and 1 and biases of 0 would hide a twin that forgets them."""
    work = sent(WORKLOADS[name])
    drawn, _ = WORKLOADS[name].model.init(fcnn.key(0), work.shape)
    for ours, own in zip(parameters(work), tree.leaves(drawn), strict=True):
        assert ours.shape == own.shape
        assert not np.isin(ours, (0, 1)).any()


def test_the_layers_of_a_branch_are_in_the_order_of_their_parameters():
    work = sent(WORKLOADS["ResNet-20"])
    narrowing = [each for each in work.model.layers if each.name == "add"][3]
    shortcut, body = narrowing.layers
    assert [each.name for each in shortcut.layers] == ["conv2d", "batch_norm"]
    names = [each.name for each in leaves(narrowing)]
    assert names == ["conv2d", "batch_norm", "conv2d", "batch_norm", "relu", "conv2d", "batch_norm"]
    assert shortcut.layers[0].arguments["kernel_size"] == 1
    assert body.in_shape == (32, 32, 16)
    assert body.out_shape == (16, 16, 32)


def test_multiply_adds_by_hand():
    first, second = 23 * 23 * 6 * 6, 121 * 10
    found = multiply_adds(WORKLOADS["articles 002/004"])
    assert found == (first + second, 2 * first + 3 * second)


@pytest.mark.parametrize("name", ARTICLES)
def test_the_articles_way_has_the_gradients_of_fcnn(name):
    work = without_dropout(name)
    net = _articles.network(work, train=True, **ARTICLES[name])
    params = _articles.per_layer(work, channels_first(work, parameters(work)))
    (image,), (target,) = examples(work, 1)
    grads = _articles.gradients(net, params, work.loss, image.transpose(2, 0, 1), target)
    _, expected = of_fcnn(work, 1)
    found = [array for layer in grads for array in layer]
    for ours, theirs in zip(channels_first(work, tree.leaves(expected)), found, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", WORKLOADS)
def test_torch_computes_the_same_loss(name):
    torch = pytest.importorskip("torch")
    import _torch

    work = without_dropout(name)
    net = _torch.model(work, torch.float64).train()
    images, target = _torch.batch_of(work, 4, torch.float64)
    value = _torch.LOSSES[work.loss](net(images), target).item()
    assert value == pytest.approx(of_fcnn(work, 4)[0], rel=1e-9)


def fits(workload: Workload) -> Work:
    """Return the workload as it is sent, after a check of the model that it builds."""
    work = sent(workload)
    expected, _ = workload.model.init(fcnn.key(0), work.shape)
    built, out_shape = _fcnn.model(work.model).init(fcnn.key(0), work.shape)
    assert tree.structure(built) == tree.structure(expected)
    assert out_shape == work.model.out_shape
    shapes = [each.shape for each in parameters(work)]
    assert shapes == [each.shape for each in tree.leaves(expected)]
    return work


@pytest.mark.parametrize("name", CELLS)
def test_torch_computes_the_same_gradients_of_each_cell(name):
    """Also those that JAX leaves out; initializers are not sent, and the params are drawn here."""
    torch = pytest.importorskip("torch")
    import _torch

    work = fits(CELLS[name].workload)
    net = _torch.model(work, torch.float64).train()
    images, target = _torch.batch_of(work, 2, torch.float64)
    value = _torch.LOSSES[work.loss](net(images), target)
    expected, grads = of_fcnn(work, 2)
    assert value.item() == pytest.approx(expected, rel=1e-9)
    of_torch = torch.autograd.grad(value, [*net.parameters()])
    ours = channels_first(work, tree.leaves(grads))
    ours = [each for each in ours if isinstance(each, np.ndarray)]
    for mine, theirs in zip(ours, of_torch, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("alone", [False, True])
def test_the_ways_to_run_a_layer_take_the_same_arrays(alone):
    work = sent(CELLS["layer norm"].workload)
    ways = _fcnn._layer_ways(work, 4, alone)
    assert len(ways) == (2 if alone else 6)
    for way in ways:
        way(1)
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    moved = _fcnn._examples_innermost(x)
    np.testing.assert_array_equal(moved, x)
    assert moved.transpose(1, 3, 2, 0).flags.c_contiguous


def test_the_step_that_torch_compiles_is_a_step_of_sgd(monkeypatch):
    torch = pytest.importorskip("torch")
    import _torch

    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    work = sent(WORKLOADS["LeNet-5"])
    net, (images, target) = (
        _torch.model(work, torch.float64),
        _torch.batch_of(work, 4, torch.float64),
    )
    before = [param.detach().clone() for param in net.parameters()]
    _torch.compiled_step(net, _torch.LOSSES[work.loss], images, target)()
    slopes = channels_first(work, tree.leaves(of_fcnn(work, 4)[1]))
    for old, new, slope in zip(before, net.parameters(), slopes, strict=True):
        moved = (old - new).detach().numpy()
        np.testing.assert_allclose(moved, _torch.RATE * slope, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", WORKLOADS)
def test_jax_computes_the_same_loss(name):
    jax = pytest.importorskip("jax")
    import _jax

    work = without_dropout(name)
    init, apply = _jax.model(work.model, "training")
    images, target = examples(work, 4)
    scores = jax.jit(apply)(_jax.initial(work, init), images.astype(np.float32))
    value = float(_jax.loss(work.loss, scores, target))
    assert value == pytest.approx(of_fcnn(work, 4)[0], rel=1e-4)


@pytest.mark.parametrize("name", WORKLOADS)
def test_tensorflow_computes_the_same_gradients(name):
    pytest.importorskip("tensorflow")
    import _tensorflow
    import tensorflow as tf

    work = without_dropout(name)
    variables = _tensorflow.variables_of(work)
    apply = _tensorflow.model(work.model, iter(variables), train=True)
    images, target = _tensorflow.arrays_of(work, 4)
    with tf.GradientTape() as tape:
        value = _tensorflow.loss(work.loss, apply(images), target)
    expected, grads = of_fcnn(work, 4)
    assert float(value) == pytest.approx(expected, rel=1e-4)
    pairs = zip(tape.gradient(value, variables), tree.leaves(grads), strict=True)
    for theirs, ours in pairs:
        if theirs is not None:  # of a running statistic
            np.testing.assert_allclose(theirs, ours, rtol=1e-2, atol=1e-4)


def of_engine(library: str, work: Work, images: np.ndarray) -> np.ndarray:
    """Return what an engine makes of images (n, height, width, channels)."""
    first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if library == "onnxruntime":
        import _onnx

        return _onnx.session(work, len(images), 1).run(None, {"x": first})[0]
    if library == "openvino":
        import _openvino

        return _openvino.network(work, len(images), 1)(first)
    if library == "ncnn":
        import _ncnn

        infer = _ncnn.network(work, 1)
        return np.stack([infer(image) for image in first])
    pytest.importorskip("tensorflow")
    import _litert

    return _litert.network(work, len(images), 1)(images)


@pytest.mark.parametrize("library", ["onnxruntime", "openvino", "ncnn", "ai_edge_litert"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_engines_infer_the_same(name, library):
    pytest.importorskip(library)
    pytest.importorskip("onnx")
    work = sent(WORKLOADS[name])
    images = examples(work, 4)[0].astype(np.float32)
    model = _fcnn.model(work.model)
    ours = model.apply(_fcnn.initial(work, model), images)
    np.testing.assert_allclose(of_engine(library, work, images), ours, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["LeNet-5", "ResNet-20"])
def test_inference_is_the_same_too(name):
    """With batch norm's running statistics, and without dropout."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    import _jax
    import _torch

    work = sent(WORKLOADS[name])
    images = examples(work, 4)[0].astype(np.float32)
    model = _fcnn.model(work.model)
    ours = model.apply(_fcnn.initial(work, model), images)
    with torch.inference_mode():
        of_torch = _torch.model(work).eval()(_torch.batch_of(work, 4)[0]).numpy()
    init, apply = _jax.model(work.model, "inference")
    of_jax = jax.jit(apply)(_jax.initial(work, init), images)
    np.testing.assert_allclose(of_torch, ours, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(of_jax, ours, rtol=1e-3, atol=1e-3)


@pytest.fixture
def bench(tmp_path):
    """Yield a function that makes a short run without peers, against a given checkout."""
    with Field() as field:

        def make(before: Path) -> Bench:
            names = ["articles 002/004"]
            return Bench(field, Report(), Effort(2, 0.001), OWN, before, [], names, [1])

        yield make


def test_another_checkout_takes_part_in_its_own_process(bench, capsys):
    run = bench(OWN)
    training(run)
    assert run.field.missing() == []
    found = run.raw["training, batch 1"]["articles 002/004"]
    assert list(found) == [FCNN, BEFORE]
    assert [len(each["times"]) for each in found.values()] == [2, 2]
    shown = capsys.readouterr().out
    assert f"| {BEFORE} |" in shown
    assert f"| {FCNN} / before |" in " ".join(shown.split())


def test_a_layer_is_measured_in_the_ways_it_offers_and_in_one_thread(capsys):
    with Field() as field:
        run = Bench(field, Report(), Effort(2, 0.001), OWN, None, [], [], None, ["conv3d"])
        layers(run)
        assert field.missing() == []
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "conv3d" in line]
    assert "| layer |    16 |" in row
    assert list(run.raw["layers"]["conv3d"]) == [FCNN, f"{FCNN}, 1 thread"]


def test_an_idle_step_goes_through_each_pool(capsys):
    """The pools of this library; the others are started in the same way."""
    import _overhead

    for engine in ("this thread", "threads", "processes"):
        _overhead.prepare(engine, 2, 10)(1)
    with Field() as field:
        chosen = None, [], ["articles 002/004"], [1], [], [1, 2]
        run = Bench(field, Report(), Effort(2, 0.001), OWN, *chosen)
        shards(run)
        workers(run)
        assert field.missing() == []
    shown = capsys.readouterr().out
    assert "| articles 002/004 |" in shown
    assert "of 4 / of 32" in shown
    assert list(run.raw) == ["shards"]  # the other is of larger networks


def test_workers_are_compared_at_the_same_shards(capsys):
    with Field() as field:
        chosen = None, [], ["PyTorch example"], [64], [], [1, 2]
        run = Bench(field, Report(), Effort(2, 0.001), OWN, *chosen)
        workers(run)
        assert field.missing() == []
    assert list(run.raw["workers"]) == [
        f"PyTorch example, batch 64, {pool}" for pool in ("threads", "processes")
    ]
    (head,) = [line for line in capsys.readouterr().out.splitlines() if "ms a step" in line]
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["ms a step", "1", "2"]


def test_the_rounds_are_shared_by_the_processes_of_a_contestant():
    task = task_of("articles 002/004", 1, "inference", shards=1)
    with Field() as field:
        found = measure(field, "x", {FCNN: Entry("fcnn", task, "", OWN)}, Effort(5, 0.001, 2))
        assert len(field._processes) == 2
    assert len(found[FCNN].times) == len(found[FCNN].cpu) == 4


def test_a_checkout_that_fails_is_left_out_with_the_reason(bench, tmp_path):
    (tmp_path / "fcnn").mkdir()
    (tmp_path / "fcnn" / "__init__.py").write_text("raise ImportError('too old')\n")
    run = bench(tmp_path)
    training(run)
    assert list(run.raw["training, batch 1"]["articles 002/004"]) == [FCNN]
    (line,) = run.field.missing()
    assert line.startswith(BEFORE)
    assert "too old" in line


def test_the_checkout_that_is_named_is_the_one_imported(tmp_path):
    with Field() as field:
        task = task_of("articles 002/004", 1, "inference", shards=1)
        (tmp_path / "not_fcnn.py").touch()
        run = Bench(field, Report(), Effort(1, 0.001), OWN, tmp_path, [], [], None)
        run.measure("inference", "x", run.of_fcnn(task))
        (line,) = field.missing()
        assert line.startswith(BEFORE)


def test_the_peak_of_a_process_is_its_own(bench):
    """Linux's getrusage starts a child's peak at that of the process that started it."""
    large = np.ones(1 << 25)  # 268 MB
    with bench(OWN).field.fresh("fcnn", OWN) as process:
        before = process.ask("peak")
        process.ask("prepare", **task_of("PyTorch example", 64, "training", shards=1))
        assert before < large.nbytes / 1e6
        assert process.ask("peak") - before > 20  # the two convolutions' outputs take 15


def test_memory_and_imports_are_compared_with_those_before(bench, capsys):
    run = bench(OWN)
    memory(run)
    imports(run)
    assert run.field.missing() == []
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    (found,) = [cells for cells in lines if cells[0].startswith("| articles 002/004, whole batch")]
    _, own, before, ratio, *_ = found
    assert float(own) > 1
    assert float(before) == pytest.approx(float(own), rel=0.5)
    assert float(ratio.strip(" |")) == pytest.approx(1, abs=0.5)
    statements = [cells[0].strip("| ") for cells in lines if cells[0].startswith("| import")]
    assert statements == ["import numpy, attrs", "import fcnn", f"import fcnn ({BEFORE})"]


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    """Not the ratio of the medians: a slow second slows both contestants of its round."""
    above, below = [2.0, 20.0, 3.0], [1.0, 10.0, 3.0]
    assert ratio(above, below) == 2
    assert Found(above, above, "").seconds / Found(below, below, "").seconds == 1
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2, 4)


def test_a_table_leaves_out_empty_columns_and_is_written_as_printed(tmp_path, capsys):
    report = Report()
    report.table("Times", ["what", "here", "never"], [["one", "1.5", ""], ["two", "", ""]])
    report.table("Nothing", ["what"], [[""]])
    lines = ["", "## Times", "", "| what | here |", "| ---- | ---: |", "| one  |  1.5 |"]
    assert capsys.readouterr().out.splitlines() == [*lines, "| two  |      |"]
    report.write(tmp_path / "out.md")
    assert (tmp_path / "out.md").read_text().splitlines() == [*lines, "| two  |      |"]
