"""A notebook: what it shows, layers of its own with workers, and Ctrl-C."""

import os
from pathlib import Path

import pytest

import fcnn

nbclient = pytest.importorskip("nbclient", exc_type=ImportError)
nbformat = pytest.importorskip("nbformat", exc_type=ImportError)
pytest.importorskip("ipykernel", exc_type=ImportError)
pytest.importorskip("matplotlib", exc_type=ImportError)
pytest.importorskip("cloudpickle", exc_type=ImportError)

CELLS = [
    """
import fcnn
from fcnn.data import mnist
from fcnn.losses import softmax_cross_entropy as loss
data = mnist("train", 64)

@fcnn.layer
def half():
    init = lambda key, shape: ((), shape)
    apply = lambda params, x, ctx=fcnn.EVAL: x / 2
    vjp = lambda params, x, ctx=fcnn.EVAL: (x / 2, lambda dy: ((), dy / 2))
    return init, apply, vjp

model = fcnn.serial(fcnn.flatten, half(), fcnn.dense(10))
sgd, settings = fcnn.optim.sgd(0.1), {"key": fcnn.key(0), "epochs": 2, "batch_size": 64}
""",
    "fcnn.summary(model, (28, 28, 1))",
    """
with fcnn.parallel.threads(2) as threads:
    run = fcnn.fit(model, loss, sgd, data, **settings, shard_size=32, executor=threads)
run
""",
    """
with fcnn.parallel.processes(2) as processes:
    again = fcnn.fit(
        model, loss, sgd, data, **settings, shard_size=32, executor=processes, log=None
    )
print(again.params == run.params)
""",
    "%matplotlib inline\nfcnn.plot.learning_curves(run)",
    """
def stop(line):
    raise KeyboardInterrupt

try:
    fcnn.fit(model, loss, sgd, data, **settings, log=stop)
except KeyboardInterrupt as error:
    print(len(error.run.history), error.state.epoch)
""",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The outputs of each cell."""
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    folder = tmp_path_factory.mktemp("notebook")
    resources = {"metadata": {"path": str(folder)}}
    here = str(Path(fcnn.__file__).parent.parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    client = nbclient.NotebookClient(book, timeout=60, resources=resources)
    client.execute(env={**os.environ, "PYTHONPATH": path})
    return [cell.outputs for cell in book.cells]


def html(found):
    (text,) = (each.data["text/html"] for each in found if "text/html" in each.get("data", {}))
    return text


def printed(found):
    return "".join(each.text for each in found if each.get("name") == "stdout")


def test_a_summary_and_a_run_are_short_tables(outputs):
    assert html(outputs[1]).startswith("<table>")
    run = html(outputs[2])
    assert run.count("<tr>") == 3
    assert len(run) < 1000


def test_lines_of_epochs_are_printed(outputs):
    assert "epoch 2/2" in printed(outputs[2])


def test_a_layer_of_a_cell_gives_the_same_bits_with_threads_and_processes(outputs):
    assert printed(outputs[3]).endswith("True\n")


def test_a_plot_is_inline(outputs):
    assert any("image/png" in each.get("data", {}) for each in outputs[4])


def test_ctrl_c_keeps_the_run(outputs):
    assert "1 1\n" in printed(outputs[5])
