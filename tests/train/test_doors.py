"""What does not fit is refused by one sentence that says what to do, before any work is done."""

import numpy as np
import pytest

import fcnn
from fcnn import metrics, optim, train
from fcnn.data import Dataset
from fcnn.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    FcnnError,
    LabelError,
    MissingKeyError,
    ShapeError,
    TreeError,
)
from fcnn.losses import mean_squared_error, sigmoid_cross_entropy, softmax_cross_entropy

X = np.random.default_rng(0).random((12, 8, 8, 1), np.float32)
Y = np.arange(12) % 3
DATA = Dataset(X, Y)
MODEL = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten, fcnn.dense(3))
ONE = fcnn.serial(fcnn.flatten, fcnn.dense(1))
NORM = fcnn.serial(fcnn.flatten, fcnn.batch_norm(), fcnn.dense(3))
PARAMS, _ = MODEL.init(fcnn.key(0), (8, 8, 1))
ADAM = optim.adam(0.01)


def work(*args):
    raise AssertionError("work was done before the mistake was found")


def fit(model=MODEL, loss=softmax_cross_entropy, optimizer=ADAM, data=DATA, **options):
    options = {"key": fcnn.key(0), "epochs": 1, "log": work, "augment": work} | options
    return fcnn.fit(model, loss, optimizer, data, **options)


def evaluate(model=MODEL, loss=softmax_cross_entropy, params=PARAMS, data=DATA, **options):
    return fcnn.evaluate(model, loss, params, data, **options)


def targets(y):
    return lambda: fit(data=Dataset(X, y))


def inputs(x):
    return lambda: fit(data=Dataset(x, Y))


