#!/usr/bin/env bash
# onnxoptimizer drops the first of two Reshape nodes though the second one copies a dimension from
# it: the output has another shape, or the file no longer runs.
#
# Versions: onnxoptimizer 0.4.2, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.
# Guess before running: the default passes keep the shape of every output; a 0 in a shape, "as in the
# input", is known to any pass that looks at Reshape.
# Seen: (1, 2, 6, 6), reshaped to (2, 36) and then to (0, -1), is (2, 36) before and (1, 72) after.
# With (6, -1) and (0, 3, 4) the optimized file fails when it is run. The checker takes both.
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


x = np.arange(72, dtype=np.float32).reshape(1, 2, 6, 6)
for first, second in (([2, 36], [0, -1]), ([6, -1], [0, 3, 4]), ([2, 36], [2, -1])):
    before = model(
        [helper.make_node("Reshape", ["x", "first"], ["between"]),
         helper.make_node("Reshape", ["between", "second"], ["y"])],
        {"first": np.int64(first), "second": np.int64(second)}, x.shape,
    )
    after = onnxoptimizer.optimize(before)
    onnx.checker.check_model(after)
    try:
        shape = run(after, x).shape
    except Exception:
        shape = "refused"
    print(first, second, "before", run(before, x).shape, "after", shape)
PYTHON
cat > "$folder/expected" <<'TEXT'
[2, 36] [0, -1] before (2, 36) after (1, 72)
[6, -1] [0, 3, 4] before (6, 3, 4) after refused
[2, 36] [2, -1] before (2, 36) after (2, 36)
TEXT
diff "$folder/expected" "$folder/seen"
