"""Ctrl-C, errors of the caller's functions and non-finite numbers leave the last good state."""

import itertools
import signal

import numpy as np
import pytest

import fcnn
from fcnn import optim, train, tree
from fcnn.data import Dataset
from fcnn.errors import NonFiniteError
from fcnn.losses import mean_squared_error, softmax_cross_entropy

ADAM, KEY = optim.adam(0.01), fcnn.key(3)
MODEL = fcnn.serial(fcnn.flatten, fcnn.dropout(0.2), fcnn.dense(3))


@pytest.fixture(autouse=True)
def _interrupts():
    """Have SIGINT raise, also where the shell that started the tests ignores it, as for jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Stops:
    """An augmentation that does something at its n-th call, and nothing otherwise."""

    def __init__(self, n, action):
        self.left, self.action = n, action

    def __call__(self, key, x):
        self.left -= 1
        if self.left == 0:
            self.action()
        return x


def interrupt():
    signal.raise_signal(signal.SIGINT)


def fail():
    raise OSError("disk full")


def fit(data, epochs, **options):
    options = {"key": KEY, "batch_size": 16, "log": None} | options
    return fcnn.fit(MODEL, softmax_cross_entropy, ADAM, data, epochs=epochs, **options)


@pytest.mark.parametrize(("action", "kind"), [(interrupt, KeyboardInterrupt), (fail, OSError)])
@pytest.mark.parametrize("step", [1, 7, 10])
def test_an_interrupted_run_goes_on_to_the_same_bits(data, held_out, action, kind, step):
    with pytest.raises(kind) as raised:
        fit(data, 3, augment=Stops(step, action), validation=held_out, keep_best=True)
    state, run = raised.value.state, raised.value.run
    assert state.step == step - 1
    assert run.state is state
    assert len(run.history) == (step - 1) // 5
    assert (run.best is None) == (step < 6)
    assert "step" in raised.value.__notes__[0]
    assert fit(data, 3, state=state).state == fit(data, 3).state


@pytest.mark.parametrize("loop", [train.steps, train.epochs])
def test_a_loop_of_the_callers_has_the_state_too(data, loop):
    state = train.init(MODEL, ADAM, data, KEY)
    run = loop(
        MODEL, softmax_cross_entropy, ADAM, data, state, batch_size=16, augment=Stops(7, interrupt)
    )
    with pytest.raises(KeyboardInterrupt) as raised:
        list(run)
    assert raised.value.state.step == 6


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, SystemExit])
def test_an_exception_of_the_log_leaves_the_epochs_state(data, kind):
    lines = []

    def log(line):
        lines.append(line)
        if len(lines) == 2:
            raise kind("no more")

    with pytest.raises(kind) as raised:
        fit(data, 5, log=log)
    assert raised.value.state == fit(data, 2).state
    assert raised.value.run.history == fit(data, 5).history[:2]


def test_an_exception_in_validation_leaves_the_epochs_state(data, held_out):
    def metric(prediction, target):
        if len(target) == len(held_out):
            raise OSError("no metric")
        return 0.0

    with pytest.raises(OSError, match="no metric") as raised:
        fit(data, 2, validation=held_out, metrics={"bad": metric})
    assert raised.value.state.epoch == 1


def test_an_exception_that_takes_no_attributes_passes_as_it_is(data):
    class BareError(Exception):
        __slots__ = ()

        def __setattr__(self, name, value):
            raise AttributeError(name)

    def log(line):
        raise BareError

    with pytest.raises(BareError):
        fit(data, 1, log=log)


@optim.optimizer
def breaks(at, where):
    """Gradient descent that puts a NaN into the weight or the bias at one step."""

    def init(params):
        return 0

    def step(params, grads, count):
        params = tree.map(lambda p, g: p - 0.01 * g, params, grads)
        if count + 1 == at:
            bad = getattr(params[1], where).copy()
            bad.flat[0] = np.nan
            weight, bias = (bad, params[1].bias) if where == "weight" else (params[1].weight, bad)
            params = params[0], fcnn.DenseParams(weight, bias)
        return params, count + 1

    return init, step


PLAIN = fcnn.serial(fcnn.flatten, fcnn.dense(3))


@pytest.mark.parametrize("where", ["weight", "bias"])
@pytest.mark.parametrize(("at", "good", "words"), [
    (3, 2, "expected a finite loss, got nan at step 4"),
    (5, 4, r"got NaN or infinity in params\[1\]\.(weight|bias) after step 5"),  # the last step
])  # fmt: skip
def test_the_last_state_of_finite_params_is_kept(data, at, good, words, where):
    options = {"key": KEY, "batch_size": 16, "log": None, "epochs": 1}
    with pytest.raises(NonFiniteError, match=words) as raised:
        fcnn.fit(PLAIN, softmax_cross_entropy, breaks(at, where), data, **options)
    state = raised.value.state
    assert state.step == good
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(state.params))
    start = train.init(PLAIN, breaks(0, where), data, KEY)
    states = train.steps(PLAIN, softmax_cross_entropy, breaks(0, where), data, start, batch_size=16)
    assert state.params == next(itertools.islice(states, good - 1, None)).params


def test_params_that_no_loss_depends_on_are_checked_too(data):
    @fcnn.layer
    def idle():
        def init(key, shape):
            return np.ones(1, np.float32), shape

        def vjp(params, x, ctx=fcnn.EVAL):
            return x, lambda dy: (np.full(1, 1e38, np.float32), dy)

        return init, lambda params, x, ctx=fcnn.EVAL: x, vjp

    model, sgd = fcnn.serial(fcnn.flatten, idle(), fcnn.dense(3)), optim.sgd(1.0)
    options = {"key": KEY, "batch_size": 16, "log": None}
    with np.errstate(over="ignore"), pytest.raises(NonFiniteError, match=r"params\[1\]") as raised:
        fcnn.fit(model, softmax_cross_entropy, sgd, data, epochs=1, **options)
    # -1e38 · 3 is a float32 and -1e38 · 4 is none; the fourth step of five made it infinite.
    assert raised.value.state.step == 0


def test_a_diverging_run_says_so():
    data = Dataset(np.full((4, 1), 1e18, np.float32), np.zeros((4, 1), np.float32))
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(NonFiniteError, match=r"at step 2; try a smaller learning rate") as raised,
    ):
        fcnn.fit(
            fcnn.dense(1), mean_squared_error, optim.sgd(1.0), data, key=KEY, epochs=3, log=None
        )
    assert raised.value.state.step == 1


def test_a_validation_loss_that_is_not_finite_ends_the_run(data):
    far = Dataset(np.full((2, 8, 8, 1), 3e38, np.float32), np.zeros(2, np.int64))
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(NonFiniteError) as raised:
        fcnn.fit(
            PLAIN, softmax_cross_entropy, ADAM, data, key=KEY, epochs=2, log=None, validation=far
        )
    assert raised.value.state.epoch == 1
