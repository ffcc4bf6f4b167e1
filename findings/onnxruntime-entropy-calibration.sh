#!/usr/bin/env bash
# onnxruntime's Entropy calibration, which is there to cut off outliers, cuts off nothing with its
# default settings: it gives the same scale as MinMax.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
# Guess before running, after a first look at fewer numbers: of 100,000 normal numbers, one of which
# is set to 1000, a range below 10 is kept, at least with 2048 bins, which Percentile has.
# Seen: the scale is 3.94, where Percentile's is 0.034: all numbers but one share three steps of the
# 256. The histogram has 128 bins and is to be quantized to 128 levels, so the whole range is the one
# choice that loses nothing. A calibrator made by hand cuts at 110 with 2048 bins, and at 27 with
# 8001. quantize_static does not say that it used the whole range.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import sys
from contextlib import redirect_stdout

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, quantize_static
from onnxruntime.quantization.calibrate import create_calibrator

folder = sys.argv[1]
draw = np.random.default_rng(0)
images = [draw.normal(size=(1, 2, 100, 100)).astype(np.float32) for _ in range(5)]
images[2][0, 0, 0, 0] = 1000
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "weight"], ["y"], name="conv")], "one",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 100, 100))],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 98, 98))],
    [numpy_helper.from_array(draw.normal(size=(1, 2, 3, 3)).astype(np.float32), "weight")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, f"{folder}/one.onnx")


class Reader(CalibrationDataReader):
    def __init__(self):
        self.rest = list(images)

    def get_next(self):
        return {"x": self.rest.pop(0)} if self.rest else None


def scale(name):
    method = getattr(CalibrationMethod, name)
    quantize_static(f"{folder}/one.onnx", f"{folder}/q.onnx", Reader(), calibrate_method=method)
    constants = {each.name: each for each in onnx.load(f"{folder}/q.onnx").graph.initializer}
    return f"{name} {numpy_helper.to_array(constants['x_scale']):.3f}"


def largest(bins):
    calibrator = create_calibrator(
        f"{folder}/one.onnx", augmented_model_path=f"{folder}/augmented.onnx",
        calibrate_method=CalibrationMethod.Entropy, extra_options={"num_bins": bins},
    )
    calibrator.collect_data(Reader())
    return f"{bins} bins, up to {calibrator.compute_data().data['x'].range_value[1]:.0f}"


with redirect_stdout(sys.stderr):
    found = [*map(scale, ("MinMax", "Entropy", "Percentile")), *map(largest, (128, 2048, 8001))]
print(*found, sep="\n")
PYTHON
cat > "$folder/expected" <<'TEXT'
MinMax 3.939
Entropy 3.939
Percentile 0.034
128 bins, up to 1000
2048 bins, up to 110
8001 bins, up to 27
TEXT
diff "$folder/expected" "$folder/seen"
