#!/usr/bin/env bash
# onnxscript's optimizer merges two Clip nodes, or a Clip and a Relu, whose ranges do not meet, into
# one Clip with another result.
#
# Versions: onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.
# Guess before running: no output changes by more than 1e-4.
# Seen: what was cut to [-1, -0.5] and then to [0.2, 0.7] is 0.2, whatever it was; optimized, it is
# -0.5. What was cut to [-2, -1] and went through a Relu is 0; optimized, it is -1: a negative number
# after a Relu. It takes the larger of the lower bounds and the smaller of the upper ones, which is
# right only where the ranges meet. Ranges that meet come out right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import numpy as np
import onnx
import onnxruntime
import onnxscript.optimizer
from onnx import TensorProto, helper, numpy_helper


def model(nodes, constants, shape):
    graph = helper.make_graph(
        nodes, "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(made.SerializeToString(), options).run(None, {"x": x})[0]


x = np.float32([[-3, -0.7, 0.4, 3]])
bounds = {"a": -1, "b": -0.5, "c": 0.2, "d": 0.7, "e": -2}
constants = {name: np.float32(each) for name, each in bounds.items()}
node = helper.make_node
for name, nodes in {
    "[-1, -0.5], [0.2, 0.7]": [node("Clip", ["x", "a", "b"], ["t"]),
                               node("Clip", ["t", "c", "d"], ["y"])],
    "[-2, -1], Relu": [node("Clip", ["x", "e", "a"], ["t"]), node("Relu", ["t"], ["y"])],
    "[-1, 0.7], [-0.5, 0.2]": [node("Clip", ["x", "a", "d"], ["t"]),
                               node("Clip", ["t", "b", "c"], ["y"])],
}.items():
    before = model(nodes, constants, x.shape)
    after = onnxscript.optimizer.optimize(before)
    print(name, *(each.op_type for each in after.graph.node))
    print(" before", *(f"{each:.1f}" for each in run(before, x).ravel()))
    print(" after", *(f"{each:.1f}" for each in run(after, x).ravel()))
PYTHON
cat > "$folder/expected" <<'TEXT'
[-1, -0.5], [0.2, 0.7] Clip
 before 0.2 0.2 0.2 0.2
 after -0.5 -0.5 -0.5 -0.5
[-2, -1], Relu Clip
 before 0.0 0.0 0.0 0.0
 after -1.0 -1.0 -1.0 -1.0
[-1, 0.7], [-0.5, 0.2] Clip
 before -0.5 -0.5 0.2 0.2
 after -0.5 -0.5 0.2 0.2
TEXT
diff "$folder/expected" "$folder/seen"
