#!/usr/bin/env bash
# OpenVINO's QuantizeLinear rounds after it has added the zero point: with an odd one, halves go the
# other way than in ONNX's definition.
#
# Versions: openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, tract 0.23.9, numpy 2.4.6, Python 3.11;
# CPU, f32.
# Guess before running: saturate(round(x / scale) + zero_point), half to even, in every engine and
# with every zero point.
# Seen: with the zero points 0 and 128 all agree. With 1, OpenVINO gives 2, 2, 4 for 0.5, 1.5, 2.5 and
# onnxruntime, tract and onnx.reference 1, 3, 3: round(x / scale + zero_point). Halves are common
# where a scale is a power of two, as hardware likes it; the outputs are a step apart then.
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
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

path, x = sys.argv[1], np.float32([[0.5, 1.5, 2.5, 3.5]])
core = openvino.Core()
f32 = {"INFERENCE_PRECISION_HINT": "f32"}
engines = {
    "onnxruntime": lambda: onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
    "tract": lambda: tract.onnx().load(path).into_model().into_runnable().run([x])[0].to_numpy(),
    "onnx.reference": lambda: ReferenceEvaluator(path).run(None, {"x": x})[0],
    "OpenVINO": lambda: core.compile_model(core.read_model(path), "CPU", f32)(x)[0],
}
for zero in (0, 1, 128):
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, x.shape)],
        [numpy_helper.from_array(each, name)
         for name, each in (("scale", np.float32(1)), ("zero", np.uint8(zero)))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    for name, run in engines.items():
        print(zero, name, run().ravel().tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
0 onnxruntime [0, 2, 2, 4]
0 tract [0, 2, 2, 4]
0 onnx.reference [0, 2, 2, 4]
0 OpenVINO [0, 2, 2, 4]
1 onnxruntime [1, 3, 3, 5]
1 tract [1, 3, 3, 5]
1 onnx.reference [1, 3, 3, 5]
1 OpenVINO [2, 2, 4, 4]
128 onnxruntime [128, 130, 130, 132]
128 tract [128, 130, 130, 132]
128 onnx.reference [128, 130, 130, 132]
128 OpenVINO [128, 130, 130, 132]
TEXT
diff "$folder/expected" "$folder/seen"
