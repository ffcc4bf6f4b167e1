"""Layers that workers cannot import: from a notebook, python -c, standard input, or a function."""

import importlib.util
import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest
import shard_work

import fcnn
from fcnn import parallel, tree
from fcnn.losses import mean_squared_error

CLOUDPICKLE = pytest.mark.skipif(
    importlib.util.find_spec("cloudpickle") is None, reason="cloudpickle is not installed"
)

# A layer with a node of its own for its params, so that functions, arguments and results all hold
# what only this program defines.
PROGRAM = f"""
import os, sys
sys.path.insert(0, {shard_work.HERE!r})
import numpy as np
import fcnn
from fcnn import parallel, tree
from fcnn.losses import mean_squared_error

@tree.node
class ScaleParams:
    scale: np.ndarray

class TooLargeError(ValueError):
    pass

@fcnn.layer
def scale(limit):
    def init(key, shape):
        return ScaleParams(np.full((), 2, np.float32)), shape

    def check(x):
        if np.max(x) > limit:
            raise TooLargeError(limit)

    def apply(params, x, ctx=fcnn.EVAL):
        check(x)
        return params.scale * x

    def vjp(params, x, ctx=fcnn.EVAL):
        check(x)
        return params.scale * x, lambda dy: (ScaleParams((dy * x).sum()), params.scale * dy)

    return init, apply, vjp

def work(executor):
    model, x = fcnn.serial(fcnn.dense(3), scale(9.0)), np.ones((8, 2), np.float32)
    params, _ = model.init(fcnn.key(0), (2,))
    options = {{"shard_size": 4, "executor": executor, "jit": False}}  # `check` steers Python
    f = fcnn.value_and_grad(model, mean_squared_error, **options)
    found = f(params, x, np.zeros((8, 3), np.float32))
    assert type(found[1][1]) is ScaleParams
    try:
        f(params, 100 * x, np.zeros((8, 3), np.float32))
    except TooLargeError as error:
        return tree.digest(found), str(error)

if __name__ == "__main__":
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    makers = {{
        "own": lambda: parallel.processes(2),
        "standard": lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")),
    }}
    with makers[os.environ["MAKER"]]() as pool:
        parallel.map_shards(max, 0, [0, 1], pool)
        print(work(pool) == work(None))
"""
WAYS = {"python -c": ["-c", PROGRAM], "standard input": ["-"]}


def run(way, maker, **variables):
    return subprocess.run(
        [sys.executable, "-W", "error", *WAYS[way]],
        input=PROGRAM if way == "standard input" else None,
        env={**os.environ, "MAKER": maker, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


@CLOUDPICKLE
@pytest.mark.parametrize("way", WAYS)
def test_a_program_without_a_file_works_by_value(way):
    done = run(way, "own")
    assert (done.stdout, done.stderr) == ("True\n", "")


@CLOUDPICKLE
def test_it_also_works_by_value_in_the_standard_pool():
    done = run("python -c", "standard")
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("way", WAYS)
def test_without_cloudpickle_one_sentence_says_the_way_out(way, tmp_path):
    (tmp_path / "cloudpickle.py").write_text("raise ImportError('it is not installed')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    last = run(way, "own", PYTHONPATH=path).stderr.splitlines()[-1]
    assert last == (
        "TypeError: expected functions and classes that worker processes can import, got some "
        "defined in __main__, which is not a file (a notebook, python -c or standard input); put "
        "them into a module, or pip install cloudpickle, or use fcnn.parallel.threads()"
    )


def test_cloudpickle_is_not_imported_without_need(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        PROGRAM.replace("print(", "assert 'cloudpickle' not in sys.modules\n        print(")
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        env={**os.environ, "MAKER": "own"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_what_stands_below_the_main_guard_is_explained(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from fcnn import parallel\n"
        "if __name__ == '__main__':\n"
        "    def work(common, shard):\n"
        "        return shard\n"
        "    with parallel.processes(2) as pool:\n"
        "        parallel.map_shards(work, None, [0, 1], pool)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert "TypeError: expected what a worker process can import, got AttributeError" in done.stderr
    assert "above its main guard, or use fcnn.parallel.threads()" in done.stderr


@CLOUDPICKLE
def test_a_layer_that_a_function_defines_works_by_value():
    @fcnn.layer
    def twice():
        def init(key, shape):
            return (), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return 2 * x

        def vjp(params, x, ctx=fcnn.EVAL):
            return 2 * x, lambda dy: ((), 2 * dy)

        return init, apply, vjp

    model, x = fcnn.serial(fcnn.dense(3), twice()), np.ones((8, 2), np.float32)
    params, _ = model.init(fcnn.key(0), (2,))

    def gradient(executor):
        grad = fcnn.grad(model, mean_squared_error, shard_size=4, executor=executor)
        return tree.digest(grad(params, x, np.zeros((8, 3), np.float32)))

    with parallel.processes(2) as pool:
        assert gradient(pool) == gradient(None)


@CLOUDPICKLE
def test_arrays_around_what_travels_by_value_stay_in_their_order():
    common = np.zeros(2), lambda first, last: first - last, np.ones(2)
    with parallel.processes(2) as pool:
        done = parallel.map_shards(shard_work.combined, common, [0, 1], pool)
        assert done == [[-1, -1], [-1, -1]]


def test_what_does_not_pickle_is_said_in_one_sentence():
    with parallel.processes(2) as pool:
        with pytest.raises(TypeError, match="expected objects that pickle, got TypeError: cannot"):
            parallel.map_shards(shard_work.total, sys.stdout, [0, 1], pool)
        assert parallel.map_shards(shard_work.total, [1.0], [0, 1], pool) == [1, 2]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_daemonic_process_may_have_processes(method):
    """Those of multiprocessing.Pool, or of Dask, are daemonic."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    context = multiprocessing.get_context(method)
    found = context.SimpleQueue()
    process = context.Process(target=shard_work.digest_in_processes, args=(found,), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert found.get() == shard_work.digest()
    found.close()
