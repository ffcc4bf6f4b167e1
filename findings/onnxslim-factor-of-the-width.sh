#!/usr/bin/env bash
# onnxslim takes a vector that scales the columns of an image for one that scales its channels, if
# there are as many columns as channels, and folds it into the convolution before it.
#
# Versions: onnxslim 0.1.98, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.
# Guess before running: no output changes by more than 1e-4; a vector of four is broadcast along the
# last axis, as NumPy and ONNX do, and stays.
# Seen: four channels of four columns of ones times (1, 2, 3, 4) are 1, 2, 3, 4 in each row before,
# and 1, 1, 1, 1 in the first channel after, without a word. It is so for a factor of shape (4) and
# one of (4, 1), which scales the rows; for ConvTranspose likewise. With as many columns as channels
# that is a learned mask, a window or a position weight. A factor of shape (4, 1, 1) is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import numpy as np
import onnx
import onnxruntime
import onnxslim
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


x = np.ones((1, 1, 4, 4), np.float32)
factor = np.float32([1, 2, 3, 4])
for kind in ("Conv", "ConvTranspose"):
    weight = np.ones((4, 1, 1, 1) if kind == "Conv" else (1, 4, 1, 1), np.float32)
    for shape in ((4,), (4, 1), (4, 1, 1)):
        before = model(
            [helper.make_node(kind, ["x", "weight"], ["between"]),
             helper.make_node("Mul", ["between", "factor"], ["y"])],
            {"weight": weight, "factor": factor.reshape(shape)}, x.shape,
        )
        after = onnxslim.slim(before)
        row = [run(each, x)[0, 0, 0].tolist() for each in (before, after)]
        print(kind, shape, *row, bool((run(before, x) == run(after, x)).all()))
PYTHON
cat > "$folder/expected" <<'TEXT'
Conv (4,) [1.0, 2.0, 3.0, 4.0] [1.0, 1.0, 1.0, 1.0] False
Conv (4, 1) [1.0, 1.0, 1.0, 1.0] [1.0, 1.0, 1.0, 1.0] False
Conv (4, 1, 1) [1.0, 1.0, 1.0, 1.0] [1.0, 1.0, 1.0, 1.0] True
ConvTranspose (4,) [1.0, 2.0, 3.0, 4.0] [1.0, 1.0, 1.0, 1.0] False
ConvTranspose (4, 1) [1.0, 1.0, 1.0, 1.0] [1.0, 1.0, 1.0, 1.0] False
ConvTranspose (4, 1, 1) [1.0, 1.0, 1.0, 1.0] [1.0, 1.0, 1.0, 1.0] True
TEXT
diff "$folder/expected" "$folder/seen"
