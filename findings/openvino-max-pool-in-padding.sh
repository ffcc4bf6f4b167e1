#!/usr/bin/env bash
# OpenVINO's MaxPool with ceil_mode=1 gives a column of -3.4e38 where the last window would lie in the
# padding, and onnx's own shape inference reckons with that column; the others leave it out.
#
# Versions: openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, tract 0.23.9, numpy 2.4.6, Python 3.11;
# CPU, f32.
# Guess before running: two outputs for three elements, a kernel and stride of 2 and a padding of 1 on
# both sides, in every engine, as in PyTorch: a window that starts in the padding is dropped.
# Seen: onnxruntime, tract and onnx.reference give 1, 3. OpenVINO gives 1, 3 and the lowest number of
# float32, which a layer behind it multiplies to infinity. onnx.shape_inference says three, so
# checkers and other tools that trust it do, too.
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

path, x = sys.argv[1], np.float32([[[1, 2, 3]]])
core = openvino.Core()
f32 = {"INFERENCE_PRECISION_HINT": "f32"}
engines = {
    "onnxruntime": lambda: onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
    "tract": lambda: tract.onnx().load(path).into_model().into_runnable().run([x])[0].to_numpy(),
    "onnx.reference": lambda: ReferenceEvaluator(path).run(None, {"x": x})[0],
    "OpenVINO": lambda: core.compile_model(core.read_model(path), "CPU", f32)(x)[0],
}
window = {"kernel_shape": [2], "strides": [2], "pads": [1, 1], "ceil_mode": 1}
graph = helper.make_graph(
    [helper.make_node("MaxPool", ["x"], ["y"], **window)], "one",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, "n"))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, path)
for name, run in engines.items():
    print(name, [float(f"{each:.3g}") for each in run().ravel()])
graph.output[0].type.tensor_type.shape.dim[2].Clear()
inferred = onnx.shape_inference.infer_shapes(
    helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
)
print("inferred", [each.dim_value for each in inferred.graph.output[0].type.tensor_type.shape.dim])
PYTHON
cat > "$folder/expected" <<'TEXT'
onnxruntime [1.0, 3.0]
tract [1.0, 3.0]
onnx.reference [1.0, 3.0]
OpenVINO [1.0, 3.0, -3.4e+38]
inferred [1, 1, 3]
TEXT
diff "$folder/expected" "$folder/seen"
