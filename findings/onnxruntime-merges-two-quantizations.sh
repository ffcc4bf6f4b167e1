#!/usr/bin/env bash
# onnxruntime's default optimization keeps only one of two quantizations in a row, that with the finer
# scale: what was to be rounded to quarters comes out as 0.4 and 0.1.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
# Guess before running: graph optimization changes no output by more than 1e-4; rounding to tenths
# and then to quarters stays both, in this order.
# Seen: 0.37 rounds to 0.4 and then to 0.5; optimized, it is 0.4, which the last scale does not have.
# With scales of 0.1 and 0.003 the tenths are gone. So a network made of two quantized parts computes
# something else than it was evaluated with; ORT_DISABLE_ALL and onnx.reference keep both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

def model(nodes, constants, shape):
    graph = helper.make_graph(
        nodes, "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    opsets = [helper.make_opsetid("", 19)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(made.SerializeToString(), options).run(None, {"x": x})[0]


x = np.float32([[0.37, 0.13, -0.42, 1]])
node = helper.make_node
for scale in (0.25, 0.003):
    made = model(
        [node("QuantizeLinear", ["x", "tenth", "zero"], ["a"]),
         node("DequantizeLinear", ["a", "tenth", "zero"], ["b"]),
         node("QuantizeLinear", ["b", "scale", "zero"], ["c"]),
         node("DequantizeLinear", ["c", "scale", "zero"], ["y"])],
        {"tenth": np.float32(0.1), "scale": np.float32(scale), "zero": np.uint8(128)}, x.shape,
    )
    optimized = onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": x})[0]
    for name, y in (
        ("onnx.reference", ReferenceEvaluator(made).run(None, {"x": x})[0]),
        ("as written", run(made, x)),
        ("optimized", optimized),
    ):
        print(scale, name, *(f"{each:.3f}" for each in y.ravel()))
PYTHON
cat > "$folder/expected" <<'TEXT'
0.25 onnx.reference 0.500 0.000 -0.500 1.000
0.25 as written 0.500 0.000 -0.500 1.000
0.25 optimized 0.400 0.100 -0.400 1.000
0.003 onnx.reference 0.381 0.099 -0.384 0.381
0.003 as written 0.381 0.099 -0.384 0.381
0.003 optimized 0.369 0.129 -0.384 0.381
TEXT
diff "$folder/expected" "$folder/seen"
