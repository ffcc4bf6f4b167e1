#!/usr/bin/env bash
# The class that ArgMax names for scores with a NaN depends on where the NaN stands and on the engine,
# and onnxruntime's ArgMax contradicts its own TopK.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, tract 0.23.9, numpy 2.4.6, Python 3.11;
# CPU, f32.
# Guess before running: the index of the NaN, in every engine, as np.argmax, torch.argmax and
# jnp.argmax have it; TopK of one likewise.
# Seen: onnx.reference gives the NaN's index. onnxruntime and OpenVINO give it only where it is the
# first score, tract never; of (1, 2, NaN) all three name the class of the 2 as if nothing were
# wrong. TopK finds every NaN in onnxruntime, and only a first one in OpenVINO.
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

path = sys.argv[1]
x = np.float32([[np.nan, 1, 2], [1, np.nan, 2], [1, 2, np.nan]])
core = openvino.Core()
f32 = {"INFERENCE_PRECISION_HINT": "f32"}
engines = {
    "onnx.reference": lambda: ReferenceEvaluator(path).run(None, {"x": x})[-1],
    "onnxruntime": lambda: onnxruntime.InferenceSession(path).run(None, {"x": x})[-1],
    "OpenVINO": lambda: list(core.compile_model(core.read_model(path), "CPU", f32)(x).values())[-1],
    "tract": lambda: tract.onnx().load(path).into_model().into_runnable().run([x])[-1].to_numpy(),
}
nodes = {
    "ArgMax": helper.make_node("ArgMax", ["x"], ["i"], axis=1),
    "TopK": helper.make_node("TopK", ["x", "k"], ["y", "i"], axis=1),
}
for kind, node in nodes.items():
    infos = {"y": TensorProto.FLOAT, "i": TensorProto.INT64}
    graph = helper.make_graph(
        [node], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info(name, infos[name], (3, 1)) for name in node.output],
        [numpy_helper.from_array(np.array([1]), "k")] if kind == "TopK" else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    for name, run in engines.items():
        print(kind, name, run().ravel().tolist())
print("numpy", x.argmax(1).tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
ArgMax onnx.reference [0, 1, 2]
ArgMax onnxruntime [0, 2, 1]
ArgMax OpenVINO [0, 2, 1]
ArgMax tract [2, 2, 1]
TopK onnx.reference [0, 1, 2]
TopK onnxruntime [0, 1, 2]
TopK OpenVINO [0, 2, 1]
TopK tract [0, 0, 1]
numpy [0, 1, 2]
TEXT
diff "$folder/expected" "$folder/seen"
