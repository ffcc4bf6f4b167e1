#!/usr/bin/env bash
# OpenVINO ignores the attribute `axes` of ReduceL1, ReduceLogSum and ReduceLogSumExp in ONNX files up
# to opset 17: it reduces over all axes, the batch included, and reads the file without a word.
#
# Versions: openvino 2026.4.1, onnx 1.23.2, numpy 2.4.6, Python 3.11; CPU, f32.
# Guess before running: right for every Reduce operator.
# Seen: at 13 and 17 these three return one number for a batch of two, in the shape of a
# scalar; at 18 they are right; ReduceSum, Mean, Max, Min, Prod, L2 and SumSquare are always right. A
# log-softmax written with ReduceLogSumExp mixes the images of a batch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 openvino==2026.4.1 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/one.onnx" <<'PYTHON' | tee "$folder/seen"
import sys

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

x = np.random.default_rng(0).uniform(0.5, 2, size=(2, 3)).astype(np.float32)
REDUCTIONS = {
    "L1": lambda a: np.abs(a).sum(1), "L2": lambda a: np.sqrt((a * a).sum(1)),
    "LogSum": lambda a: np.log(a.sum(1)), "LogSumExp": lambda a: np.log(np.exp(a).sum(1)),
    "Max": lambda a: a.max(1), "Mean": lambda a: a.mean(1), "Min": lambda a: a.min(1),
    "Prod": lambda a: a.prod(1), "Sum": lambda a: a.sum(1), "SumSquare": lambda a: (a * a).sum(1),
}


def run(name, opset):
    axes_is_input = opset >= 18 or (name == "Sum" and opset >= 13)
    node = helper.make_node(f"Reduce{name}", ["x", "axes"] if axes_is_input else ["x"], ["y"],
                            keepdims=0, **({} if axes_is_input else {"axes": [1]}))
    graph = helper.make_graph(
        [node], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 3))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2,))],
        [numpy_helper.from_array(np.array([1]), "axes")] if axes_is_input else [],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, sys.argv[1])
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(sys.argv[1]), "CPU", options)(x)[0]


for opset in (13, 17, 18):
    wrong = []
    for name, reduced in REDUCTIONS.items():
        y = run(name, opset)
        if y.shape != (2,) or not np.allclose(y, reduced(x), rtol=1e-5):
            assert np.allclose(y, reduced(x.reshape(1, -1))), "neither one axis nor all"
            wrong.append(f"{name} {y.shape}")
    print(opset, "over all axes:", *wrong)
PYTHON
cat > "$folder/expected" <<'TEXT'
13 over all axes: L1 () LogSum () LogSumExp ()
17 over all axes: L1 () LogSum () LogSumExp ()
18 over all axes:
TEXT
diff "$folder/expected" "$folder/seen"
