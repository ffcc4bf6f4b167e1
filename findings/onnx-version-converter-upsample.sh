#!/usr/bin/env bash
# onnx.version_converter moves the pixels of an old Upsample or Resize: what read x[i / scale] reads
# x[(i + 0.5) / scale - 0.5] after conversion to opset 11 or later.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.
# Guess before running: the same numbers: Resize 11 has a mode "asymmetric" for what Upsample 9 and
# Resize 10 do, and the adapter writes it.
# Seen: the adapters leave coordinate_transformation_mode at its default, half_pixel. Linear
# upsampling by 2, as a U-Net of that time has it, is off by a quarter of a pixel, in every opset
# from 11 on; nearest by 2.3 takes other pixels. Nearest by a whole factor is the same in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter

x = np.float32([0, 4, 8, 12])


def run(model):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x[None, None, None]})[0].ravel()


def by_definition(size, scale, mode):
    place = np.arange(size) / scale
    if mode == "nearest":
        return x[np.floor(place).astype(int)]
    return np.interp(place, np.arange(4), x)


for name, opset in (("Upsample", 9), ("Resize", 10)):
    for mode, scale in (("linear", 2), ("nearest", 2), ("nearest", 2.3)):
        size = int(4 * scale)
        node = helper.make_node(name, ["x", "scales"], ["y"], mode=mode)
        graph = helper.make_graph(
            [node], "one",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 1, 4))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 1, size))],
            [numpy_helper.from_array(np.float32([1, 1, 1, scale]), "scales")],
        )
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=5)
        assert np.allclose(run(model), by_definition(size, scale, mode), atol=1e-5)
        found = run(version_converter.convert_version(model, 13))
        same = np.allclose(found, run(model), atol=1e-5)
        print(f"{name} {opset} -> 13, {mode} by {scale}:", "right" if same else found.tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
Upsample 9 -> 13, linear by 2: [0.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 12.0]
Upsample 9 -> 13, nearest by 2: right
Upsample 9 -> 13, nearest by 2.3: [0.0, 0.0, 4.0, 4.0, 4.0, 8.0, 8.0, 12.0, 12.0]
Resize 10 -> 13, linear by 2: [0.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 12.0]
Resize 10 -> 13, nearest by 2: right
Resize 10 -> 13, nearest by 2.3: [0.0, 0.0, 4.0, 4.0, 4.0, 8.0, 8.0, 12.0, 12.0]
TEXT
diff "$folder/expected" "$folder/seen"
