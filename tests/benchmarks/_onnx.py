"""ONNX Runtime as a contestant, for inference."""

from __future__ import annotations

import functools

import onnxruntime
from _graph import serialized
from _serve import Run, repeated, serve
from _work import Work, images_first


def session(work: Work, batch: int, threads: int) -> onnxruntime.InferenceSession:
    """Return the network for batches of that size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(serialized(work, batch), options, providers=providers)


def prepare(work: Work, batch: int, mode: str, threads: int) -> Run:
    """Return an inference; there is no training."""
    run = functools.partial(session(work, batch, threads).run, None)
    return repeated(run, {"x": images_first(work, batch)})


if __name__ == "__main__":
    serve(prepare)
