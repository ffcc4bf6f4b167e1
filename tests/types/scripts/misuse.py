"""Mistakes that type checkers find. An ignored line without an error is an error itself."""

import fcnn
from fcnn import data, losses, optim, tree

digits = data.mnist("train", 100)
model = fcnn.dense(10)
params, _ = model.init(fcnn.key(0), (784,))

fcnn.conv2d("8", 3)  # type: ignore
fcnn.conv2d(8, 3, strides=2)  # type: ignore
fcnn.conv4d(8, 3)  # type: ignore
fcnn.serial(fcnn.conv2d)  # type: ignore
model.init((784,), fcnn.key(0))  # type: ignore
model.spec = None  # type: ignore
optim.adam("fast")  # type: ignore
optim.chain(optim.adam(0.1))  # type: ignore
fcnn.value_and_grad(losses.mean_squared_error, model)  # type: ignore
fcnn.fit(model, losses.mean_squared_error, optim.scale(0.1), digits, key=fcnn.key(0), epochs=1)  # type: ignore
fcnn.fit(model, losses.mean_squared_error, optim.sgd(0.1), digits, key=0, epochs=1)  # type: ignore
fcnn.evaluate(model, losses.mean_squared_error, params, (digits.inputs, digits.targets))  # type: ignore
print(params[0].weight)  # type: ignore
tree.map(params, lambda p: p)  # type: ignore
