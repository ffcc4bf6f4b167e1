"""What type checkers see of derivatives, explanations and pictures."""

from typing import Any, assert_type

from matplotlib.figure import Figure

import fcnn
from fcnn import explain, losses, plot
from fcnn.typing import Array, Tree

model = fcnn.serial(fcnn.conv2d(4, 3), fcnn.flatten, fcnn.dense(10))
loss = losses.softmax_cross_entropy
digits = fcnn.data.mnist("train")
params, _ = model.init(fcnn.key(0), (28, 28, 1))
dense = fcnn.DenseParams(digits.inputs, digits.inputs)
x, labels = digits.inputs, digits.targets

assert_type(fcnn.input_gradient(model, loss)(params, x, labels)[1], Array)
assert_type(fcnn.per_example_gradients(fcnn.dense(1), loss)(dense, x, labels), fcnn.DenseParams)
assert_type(fcnn.jvp(model)(params, x, None, x), tuple[Array, Array])
assert_type(fcnn.jvp(model)(params, (x, x), params, None, fcnn.EVAL)[1], Any)
assert_type(fcnn.hvp(fcnn.dense(1), loss)(dense, x, labels, dense), fcnn.DenseParams)
assert_type(fcnn.jacobian(model)(params, x), Array)
assert_type(fcnn.jacobian(fcnn.dense(1), of="params")(dense, x), fcnn.DenseParams)
assert_type(params, Tree)

assert_type(explain.smoothgrad(model, params, x, key=fcnn.key(0)), Array)
assert_type(explain.grad_cam(model, params, x, 0, target=3), Array)
assert_type(explain.occlusion(model, params, x, window=4), Array)
assert_type(plot.attributions(x, x), Figure)
assert_type(plot.confusion_matrix(labels, labels), Figure)
assert_type(plot.worst_mistakes(x, digits), Figure)
