#!/usr/bin/env bash
# OpenVINO reads an ONNX Resize with antialias, keep_aspect_ratio_policy or exclude_outside and
# computes it without them.
#
# Versions: openvino 2026.4.1, onnx 1.23.2, numpy 2.4.6, Python 3.11; CPU, f32.
# Guess before running: of onnx's own node tests fewer than five give other numbers.
# Seen: 61 of 1413 that are read do; ten of those are Resize. With antialias=1 halving a row of
# eight numbers is the plain linear interpolation, where the filter ought to be twice as wide; with
# keep_aspect_ratio_policy="not_larger" the output has the size that was asked for, in another shape
# than the file declares and onnx infers; exclude_outside=1 gives the cubic of exclude_outside=0.
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
from onnx.reference import ReferenceEvaluator

x = (16 - np.arange(16, dtype=np.float32).reshape(1, 1, 2, 8)) ** 2


def run(size, declared, **attributes):
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], axes=[2, 3], **attributes)
    graph = helper.make_graph(
        [node], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 2, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, *declared))],
        [numpy_helper.from_array(np.array(size), "sizes")],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, sys.argv[1])
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    engine = core.compile_model(core.read_model(sys.argv[1]), "CPU", options)(x)[0]
    return ReferenceEvaluator(model).run(None, {"x": x})[0], engine


def row(y):
    return [round(float(each), 1) for each in y[0, 0, 0, :4]]


for value in (0, 1):
    right, engine = run((2, 4), (2, 4), mode="linear", antialias=value)
    print(f"antialias={value}: onnx {row(right)}, OpenVINO {row(engine)}")
for value in (0, 1):
    right, engine = run((2, 12), (2, 12), mode="cubic", exclude_outside=value)
    print(f"exclude_outside={value}: onnx {row(right)}, OpenVINO {row(engine)}")
for value, declared in (("stretch", (4, 4)), ("not_larger", (1, 4))):
    right, engine = run((4, 4), declared, mode="nearest", keep_aspect_ratio_policy=value)
    print(f"keep_aspect_ratio_policy={value}: onnx {right.shape}, OpenVINO {engine.shape}")
PYTHON
cat > "$folder/expected" <<'TEXT'
antialias=0: onnx [240.5, 182.5, 132.5, 90.5], OpenVINO [240.5, 182.5, 132.5, 90.5]
antialias=1: onnx [236.9, 183.0, 133.0, 93.1], OpenVINO [240.5, 182.5, 132.5, 90.5]
exclude_outside=0: onnx [258.7, 243.2, 218.6, 202.0], OpenVINO [258.7, 243.2, 218.6, 202.0]
exclude_outside=1: onnx [259.1, 244.3, 218.6, 202.0], OpenVINO [258.7, 243.2, 218.6, 202.0]
keep_aspect_ratio_policy=stretch: onnx (1, 1, 4, 4), OpenVINO (1, 1, 4, 4)
keep_aspect_ratio_policy=not_larger: onnx (1, 1, 1, 4), OpenVINO (1, 1, 4, 4)
TEXT
diff "$folder/expected" "$folder/seen"
