"""Run every layer and model in every engine, and print what deviates.

    python -m tests.export.matrix [--drawn 300]

For each case of ``tests/layers/cases``, each model of ``tests/models`` in its small form and as
many layers with drawn hyper-parameters as asked for: a file at opsets 13, 17 and 21, checked in
full by onnx, held to `apply` within 1e-5 of the largest output at batches of 1, 5 and 64 in each
engine that is installed. An engine runs in a process of its own, started again if it ends.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

import fcnn
from fcnn.errors import FcnnError

from .conftest import TABLE, drawn_inputs, drawn_params, off_by
from .engines import INSTALLED
from .test_layers import MODELS, OPSETS, convolutions, others, pools

BATCHES = (1, 5, 64)


def cases(number):
    """Yield a name, a layer, a shape and params."""
    for layer, shape in TABLE:
        yield str(layer), layer, shape, drawn_params(layer, shape)
    for name, (model, shape, _) in MODELS.items():
        yield name, model, shape, model.init(fcnn.key(0), shape)[0]
    for layer, shape in drawn_layers(number):
        yield f"{layer} of {shape}", layer, shape, drawn_params(layer, shape)


def drawn_layers(number):
    found = {}
    if not number:
        return []

    @seed(0)
    @settings(max_examples=number, phases=[Phase.generate], database=None, deadline=None)
    @given(st.one_of(convolutions(), pools(), others()))
    def draw(drawn):
        made, args, options, shape = drawn
        try:
            layer = made(*args, **options)
            layer.init(fcnn.key(0), shape)
        except FcnnError:  # out of its range, or larger than the image
            return
        found[layer, shape] = True

    draw()
    return list(found)


def serve(engine, pipe):
    """Answer with how far an engine is off for each batch, or with its error."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1), os.dup2(silent, 2)
    while True:
        path, pairs = pipe.recv()
        try:
            run = engine(path)
            pipe.send([off_by(run(x), y) for x, y in pairs])
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {str(error).strip()[:200]}")


class Worker:
    """An engine in a process."""

    def __init__(self, engine):
        self.engine, self.process = engine, None

    def __call__(self, path, pairs):
        if self.process is None or not self.process.is_alive():
            self.pipe, far = multiprocessing.Pipe()
            self.process = multiprocessing.Process(
                target=serve, args=(self.engine, far), daemon=True
            )
            self.process.start()
            far.close()
        self.pipe.send((path, pairs))
        try:
            return self.pipe.recv() if self.pipe.poll(60) else self.killed("no answer in 60 s")
        except EOFError:
            return self.killed("the process ended")

    def killed(self, text):
        self.process.kill()
        self.process.join()
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawn", type=int, default=300, metavar="N")
    args = parser.parse_args()
    workers, runs, start = [Worker(engine) for engine in INSTALLED], Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.onnx"))
        for name, layer, shape, params in cases(args.drawn):
            xs = [drawn_inputs(layer, shape, batch) for batch in BATCHES]
            pairs = [(x, layer.apply(params, x)) for x in xs]
            for opset in OPSETS:
                fcnn.export.onnx(layer, params, shape, path, opset=opset)
                for worker in workers:
                    found, engine = worker(path, pairs), worker.engine.__name__
                    runs[engine] += len(BATCHES)
                    if isinstance(found, str) or max(found) >= 1e-5:
                        print(f"{engine}, opset {opset}, {name}, {shape}: {found}", flush=True)
    print(dict(runs), f"runs in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
