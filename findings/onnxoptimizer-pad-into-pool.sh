#!/usr/bin/env bash
# onnxoptimizer turns a Pad with zeros before a MaxPool into padding of the MaxPool, which is -inf:
# where all numbers in a window are negative the output is another. Before an AveragePool it changes
# what is counted, or gives a file that onnxruntime does not load.
#
# Versions: onnxoptimizer 0.4.2, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.
# Guess before running: the default passes change no output by more than 1e-5; a Pad goes into a
# MaxPool only if it pads with -inf.
# Seen: of -1, -2, -3, -4, padded by a zero on all sides, the maxima are 0 before and -1, -2, -3, -4
# after. Likewise the mean over a window that the AveragePool pads as well. Between a ReLU and the
# pool the change would not matter; after a batch norm it does. Pad with -inf stays and is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxoptimizer==0.4.2 onnx==1.23.2 onnxruntime==1.32.0 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import numpy as np
import onnx
import onnxruntime
import onnxoptimizer
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


x = np.float32([-1, -2, -3, -4]).reshape(1, 1, 2, 2)
pads = np.int64([0, 0, 1, 1, 0, 0, 1, 1])
for name, kind, value, attributes in (
    ("max", "MaxPool", 0, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("max of -inf", "MaxPool", -np.inf, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("average", "AveragePool", 0, {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [3, 3]}),
    ("average", "AveragePool", 0, {"kernel_shape": [2, 2], "pads": [1] * 4, "strides": [2, 2]}),
):
    before = model(
        [helper.make_node("Pad", ["x", "pads", "value"], ["padded"]),
         helper.make_node(kind, ["padded"], ["y"], **attributes)],
        {"pads": pads, "value": np.float32(value)}, x.shape,
    )
    after = onnxoptimizer.optimize(before)
    print(name, *(node.op_type for node in after.graph.node))
    print(" before", *(f"{each:.2f}" for each in run(before, x).ravel()))
    try:
        print(" after", *(f"{each:.2f}" for each in run(after, x).ravel()))
    except Exception as error:
        print(" after, refused:", "Pad should be smaller than kernel" in str(error))
PYTHON
cat > "$folder/expected" <<'TEXT'
max MaxPool
 before 0.00 0.00 0.00 0.00
 after -1.00 -2.00 -3.00 -4.00
max of -inf Pad MaxPool
 before -1.00 -2.00 -3.00 -4.00
 after -1.00 -2.00 -3.00 -4.00
average AveragePool
 before -0.25 -0.50 -0.75 -1.00
 after -0.11 -0.22 -0.33 -0.44
average AveragePool
 before 0.00 0.00 0.00 0.00 -2.50 0.00 0.00 0.00 0.00
 after, refused: True
TEXT
diff "$folder/expected" "$folder/seen"