TABLE = {
    # data
    "tuple": (
        lambda: fit(data=(X, Y)), ArgumentError,
        "expected a Dataset as the data, got a tuple of 2; wrap the tuple: fcnn.data.Dataset",
    ),
    "array": (lambda: fit(data=X), ArgumentError, r"got an array of shape \(12, 8, 8, 1\); make"),
    "loader": (lambda: fit(data=fcnn.data.mnist), ArgumentError, "the function mnist; call it"),
    "empty": (lambda: fit(data=DATA[:0]), DataError, "at least one example in the data, got an"),
    "string labels": (targets(list("abcabcabcabc")), DTypeError, "got strings; .*np.unique"),
    "labels (n, 1)": (targets(Y[:, None]), ShapeError, r"target\[:, 0\]"),
    "labels too large": (targets(np.arange(12)), LabelError, "from 0 to 2 .* got 0 to 11"),
    "negative labels": (targets(np.arange(12) - 4), LabelError, "from 0 to 2 .* got -4 to 7"),
    "float labels": (targets(Y.astype(np.float32)), FcnnError, "expected"),
    "one-hot of other classes": (
        targets(np.eye(5, dtype=np.float32)[Y]), ShapeError, r"probabilities for a prediction",
    ),
    "targets outside [0, 1]": (
        lambda: fit(ONE, sigmoid_cross_entropy, data=Dataset(X, Y[:, None].astype(np.float32))),
        LabelError, r"0.*1.*got 0.0 to 2.0",
    ),
    "scores (n, 1)": (lambda: fit(ONE), LabelError, "one score an example"),
    "targets (n,)": (
        lambda: fit(ONE, mean_squared_error, data=Dataset(X, Y.astype(np.float32))),
        ShapeError, r"target\[\.\.\., np\.newaxis\]",
    ),
    "channels first": (inputs(np.moveaxis(X, -1, 1)), ShapeError, "channels last.*np.moveaxis"),
    "no channel axis": (inputs(X[..., 0]), ShapeError, r"channel axis: x\[\.\.\., np\.newaxis\]"),
    "class names as a number": (
        lambda: Dataset(X, Y, 3), ArgumentError, "expected classes to be a sequence of names",
    ),
    # model, loss and optimizer
    "model and loss swapped": (
        lambda: fit(softmax_cross_entropy, MODEL), ArgumentError,
        "expected a layer as the model, got softmax_cross_entropy; the model comes first",
    ),
    "loss and optimizer swapped": (
        lambda: fit(MODEL, ADAM, softmax_cross_entropy), ArgumentError,
        r"expected a loss, got adam\(0.01\); the arguments are \(model, loss, optimizer, data\)",
    ),
    "optimizer and data swapped": (
        lambda: fit(optimizer=DATA, data=ADAM), ArgumentError,
        "expected an optimizer, got a Dataset; the arguments are",
    ),
    "a layer as the loss": (lambda: fit(loss=fcnn.relu), ArgumentError, "got relu; the arguments"),
    "constructor of a model": (lambda: fit(fcnn.dense), ArgumentError, "function dense; call the"),
    "list of layers": (lambda: fit([fcnn.relu]), ArgumentError, "list of 1; join layers with"),
    "mse": (
        lambda: fit(loss="mse"), ArgumentError,
        "expected a loss, got 'mse'; use fcnn.losses.mean_squared_error",
    ),
    "Keras's name": (
        lambda: fit(loss="sparse_categorical_crossentropy"), ArgumentError,
        "use fcnn.losses.softmax_cross_entropy",
    ),
    "unknown loss": (lambda: fit(loss="focal"), ArgumentError, "'focal'; fcnn.losses has them"),
    "function as the loss": (lambda: fit(loss=work), ArgumentError, "work; .*fcnn.losses.loss"),
    "constructor of an optimizer": (
        lambda: fit(optimizer=optim.adam), ArgumentError,
        "expected an optimizer, got the function adam; call",
    ),
    "transform": (
        lambda: fit(optimizer=optim.scale_by_adam()), ArgumentError,
        r"got the gradient transform scale_by_adam\(\); use fcnn.optim.descend",
    ),
    "name of an optimizer": (lambda: fit(optimizer="adam"), ArgumentError, "got 'adam'; fcnn.opt"),
    # key, params and state
    "number as the key": (
        lambda: fit(key=7), ArgumentError, r"expected a key, got 7; use fcnn\.key\(7\)",
    ),
    "generator as the key": (
        lambda: fit(key=np.random.default_rng(0)), ArgumentError, "got a Generator; use",
    ),
    "no key": (lambda: fit(key=None), MissingKeyError, "expected a key, got None; use"),
    "params of another model": (
        lambda: fit(params=PARAMS[3]), TreeError, "a tuple of 4 and a DenseParams at the root",
    ),
    "params of another shape": (
        lambda: fit(params=MODEL.init(fcnn.key(0), (9, 9, 1))[0]), TreeError,
        r"\(144, 3\) and an array of shape \(196, 3\) at \[3\]\.weight",
    ),
    "params with their shape": (
        lambda: fit(params=MODEL.init(fcnn.key(0), (8, 8, 1))), TreeError, r"\(params, out_shape\)",
    ),
    "state as params": (
        lambda: fit(params=train.init(MODEL, ADAM, DATA, fcnn.key(0))), TreeError,
        "expected params, got a State; pass state.params",
    ),
    # validation, before the first epoch
    "validation as a tuple": (
        lambda: fit(validation=(X, Y)), ArgumentError, "as the validation data, got a tuple of 2",
    ),
    "validation as a fraction": (
        lambda: fit(validation=0.1), ArgumentError, r"got 0.1; cut a part off: data\[n:\]",
    ),
    "no validation data": (lambda: fit(validation=DATA[:0]), DataError, "in the validation data"),
    "validation of another size": (
        lambda: fit(validation=Dataset(X[:, :6], Y)), ShapeError, "the validation data do not fit",
    ),
    "validation of another dtype": (
        lambda: fit(validation=Dataset(X.astype(np.float64), Y)), DTypeError, "got float64",
    ),
    "validation of other labels": (
        lambda: fit(validation=Dataset(X, Y + 7)), LabelError, "do not fit: .* got 7 to 9",
    ),
    "validation with targets of another kind": (
        lambda: fit(validation=Dataset(X, np.eye(4)[Y])), ShapeError, "do not fit",
    ),
    "the best of nothing": (lambda: fit(keep_best=True), ArgumentError, "validation"),
    # numbers and functions
    "no epochs": (lambda: fit(epochs=0), ArgumentError, "at least 1 for epochs, got 0"),
    "half an epoch": (lambda: fit(epochs=0.5), ArgumentError, "for epochs, got 0.5"),
    "no batch": (lambda: fit(batch_size=0), ArgumentError, "for batch_size, got 0"),
    "no shard": (lambda: fit(shard_size=0), ArgumentError, "for shard_size .*, got 0"),
    "a word for a shard": (lambda: fit(shard_size="big"), ArgumentError, "shard_.*, got 'big'"),
    "no full batch": (
        lambda: fit(drop_last=True, batch_size=13), DataError, "expected 13 examples or more",
    ),
    "a last batch of one": (
        lambda: fit(NORM, batch_size=11), ShapeError,
        "a batch of 11 cuts 12 examples so that the last batch has one: .*drop_last=True",
    ),
    "batches of one": (
        lambda: fit(NORM, batch_size=1), ShapeError, "got 1 in .*; choose a larger batch_size",
    ),
    "number of workers": (lambda: fit(executor=4), ArgumentError, "expected an executor"),
    "augment": (lambda: fit(augment=True), ArgumentError, r"\(key, inputs\) -> inputs .* got True"),
    "log": (lambda: fit(log="log.txt"), ArgumentError, "of a line or None for log, got 'log.txt'"),
    "list of metrics": (
        lambda: fit(metrics=["accuracy"]), ArgumentError, "dict of metrics, got a list of 1; write",
    ),
    "metric without a function": (
        lambda: fit(metrics={"f1": "f1"}), ArgumentError, "for metric 'f1', got 'f1'",
    ),
    "metric named loss": (lambda: fit(metrics={"loss": work}), ArgumentError, "other than 'loss'"),
    # evaluation
    "evaluate: params and data swapped": (
        lambda: evaluate(params=DATA, data=PARAMS), ArgumentError, "as the data, got a tuple of 4",
    ),
    "evaluate: tuple": (lambda: evaluate(data=(X, Y)), ArgumentError, "wrap the tuple"),
    "evaluate: loss by name": (lambda: evaluate(loss="bce"), ArgumentError, "sigmoid_cross"),
    "evaluate: run": (
        lambda: evaluate(params=fit(log=None, augment=None)), TreeError, r"pass run\.params",
    ),
    "evaluate: metrics of many numbers": (
        lambda: evaluate(metrics={"f1": metrics.f1}), ArgumentError, r"'f1', got an array of shape",
    ),
    "predict: params and model swapped": (
        lambda: fcnn.predict(PARAMS, MODEL, X), ArgumentError, r"got a tuple of 4; the model comes",
    ),
    "predict: data set": (
        lambda: fcnn.predict(MODEL, PARAMS, DATA), DTypeError, r"got a Dataset; pass data\.inputs",
    ),
    "predict: list": (lambda: fcnn.predict(MODEL, PARAMS, [X]), DTypeError, "a list of 1; conv"),
    "predict: nothing": (lambda: fcnn.predict(MODEL, PARAMS, X[:0]), DataError, "at least one"),
    "predict: no batch axis": (
        lambda: fcnn.predict(MODEL, PARAMS, X[0]), ShapeError, r"batch axis: x\[np\.newaxis\]",
    ),
    "predict: another size": (
        lambda: fcnn.predict(MODEL, PARAMS, X[:, :6]), ShapeError, r"got \(12, 96\)$",
    ),
    "predict: no params": (
        lambda: fcnn.predict(fcnn.dense(3), None, X.reshape(12, -1)), TreeError, "and None",
    ),
    "predict: params of another layer": (
        lambda: fcnn.predict(fcnn.dense(3), PARAMS, X.reshape(12, -1)), TreeError, "a tuple of 4",
    ),
    "predict: executor": (
        lambda: fcnn.predict(MODEL, PARAMS, X, executor="threads"), ArgumentError, "an executor",
    ),
    "predict: shard size": (
        lambda: fcnn.predict(MODEL, PARAMS, X, shard_size=0), ArgumentError, "shard_size, got 0",
    ),
    "calibrate: key": (
        lambda: train.calibrate(MODEL, PARAMS, X, key=0), ArgumentError, r"use fcnn\.key\(0\)",
    ),
    "calibrate: nothing": (
        lambda: train.calibrate(MODEL, PARAMS, X[:0], key=fcnn.key(0)), DataError, "at least one",
    ),
    "init: key": (lambda: train.init(MODEL, ADAM, DATA, 0), ArgumentError, "expected a key, got 0"),
    "steps: no state": (
        lambda: train.steps(MODEL, softmax_cross_entropy, ADAM, DATA, PARAMS), ArgumentError,
        r"expected a State, got a tuple of 4; fcnn\.train\.init",
    ),
    "epochs: no state": (
        lambda: train.epochs(MODEL, softmax_cross_entropy, ADAM, DATA, None), ArgumentError,
        "expected a State, got None",
    ),
    # arguments of other libraries
    "fit(lr=)": (lambda: fit(lr=0.1), TypeError, r"'lr'; pass it to the optimizer: fcnn\.optim"),
    "fit(validation_data=)": (
        lambda: fit(validation_data=DATA), TypeError, "use validation=fcnn.data.Dataset",
    ),
    "fit(validation_split=)": (lambda: fit(validation_split=0.1), TypeError, "cut a part off"),
    "fit(callbacks=)": (lambda: fit(callbacks=[]), TypeError, "loop over fcnn.train.epochs"),
    "fit(shuffle=)": (lambda: fit(shuffle=True), TypeError, "'shuffle'; leave it out"),
    "fit(epoch=)": (lambda: fit(epoch=1), TypeError, "'epoch'; use epochs"),
    "fit(model, loss, optimizer, x, y)": (
        lambda: fcnn.fit(MODEL, softmax_cross_entropy, ADAM, X, Y, epochs=1, key=fcnn.key(0)),
        TypeError, r"got 5; .*inputs and targets are one argument",
    ),
    "evaluate(..., x, y)": (
        lambda: fcnn.evaluate(MODEL, softmax_cross_entropy, PARAMS, X, Y),
        TypeError, r"takes 4 positional arguments \(model, loss, params, data\), got 5;",
    ),
    "predict(batch_size=)": (
        lambda: fcnn.predict(MODEL, PARAMS, X, batch_size=8), TypeError, "use shard_size",
    ),
    "log as a bool": (lambda: fit(log=False), ArgumentError, "got False; log=None is silent"),
    "params before the loss": (
        lambda: fcnn.evaluate(MODEL, PARAMS, softmax_cross_entropy, DATA),
        ArgumentError, r"got a tuple of 4; the arguments are \(model, loss, params, data\)",
    ),
    "a layer's function as the model": (
        lambda: fcnn.value_and_grad(MODEL.apply, softmax_cross_entropy),
        ArgumentError, "pass the layer itself",
    ),
    "a loss's name in value_and_grad": (
        lambda: fcnn.value_and_grad(MODEL, "mse"), ArgumentError, "losses.mean_squared_error",
    ),
    "a loss's function": (
        lambda: fcnn.value_and_grad(MODEL, softmax_cross_entropy.vjp),
        ArgumentError, "got the function vjp; ",
    ),
    "masked elements": (
        inputs(np.ma.array(X, mask=X > 0.5)), DataError, r"got a masked array; fill it with filled",
    ),
    # constructors and layers
    "conv2d(1, 8, 3)": (
        lambda: fcnn.conv2d(1, 8, 3), TypeError,
        r"conv2d\(\) takes 2 positional arguments \(filters, kernel_size\), got 3; .*its shape",
    ),
    "a schedule's numbers by place": (
        lambda: fcnn.optim.exponential(1.0, 10), TypeError, r"\(initial\), got 2; name the others$",
    ),
    "batch_norm(64)": (lambda: fcnn.batch_norm(64), TypeError, "takes 0 positional .* got 1;"),
    "conv2d(in_channels=)": (
        lambda: fcnn.conv2d(in_channels=1, filters=8, kernel_size=3), TypeError, "leave it out",
    ),
    "model(x)": (lambda: MODEL(X), TypeError, r"without a call, got 1 argument\(s\); a layer is"),
    "init of an array": (
        lambda: MODEL.init(fcnn.key(0), X), ShapeError, r"pass x.shape\[1:\] = \(8, 8, 1\)",
    ),
    "init without a key": (lambda: MODEL.init((8, 8, 1)), TypeError, r"^Layer\.init\(\) missing"),
    "apply without params": (lambda: MODEL.apply(X), TypeError, r"^Layer\.apply\(\) missing 1"),
    "a list of layers": (
        lambda: fcnn.serial([fcnn.flatten, fcnn.dense(3)]), ArgumentError, r"one by one: \*layers",
    ),
    "an activation's name": (
        lambda: fcnn.serial("relu"), ArgumentError, "got 'relu'; use a layer, such as fcnn.relu",
    ),
    "NumPy's function as a layer": (
        lambda: fcnn.serial(np.tanh), ArgumentError, "use a layer, such as fcnn.relu",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_a_mistake_is_refused_at_the_door(case):
    call, error, words = TABLE[case]
    with pytest.raises(error, match=words) as raised:
        call()
    assert isinstance(raised.value, FcnnError | TypeError)
    text = str(raised.value)
    assert "\n" not in text
    assert " at 0x" not in text
    assert len(text) < 400


def test_what_may_be_channels_first_is_warned_of():
    colours = Dataset(np.zeros((4, 3, 8, 8), np.float32), Y[:4])
    with pytest.warns(UserWarning, match=r"read as \(h, w, c\), channels last; .*np.moveaxis"):
        fit(data=colours, log=None, augment=None)
    flat = fcnn.serial(fcnn.flatten, fcnn.dense(3))  # has no window that slides over channels
    fit(flat, data=colours, log=None, augment=None)
    fit(data=Dataset(np.zeros((4, 8, 8, 3), np.float32), Y[:4]), log=None, augment=None)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "u4", "u8", "i4"])
def test_labels_of_any_whole_type_are_labels(dtype):
    plain = fit(log=None, augment=None)
    assert fit(data=Dataset(X, Y.astype(dtype)), log=None, augment=None).state == plain.state


def test_class_names_may_be_an_array():
    named = Dataset(X, Y, np.array(["a", "b", "c"]))
    assert fit(data=named, log=None, augment=None).history[0].accuracy is not None
    table = metrics.classification_report(Y, Y, classes=np.array(["a", "b", "c"]))
    assert [line.split()[0] for line in table.splitlines()[2:5]] == ["a", "b", "c"]
