"""ncnn as a contestant, for inference: the network in its text and binary files, made here.

ncnn computes one image at a time; a batch is a loop. Weights are in the binary file one after the
other, a layer's matrix behind a word that says float32, its bias without. The formats are described
at https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
from _serve import Run, serve
from _work import Node, Work, channels_first, images_first, parameters

MAGIC = "7767517"
FLOAT32 = b"\0\0\0\0"
PLAIN = {"relu": "ReLU", "sigmoid": "Sigmoid", "flatten": "Flatten"}


class Graph:
    """The lines and the binary of a network, in the order of computation."""

    def __init__(self, arrays: Iterator[np.ndarray]) -> None:
        self._arrays = arrays
        self._names = map("v{}".format, itertools.count())
        self._blobs = 1
        self.lines = ["Input input 0 1 x"]
        self.binary = b""

    def text(self) -> str:
        return "\n".join([MAGIC, f"{len(self.lines)} {self._blobs}", *self.lines, ""])

    def add(self, node: Node, x: str) -> str:
        """Add what a layer makes of x; return the name of its output."""
        args = node.arguments
        match node.name:
            case "serial":
                for layer in node.layers:
                    x = self.add(layer, x)
                return x
            case "add":
                copies = self._call("Split", [x], count=len(node.layers))
                branches = [
                    self.add(layer, x) for layer, x in zip(node.layers, copies, strict=True)
                ]
                return self._call("BinaryOp", branches, {0: 0})[0]
            case "conv2d":
                return self._conv(x, **args)
            case "dense":
                weight = self._put(matrix=True)
                self._put()
                return self._call("InnerProduct", [x], {0: args["units"], 1: 1, 2: weight.size})[0]
            case "batch_norm":
                scale, shift, mean, var = (next(self._arrays) for _ in range(4))
                self._write(scale, mean, var, shift)
                return self._call("BatchNorm", [x], {0: len(scale), 1: args["eps"]})[0]
            case "max_pool2d" | "avg_pool2d":
                size, kind = args["pool_size"], int(node.name == "avg_pool2d")
                return self._call("Pooling", [x], {0: kind, 1: size, 2: size, 5: 1})[0]
            case "dropout":  # nothing in inference
                return x
        return self._call(PLAIN[node.name], [x])[0]

    def _conv(
        self,
        x: str,
        *,
        filters: int,
        kernel_size: int,
        stride: int,
        padding: int | str,
        bias: str | None,
        **_: Any,
    ) -> str:
        weight, tied = self._put(matrix=True), bias == "tied"
        if tied:
            self._put()
        pads = 0 if padding == "valid" else padding
        numbers = {0: filters, 1: kernel_size, 3: stride, 4: pads, 5: int(tied), 6: weight.size}
        (y,) = self._call("Convolution", [x], numbers)
        if bias != "untied":
            return y
        c, h, w = self._put().shape
        added = self._call("MemoryData", [], {0: w, 1: h, 2: c})
        return self._call("BinaryOp", [y, *added], {0: 0})[0]

    def _put(self, *, matrix: bool = False) -> np.ndarray:
        """Write the next parameter, and return it."""
        array = next(self._arrays)
        if matrix:
            self.binary += FLOAT32
        self._write(array)
        return array

    def _write(self, *arrays: np.ndarray) -> None:
        for array in arrays:
            self.binary += np.ascontiguousarray(array, np.float32).tobytes()

    def _call(
        self,
        layer: str,
        inputs: list[str],
        numbers: dict[int, float] | None = None,
        count: int = 1,
    ) -> list[str]:
        names = [next(self._names) for _ in range(count)]
        settings = [f"{key}={value}" for key, value in (numbers or {}).items()]
        words = [layer, names[0], str(len(inputs)), str(count), *inputs, *names, *settings]
        self.lines.append(" ".join(words))
        self._blobs += count
        return names


def network(work: Work, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network of one image (channels, height, width)."""
    graph = Graph(channels_first(work, parameters(work)))
    y = graph.add(work.model, "x")
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder, "net.param"), Path(folder, "net.bin")
        text.write_text(graph.text())
        binary.write_bytes(graph.binary)
        net.load_param(str(text))
        net.load_model(str(binary))

    def infer(image: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("x", ncnn.Mat(image))
        return np.array(extractor.extract(y)[1])

    return infer


def prepare(work: Work, batch: int, mode: str, threads: int) -> Run:
    """Return an inference; there is no training."""
    run, images = network(work, threads), images_first(work, batch)

    def infer(k: int) -> None:
        for _ in range(k):
            for image in images:
                run(image)

    return infer


if __name__ == "__main__":
    serve(prepare)
