"""What type checkers see of the public surface. Checked by `tests/types/test_types.py`, not run."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

import numpy as np

import fcnn
from fcnn import data, initializers, losses, metrics, optim, tree
from fcnn.typing import Array, IntArray, Pullback, Shape, Tree, Triple

# Constructors.
model = fcnn.serial(
    fcnn.named("conv1", fcnn.conv2d(4, 3, weight_init=initializers.glorot_uniform)),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.max_pool2d(2),
    fcnn.residual(fcnn.conv2d(4, 3, padding="same")),
    fcnn.flatten,
    fcnn.dropout(0.1),
    fcnn.dense(10),
)
assert_type(model, fcnn.Layer)
assert_type(model[0], fcnn.Layer)
assert_type(model[1:], fcnn.Layer)
assert_type(model.layers, tuple[fcnn.Layer, ...])
assert_type(fcnn.conv2d(4, 3), fcnn.Layer)
assert_type(fcnn.relu, fcnn.Layer)
assert_type(fcnn.add(fcnn.dense(2), fcnn.dense(2)), fcnn.Layer)
assert_type(fcnn.fanout(fcnn.dense(2), fcnn.dense(2)), fcnn.Layer)
assert_type(losses.softmax_cross_entropy, losses.Loss)
assert_type(losses.combine([(losses.mean_squared_error, 1.0)]), losses.Loss)
assert_type(losses.scaled(losses.mean_squared_error, 0.5), losses.Loss)
assert_type(losses.weighted(losses.cross_entropy(class_weights=[1.0, 2.0])), losses.Loss)
assert_type(metrics.streaming(metrics.accuracy), metrics.Streaming)
assert_type(data.augment.mixup(0.2, classes=10), data.augment.Augmentation)
assert_type(data.augment.flip()(fcnn.key(0), np.zeros((2, 4, 4, 1), np.float32)), Array)
assert_type(optim.l2_penalty(0.1)({}), float)
assert_type(optim.adam(0.001), optim.Optimizer)
assert_type(optim.clip_by_global_norm(1.0), optim.Transform)
assert_type(optim.chain(optim.scale_by_adam(), optim.scale(-1.0)), optim.Transform)
assert_type(optim.cosine(0.1, 100), optim.Schedule)
assert_type(optim.cosine(0.1, 100)(3), float)
assert_type(initializers.he_normal, initializers.Initializer)
assert_type(initializers.normal(0.1), initializers.Initializer)
assert_type(initializers.he_normal(fcnn.key(0), (2, 3)), Array)
assert_type(fcnn.key(0), fcnn.Key)
assert_type(fcnn.split(fcnn.key(0), 2), tuple[fcnn.Key, ...])
assert_type(fcnn.training(fcnn.key(0)), fcnn.Context)

# Data.
digits = data.mnist("train", 100)
assert_type(digits, data.Dataset[Array, IntArray])
assert_type(digits[0], tuple[Array, IntArray])
assert_type(digits[:10], data.Dataset[Array, IntArray])
assert_type(digits.inputs, Array)
assert_type(digits.targets, IntArray)
assert_type(data.batches(digits, 32), Iterator[tuple[Array, IntArray]])
plain = data.Dataset([[0.0], [1.0]], [0, 1])
assert_type(plain, data.Dataset[Array, Array])
pairs = data.Dataset((digits.inputs, digits.inputs), digits.targets)
assert_type(pairs[0][0], tuple[Array, Array])

# A layer by itself.
params, out_shape = model.init(fcnn.key(0), (28, 28, 1))
assert_type(params, Tree)
assert_type(out_shape, tuple[int, ...])
y = model.apply(params, digits.inputs)
assert_type(y, Array)
y, pullback = model.vjp(params, digits.inputs, fcnn.EVAL)
assert_type(y, Array)
assert_type(pullback(y), tuple[Tree, Array])
value, loss_pullback = losses.softmax_cross_entropy.vjp(y, digits.targets)
assert_type(value, float)
assert_type(loss_pullback(1.0), Array)
assert_type(losses.softmax_cross_entropy(y, digits.targets), float)
for visit in fcnn.walk(model, (28, 28, 1)):
    assert_type(visit.layer, fcnn.Layer)
    assert_type(visit.path, str)

# Gradients have the type of the params.
loss = losses.softmax_cross_entropy
ctx = fcnn.training(fcnn.key(1))
value, grads = fcnn.value_and_grad(model, loss)(params, digits.inputs, digits.targets, ctx)
assert_type(value, float)
assert_type(grads, Tree)
(value, prediction), grads = fcnn.value_and_grad(model, loss, has_aux=True)(
    params, digits.inputs, digits.targets, ctx
)
assert_type(value, float)
assert_type(prediction, Array)
assert_type(grads, Tree)
assert_type(fcnn.grad(model, loss)(params, digits.inputs, digits.targets), Tree)
own, _ = fcnn.dense(3).init(fcnn.key(0), (2,))
assert isinstance(own, fcnn.DenseParams)
assert_type(own.weight, Array)
x = np.ones((4, 2), np.float32)
value, of_dense = fcnn.value_and_grad(fcnn.dense(3), loss)(own, x, np.zeros(4, np.int64))
assert_type(of_dense, fcnn.DenseParams)

# Trees keep their type.
assert_type(tree.map(lambda p: 2 * p, params), Tree)
assert_type(tree.map(lambda p, g: p - 0.1 * g, own, of_dense), fcnn.DenseParams)
assert_type(tree.map(lambda p, g: p - 0.1 * g, params, grads, statistic=tree.mix), Tree)
assert_type(tree.map(lambda p, g, m: p - g + m, own, own, own), fcnn.DenseParams)
assert_type(tree.map(np.add, own, own), fcnn.DenseParams)
assert_type(tree.observe(own, of_dense), fcnn.DenseParams)
assert_type(tree.zeros_like(own), fcnn.DenseParams)
assert_type(tree.astype(own, np.float64), fcnn.DenseParams)
assert_type(tree.norm(own), float)
assert_type(tree.digest(own), str)
vector, unravel = tree.ravel(own)
assert_type(vector, Array)
assert_type(unravel(vector), fcnn.DenseParams)
found, structure = tree.flatten(own)
assert_type(tree.unflatten(structure, found), fcnn.DenseParams)

# Optimizers keep the type of the params and of the state.
optimizer = optim.sgd(0.1, momentum=0.9)
state = optimizer.init(own)
assert_type(state, Tree)
stepped, state = optimizer.step(own, of_dense, state)
assert_type(stepped, fcnn.DenseParams)
assert_type(state, Tree)
clip = optim.clip_by_global_norm(1.0)
updates, clip_state = clip.update(of_dense, clip.init(own), own)
assert_type(updates, fcnn.DenseParams)
assert_type(optim.apply_updates(own, updates), fcnn.DenseParams)
assert_type(optim.current_learning_rate(state), float)
slow = optim.accumulate(optim.partition({"a": optim.adam(0.1), "b": optim.sgd(0.1)}, "a"), 2)
assert_type(slow, optim.Optimizer)
assert_type(optim.accumulate(optim.masked(clip, optim.matrices), 2), optim.Transform)
assert_type(optim.params_ema(slow, 0.9), optim.Optimizer)

# Training.
run = fcnn.fit(model, loss, optim.adam(0.001), digits, key=fcnn.key(0), epochs=1, log=None)
assert_type(run, fcnn.train.Run)
assert_type(run.params, Tree)
assert_type(run.state, fcnn.train.State)
assert_type(run.state.params, Tree)
assert_type(run.history, tuple[fcnn.train.Report, ...])
assert_type(run.history[-1].loss, float)
for epoch in fcnn.train.epochs(model, loss, optim.adam(0.001), digits, run.state):
    assert_type(epoch.params, Tree)
for step in fcnn.train.steps(model, loss, optim.adam(0.001), digits, run.state):
    assert_type(step, fcnn.train.State)
assert_type(fcnn.predict(model, run.params, digits.inputs), Array)
assert_type(fcnn.evaluate(model, loss, run.params, digits), fcnn.train.Evaluation)
assert_type(fcnn.evaluate(model, loss, run.params, digits).loss, float)
assert_type(fcnn.train.calibrate(model, own, x, key=fcnn.key(0)), fcnn.DenseParams)
assert_type(fcnn.parallel.threads(2), ThreadPoolExecutor)


# Constructors of a user's own.
@fcnn.layer
def scale(factor: float) -> Triple:
    def init(key: fcnn.Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), shape

    def apply(params: tuple[()], x: Array, ctx: fcnn.Context = fcnn.EVAL) -> Array:
        return factor * x

    def vjp(params: tuple[()], x: Array, ctx: fcnn.Context = fcnn.EVAL) -> tuple[Array, Pullback]:
        return factor * x, lambda dy: ((), factor * dy)

    return init, apply, vjp


assert_type(scale, Callable[[float], fcnn.Layer])  # type: ignore[assert-type]
assert_type(scale(2.0), fcnn.Layer)


@tree.node
class Affine:
    weight: Array
    mean: Array = tree.statistic()


assert_type(Affine(x, x).weight, Array)


@optim.schedule
def halving(first: float) -> Callable[[int], float]:
    return lambda step: first * 0.5**step


assert_type(halving(0.1), optim.Schedule)


@initializers.initializer
def full(value: float) -> Callable[[fcnn.Key, Shape], Array]:
    return lambda key, shape: np.full(shape, value, np.float32)


assert_type(full(1.0), initializers.Initializer)


@optim.optimizer
def clipped(learning_rate: float) -> optim.Transform:
    return optim.chain(clip, optim.scale_by_learning_rate(learning_rate))


assert_type(clipped(0.1), optim.Optimizer)


# What stays Any: the output where the input is a tuple or dict of arrays.
two = fcnn.serial(fcnn.itemwise(fcnn.dense(2), fcnn.dense(2)), fcnn.add())
assert_type(fcnn.predict(two, (own, own), (x, x)), Any)
