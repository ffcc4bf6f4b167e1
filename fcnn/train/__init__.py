"""Training: a run is a sequence of frozen states, and a ``for`` loop over it is the callback.

`init` makes the first `State`, `steps` gives a state for each step, `epochs` an `Epoch` for each
pass over the data, and `fcnn.fit` is a loop over those. A state is all that a run needs to go
on: a run that was stopped and resumed ends in the same bits as one that was not.

>>> import itertools, math
>>> import numpy as np, fcnn
>>> from fcnn import optim, train
>>> from fcnn.data import mnist
>>> from fcnn.losses import softmax_cross_entropy as loss
>>> model = fcnn.serial(fcnn.flatten, fcnn.dense(32), fcnn.relu, fcnn.dense(10))
>>> data, held_out = mnist("train", 500), mnist("test", 200)

Early stopping, the best params kept: stop when the validation loss has not fallen for three
epochs.

>>> adam = optim.adam(0.003)
>>> state = train.init(model, adam, data, fcnn.key(0))
>>> best = None
>>> for epoch in train.epochs(model, loss, adam, data, state, validation=held_out):
...     if best is None or epoch.validation.loss < best.validation.loss:
...         best = epoch
...     elif epoch.number - best.number == 3:
...         break
>>> fcnn.evaluate(model, loss, best.params, held_out) == best.validation
True

A learning-rate finder: raise the rate by a quarter each step, from far too small, until the loss
is twice the least so far; choose a rate well below that.

>>> @optim.schedule
... def growing(first, factor):
...     return lambda step: first * factor**step
>>> rate = growing(1e-4, 1.25)
>>> sgd = optim.sgd(rate)
>>> losses = []
>>> for state in train.steps(model, loss, sgd, data, train.init(model, sgd, data, fcnn.key(0))):
...     losses.append(state.loss)
...     if state.loss > 2 * min(losses):
...         break
>>> 0.1 < rate(len(losses)) < 10
True

Reduce the rate on a plateau: go on from each epoch's state, with another optimizer where the
validation loss has not fallen. Its momentum is kept.

>>> rate, least = 0.5, math.inf
>>> state = train.init(model, optim.sgd(rate, momentum=0.9), data, fcnn.key(0))
>>> for _ in range(8):
...     sgd = optim.sgd(rate, momentum=0.9)
...     run = train.epochs(
...         model, loss, sgd, data, state, validation=held_out, changed="optimizer"
...     )
...     epoch = next(run)
...     state = epoch.state
...     rate = rate if epoch.validation.loss < least else rate / 4
...     least = min(least, epoch.validation.loss)
>>> rate < 0.5, state.epoch
(True, 8)
"""

# The loop, and what it is made of:
#
#   _fit          fit: a loop over epochs that logs, saves and keeps the best
#   _epochs       epochs: an epoch at a time, with validation and time
#   _steps        steps: a state at a time
#   _update       the update of a step, replayed with its optimizer where it is one shard
#   _init         the state before the first step
#   _state        what a state is
#   _plan         the arguments of a loop, checked before any work is done
#   _resume       a state must fit what goes on from it
#   _executors    the executor where the caller names none: the fastest in a few steps
#   _finite       the last finite state, on the exception
#   _report       the report of an epoch, the result of a run
#   _checkpoints  the run so far in a file
#   _recording    fit in a folder
#   _progress     a bar

from fcnn._calibrate import calibrate
from fcnn._evaluate import Evaluation
from fcnn.train._epochs import epochs
from fcnn.train._fit import fit as fit
from fcnn.train._init import init
from fcnn.train._report import Epoch, Report, Run
from fcnn.train._state import Setup, State
from fcnn.train._steps import steps

__all__ = [
    "Epoch",
    "Evaluation",
    "Report",
    "Run",
    "Setup",
    "State",
    "calibrate",
    "epochs",
    "init",
    "steps",
]
