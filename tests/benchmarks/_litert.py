"""LiteRT (once TensorFlow Lite) as a contestant, for inference; TensorFlow makes its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from _serve import Run, repeated, serve
from _tensorflow import model, variables_of
from _work import Work, examples
from ai_edge_litert.interpreter import Interpreter


def network(work: Work, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network for batches of that size, on XNNPACK's kernels."""
    variables = [tf.constant(each) for each in variables_of(work)]
    apply = tf.function(model(work.model, iter(variables), train=False))
    concrete = apply.get_concrete_function(tf.TensorSpec((batch, *work.shape), tf.float32))
    made: Any = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    interpreter = Interpreter(model_content=made.convert(), num_threads=threads)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def infer(images: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], images)
        interpreter.invoke()
        found: np.ndarray = interpreter.get_tensor(result["index"])
        return found

    return infer


def prepare(work: Work, batch: int, mode: str, threads: int) -> Run:
    """Return an inference; there is no training."""
    images = examples(work, batch)[0].astype(np.float32)
    return repeated(network(work, batch, threads), images)


if __name__ == "__main__":
    serve(prepare)
