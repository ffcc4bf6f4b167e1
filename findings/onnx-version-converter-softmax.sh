#!/usr/bin/env bash
# onnx.version_converter changes what Softmax, LogSoftmax and Hardmax compute, without an error,
# when it crosses opset 13 in the directions for which it has no adapter.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.
# Guess before running: until opset 12 these three work on the axis and all behind it together, from
# 13 on along one axis alone; the converter either rewrites them (Flatten, Reshape) or refuses.
# Seen: Softmax from 12 to 17 is rewritten and right. From 13 to 12 the node stays as it is, so the
# rows that sum to 1 are over 60 elements in the place of 3; so does LogSoftmax; and Hardmax, which
# has no adapter upwards either, marks one element in each of 5 places from 11 to 13.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, version_converter

SHAPE = (2, 3, 4, 5)
x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def run(model):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0].astype(float)


for name, before, after in (
    ("Softmax", 12, 17), ("Softmax", 13, 12), ("LogSoftmax", 13, 12), ("Hardmax", 11, 13),
):
    node = helper.make_node(name, ["x"], ["y"], axis=1)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in "xy"]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:])
    opset = helper.make_opsetid("", before)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    converted = version_converter.convert_version(model, after)
    a, b = (np.exp(y) if name == "LogSoftmax" else y for y in (run(model), run(converted)))
    operators = [each.op_type for each in converted.graph.node]
    same = "the same numbers" if np.allclose(a, b, atol=1e-5) else "other numbers"
    print(f"{name} {before} -> {after}: {same}, sum {a.sum():.0f} -> {b.sum():.0f}, {operators}")
PYTHON
cat > "$folder/expected" <<'TEXT'
Softmax 12 -> 17: the same numbers, sum 2 -> 2, ['Shape', 'Flatten', 'Softmax', 'Reshape']
Softmax 13 -> 12: other numbers, sum 40 -> 2, ['Softmax']
LogSoftmax 13 -> 12: other numbers, sum 40 -> 2, ['LogSoftmax']
Hardmax 11 -> 13: other numbers, sum 2 -> 40, ['Hardmax']
TEXT
diff "$folder/expected" "$folder/seen"
