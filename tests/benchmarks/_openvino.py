"""OpenVINO as a contestant, for inference, held to float32 where the processor has bfloat16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openvino
from _graph import serialized
from _serve import Run, repeated, serve
from _work import Work, images_first


def network(work: Work, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the compiled network for batches of that size."""
    core = openvino.Core()
    read = core.read_model(serialized(work, batch), b"")
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    request = core.compile_model(read, "CPU", settings).create_infer_request()

    def infer(images: np.ndarray) -> np.ndarray:
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
        request.infer()
        return request.get_output_tensor().data

    return infer


def prepare(work: Work, batch: int, mode: str, threads: int) -> Run:
    """Return an inference; there is no training."""
    return repeated(network(work, batch, threads), images_first(work, batch))


if __name__ == "__main__":
    serve(prepare)
