#!/usr/bin/env bash
# A NaN does not survive the layers of a network in most inference engines: ReLU of NaN is 0 in
# OpenVINO and tract, and whether a max pool shows one depends on where in the window it stands.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93,
# tract 0.23.9, numpy 2.4.6, Python 3.11; CPU, f32.
# Guess before running: NaN in, NaN out, for ReLU, Clip, Sigmoid and max pools, as in NumPy, PyTorch
# and IEEE arithmetic, so a network with a broken weight or input says so in its output.
# Seen: for ReLU, Clip and Sigmoid so in onnx.reference and onnxruntime alone. OpenVINO: 0 for ReLU,
# the lower bound for Clip. tract: the same, and 0 for Sigmoid. OpenCV: NaN for ReLU, but for -inf
# too, whose ReLU is 0; its Clip keeps NaN here, in the rest of a row, and not where a row fills
# vector registers. Max pools: onnx.reference, OpenVINO and tract skip NaN; onnxruntime and OpenCV
# show it in the last place of the window only. A classifier then answers with confidence.
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

path, nan, inf = sys.argv[1], np.nan, np.inf


def write(operator, shape, out, constants=(), **attributes):
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *(name for name, _ in constants)], ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.float32(each), name) for name, each in constants],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def in_opencv(x):
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x, "x")
    return net.forward("y")


def in_openvino(x):
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(path), "CPU", options)(x)[0]


ENGINES = {
    "onnx.reference": lambda x: ReferenceEvaluator(path).run(None, {"x": x})[0],
    "onnxruntime": lambda x: onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
    "OpenVINO": in_openvino,
    "OpenCV": in_opencv,
    "tract": lambda x: tract.onnx().load(path).into_model().into_runnable().run([x])[0].to_numpy(),
}
x = np.float32([[nan, -inf, 2]])
windows = np.float32([[nan, 1, 2, 3], [1, nan, 2, 3], [1, 2, 3, nan]]).reshape(3, 1, 2, 2)
write("Relu", x.shape, x.shape)
relu = {name: run(x).ravel().tolist() for name, run in ENGINES.items()}
write("Clip", x.shape, x.shape, (("low", -1), ("high", 1)))
clip = {name: run(x).ravel().tolist() for name, run in ENGINES.items()}
write("Sigmoid", x.shape, x.shape)
sigmoid = {name: np.round(run(x).ravel().astype(float), 2).tolist() for name, run in ENGINES.items()}
write("MaxPool", (3, 1, 2, 2), (3, 1, 1, 1), kernel_shape=[2, 2])
pool = {name: run(windows).ravel().tolist() for name, run in ENGINES.items()}
for name in ENGINES:
    shown = [[each + 0.0 for each in found[name]] for found in (relu, clip, sigmoid, pool)]
    print(f"{name}: Relu {shown[0]} Clip {shown[1]} Sigmoid {shown[2]} MaxPool {shown[3]}")
PYTHON
cat > "$folder/expected" <<'TEXT'
onnx.reference: Relu [nan, 0.0, 2.0] Clip [nan, -1.0, 1.0] Sigmoid [nan, 0.0, 0.88] MaxPool [3.0, 3.0, 3.0]
onnxruntime: Relu [nan, 0.0, 2.0] Clip [nan, -1.0, 1.0] Sigmoid [nan, 0.0, 0.88] MaxPool [3.0, 3.0, nan]
OpenVINO: Relu [0.0, 0.0, 2.0] Clip [-1.0, -1.0, 1.0] Sigmoid [nan, 0.0, 0.88] MaxPool [3.0, 3.0, 3.0]
OpenCV: Relu [nan, nan, 2.0] Clip [nan, -1.0, 1.0] Sigmoid [nan, 0.0, 0.88] MaxPool [3.0, 3.0, nan]
tract: Relu [0.0, 0.0, 2.0] Clip [-1.0, -1.0, 1.0] Sigmoid [0.0, 0.0, 0.88] MaxPool [3.0, 3.0, 3.0]
TEXT
diff "$folder/expected" "$folder/seen"
