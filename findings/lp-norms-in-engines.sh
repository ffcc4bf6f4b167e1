#!/usr/bin/env bash
# Two p-norms that are none: LpNormalization with p=1 in onnx.reference divides by the sum with signs;
# tract's GlobalLpPool takes the mean in the place of the sum, and is NaN for odd p where negative
# numbers prevail.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, tract 0.23.9, numpy 2.4.6, Python 3.11.
# Guess before running: an Lp norm is (sum |x|^p)^(1/p) in all of them.
# Seen: onnx.reference normalises (3, -1) to (1.5, -0.5), and (1, -1) to (0, 0), "a norm of zero";
# onnxruntime, OpenVINO and tract give (0.75, -0.25). Of (1, -2) tract's GlobalLpPool is 1.58 for p=2,
# the root of the mean of the squares, where the definition gives 2.24, and NaN for p=3. onnx's own
# tests of p=1 have positive numbers alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
    tract==0.23.9 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/one.onnx" <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
import tract
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

path = sys.argv[1]


def write(operator, shape, out, **attributes):
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


core = openvino.Core()
ENGINES = {
    "onnx.reference": lambda x: ReferenceEvaluator(path).run(None, {"x": x})[0],
    "onnxruntime": lambda x: onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
    "OpenVINO": lambda x: core.compile_model(core.read_model(path), "CPU")(x)[0],
    "tract": lambda x: tract.onnx().load(path).into_model().into_runnable().run([x])[0].to_numpy(),
}


def row(y):
    return [round(float(each), 2) for each in y.ravel()]


x = np.float32([[3, -1], [1, -1]])
write("LpNormalization", x.shape, x.shape, axis=1, p=1)
for name, run in ENGINES.items():
    print("LpNormalization", name, row(run(x)))
x = np.float32([1, -2]).reshape(1, 1, 1, 2)
for p in (2, 3):
    write("GlobalLpPool", x.shape, (1, 1, 1, 1), p=p)
    for name in ("onnxruntime", "OpenVINO", "tract"):
        try:
            print(f"GlobalLpPool {p}", name, row(ENGINES[name](x)))
        except Exception:
            print(f"GlobalLpPool {p}", name, "refused")
PYTHON
cat > "$folder/expected" <<'TEXT'
LpNormalization onnx.reference [1.5, -0.5, 0.0, 0.0]
LpNormalization onnxruntime [0.75, -0.25, 0.5, -0.5]
LpNormalization OpenVINO [0.75, -0.25, 0.5, -0.5]
LpNormalization tract [0.75, -0.25, 0.5, -0.5]
GlobalLpPool 2 onnxruntime [2.24]
GlobalLpPool 2 OpenVINO [2.24]
GlobalLpPool 2 tract [1.58]
GlobalLpPool 3 onnxruntime [2.08]
GlobalLpPool 3 OpenVINO [2.08]
GlobalLpPool 3 tract [nan]
TEXT
diff "$folder/expected" "$folder/seen"
