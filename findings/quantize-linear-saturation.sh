#!/usr/bin/env bash
# QuantizeLinear of a large positive number gives the smallest whole number instead of the largest,
# in onnx.reference, OpenCV and tract.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93,
# tract 0.23.9, numpy 2.4.6, Python 3.11; CPU.
# Guess before running: 255 for uint8, as the definition is saturate(round(x / scale) + zero_point),
# for infinity as for 1e9, in every engine.
# Seen: up to 1e9 all five give 255. From 2 ** 31 on, so for 3e9 and infinity, onnx.reference, OpenCV
# and tract give 0: they convert to 32 bits first and saturate then, and on x86 what does not fit
# becomes -2 ** 31. One diverged activation in an 8-bit network turns into "nothing here".
# onnxruntime and OpenVINO give 255.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
    opencv-python-headless==5.0.0.93 tract==0.23.9 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/one.onnx" <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
import tract
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

path, x = sys.argv[1], np.float32([[300, 1e9, 3e9, np.inf, -3e9]])
graph = helper.make_graph(
    [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])], "one",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
    [helper.make_tensor_value_info("y", TensorProto.UINT8, x.shape)],
    [numpy_helper.from_array(each, name)
     for name, each in (("scale", np.float32(1)), ("zero", np.uint8(128)))],
)
opsets = [helper.make_opsetid("", 17)]
model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, path)


def in_opencv():
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x, "x")
    return net.forward("y")


core = openvino.Core()
engines = {
    "onnxruntime": lambda: onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
    "OpenVINO": lambda: core.compile_model(core.read_model(path), "CPU")(x)[0],
    "onnx.reference": lambda: ReferenceEvaluator(model).run(None, {"x": x})[0],
    "OpenCV": in_opencv,
    "tract": lambda: tract.onnx().load(path).into_model().into_runnable().run([x])[0].to_numpy(),
}
print("of", x[0].tolist())
for name, run in engines.items():
    print(name, run().ravel().tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
of [300.0, 1000000000.0, 3000000000.0, inf, -3000000000.0]
onnxruntime [255, 255, 255, 255, 0]
OpenVINO [255, 255, 255, 255, 0]
onnx.reference [255, 255, 0, 0, 0]
OpenCV [255, 255, 0, 0, 0]
tract [255, 255, 0, 0, 0]
TEXT
diff "$folder/expected" "$folder/seen"
