"""`check_optimizer` is checked: right optimizers pass, and each of these mutants must not."""

import itertools

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError
from fcnn.testing import check_optimizer

RATE = 0.1


@tree.node
class Momentum:
    """Gradients added up, and the number of steps."""

    count: int
    mu: object


def zeros(params):
    return tree.map(np.zeros_like, params)


def right_init(params):
    return Momentum(0, zeros(params))


def mixing(params, grads, new):
    """The new weights, with statistics mixed."""
    return tree.map(lambda p, g, n: n, params, grads, new, statistic=lambda p, g, n: tree.mix(p, g))


def right_mu(grads, mu):
    return tree.map(lambda m, g: 0.9 * m + g, mu, grads, statistic=lambda m, g: m)


def right_step(params, grads, state):
    mu = right_mu(grads, state.mu)
    new = tree.map(lambda p, m: p - RATE * m, params, mu)
    return mixing(params, grads, new), Momentum(state.count + 1, mu)


@attrs.frozen
class Bare:
    """An optimizer that is no value."""

    init: object = right_init
    step: object = right_step


def moved(change):
    """A step whose new params are ``change``d: ``(old, new, grads, state) -> params``."""

    def step(params, grads, state):
        new, after = right_step(params, grads, state)
        return change(params, new, grads, state), after

    return step


def weights(function):
    """Change new weights, ``function(old, new, gradient)``, and keep statistics."""
    return moved(lambda p, new, g, s: tree.map(function, p, new, g, statistic=lambda p, n, g: n))


def statistics(function):
    """Change new statistics, ``function(old, observation)``."""
    return moved(
        lambda p, new, g, s: tree.map(
            lambda p, n, g: n, p, new, g, statistic=lambda p, n, g: function(p, g)
        )
    )


def stated(change):
    """A step whose new state is ``change``d."""

    def step(params, grads, state):
        new, after = right_step(params, grads, state)
        return new, change(after, grads)

    return step


calls = itertools.count()
box = {}


def another_each_time(params):
    return Momentum(next(calls), zeros(params))


def a_state_of_functions(params):
    return Momentum(0, tree.map(lambda p: p * 0, params)), lambda: 0


def step_of_functions(params, grads, state):
    new, after = right_step(params, grads, state[0])
    return new, (after, state[1])


def writes_into_grads(params, grads, state):
    result = right_step(params, grads, state)
    for leaf in tree.leaves(grads):
        if isinstance(leaf, np.ndarray):
            leaf.setflags(write=True)
            leaf *= 2
    return result


def writes_into_state(params, grads, state):
    result = right_step(params, grads, state)
    for leaf in tree.leaves(state.mu):
        leaf.setflags(write=True)
        leaf += 1
    return result


def keeps_its_state_outside(params, grads, state):
    box["mu"] = right_mu(grads, box.get("mu", state.mu)) if state.count else state.mu
    new = tree.map(lambda p, m: p - RATE * m, params, box["mu"])
    return mixing(params, grads, new), Momentum(state.count + 1, state.mu)


def counts_steps_outside(params, grads, state):
    new, after = right_step(params, grads, state)
    slower = RATE / (1 + next(calls))
    return tree.map(lambda n, g: n - slower * g, new, grads, statistic=lambda n, g: n), after


def after_400_calls(function):
    counter = itertools.count()

    def step(params, grads, state):
        new, after = right_step(params, grads, state)
        return (function(new) if next(counter) > 400 else new), after

    return step


def gives_one_buffer(params, grads, state):
    new, after = right_step(params, grads, state)

    def held(path_and_leaf):
        path, leaf = path_and_leaf
        buffer = box.setdefault((path, leaf.shape, leaf.dtype), np.empty_like(leaf))
        np.copyto(buffer, leaf)
        return buffer

    leaves = [held(pair) for pair in zip(tree.paths(new), tree.leaves(new), strict=True)]
    return tree.unflatten(tree.structure(new), leaves), after


def keeps_the_gradient_itself(after, grads):
    first = after.count == 1
    mu = tree.map(lambda m, g: g if first else m, after.mu, grads, statistic=lambda m, g: m)
    return Momentum(after.count, mu)


def float64(old, new, g):
    return new.astype(np.float64)


def takes_whatever_broadcasts(params, grads, state):
    def add(p, g):
        return p - RATE * g

    pairs = zip(tree.leaves(params), tree.leaves(grads), strict=False)
    found = [tree.mix(p, g) if isinstance(g, tree.Observation) else add(p, g) for p, g in pairs]
    return tree.unflatten(tree.structure(params), found), Momentum(state.count + 1, state.mu)


def takes_any_state(params, grads, state):
    mu = zeros(params) if tree.structure(state.mu) != tree.structure(params) else state.mu
    pairs = zip(tree.leaves(mu), tree.leaves(params), strict=True)
    own = [np.resize(m, np.shape(p)) for m, p in pairs]
    its = Momentum(state.count, tree.unflatten(tree.structure(params), own))
    return right_step(params, grads, its)


def divides_by_the_norm(old, new, g):
    with np.errstate(all="ignore"):
        return old - RATE * g / np.linalg.norm(g)


def squares_the_gradient(old, new, g):
    with np.errstate(all="ignore"):
        return new + (g**90 - g**90)


def forgets_momentum_in_pickles(params):
    return Forgetful(0, zeros(params))


@tree.node
class Forgetful:
    """A momentum whose copy by pickle starts again."""

    count: int
    mu: object


Forgetful.__reduce__ = lambda self: (Forgetful, (self.count, zeros(self.mu)))  # as node sets it


def forgetful_step(params, grads, state):
    new, after = right_step(params, grads, state)
    return new, Forgetful(after.count, after.mu)


def only_float32(factor):
    def change(old, new, g):
        return new if new.dtype == np.float64 else old + (new - old) * np.float32(factor)

    return change


def only_first_leaf(params, new, grads, state):
    """Later leaves stay, which a sum over all would not show."""
    first = itertools.count()
    return tree.map(lambda p, n: n if next(first) == 0 else p + RATE, params, new)


def global_seed(old, new, g):
    np.random.seed(0)  # noqa: NPY002
    return new


MUTANTS = {
    "init counts its calls": (Bare(init=another_each_time), "init"),
    "the state holds a function": (Bare(a_state_of_functions, step_of_functions), "init"),
    "the state's pickle forgets": (Bare(forgets_momentum_in_pickles, forgetful_step), "resume"),
    "params become float64": (Bare(step=weights(float64)), "structure"),
    "params become another tree": (
        Bare(step=moved(lambda p, new, g, s: list(tree.leaves(new)))),
        "structure",
    ),
    "the state becomes another tree": (
        Bare(step=stated(lambda s, g: (s, 1))),
        "structure",
    ),
    "step gives params alone": (Bare(step=lambda p, g, s: right_step(p, g, s)[0]), "structure"),
    "grads are written into": (Bare(step=writes_into_grads), None),
    "the state is written into": (Bare(step=writes_into_state), None),
    "momentum is kept outside": (Bare(step=keeps_its_state_outside), "purity"),
    "steps are counted outside": (Bare(step=counts_steps_outside), "purity"),
    "params are one buffer": (Bare(step=gives_one_buffer), "purity"),
    "other params after 400 calls": (
        Bare(step=after_400_calls(lambda new: tree.map(lambda n: n + 1, new))),
        "calls",
    ),
    "a global generator is seeded": (Bare(step=weights(global_seed)), "globals"),
    "the state keeps the gradient itself": (
        Bare(step=stated(keeps_the_gradient_itself)),
        "aliases",
    ),
    "statistics stay": (Bare(step=statistics(lambda p, o: p)), "statistics"),
    "statistics are replaced": (
        Bare(step=statistics(lambda p, o: o.value.astype(p.dtype))),
        "statistics",
    ),
    "statistics go downhill": (
        Bare(step=statistics(lambda p, o: p - np.asarray(RATE * o.value, p.dtype))),
        "statistics",
    ),
    "statistics with the other weight": (
        Bare(step=statistics(lambda p, o: tree.mix(p, tree.Observation(o.value, 1 - o.weight)))),
        "statistics",
    ),
    "weights follow observations": (
        Bare(
            step=moved(
                lambda p, new, g, s: tree.map(
                    lambda n: n + 1e-6 * next(
                        float(o.value.sum()) for o in tree.leaves(g)
                        if isinstance(o, tree.Observation)
                    ), new, statistic=lambda n: n,
                )
            )
        ),
        None,
    ),
    "zero gradients give NaN": (Bare(step=weights(divides_by_the_norm)), "finite"),
    "large gradients give NaN": (Bare(step=weights(squares_the_gradient)), "finite"),
    "the count goes up by two": (
        Bare(step=stated(lambda s, g: Momentum(s.count + 1, s.mu))),
        "count",
    ),
    "gradients may broadcast": (Bare(step=takes_whatever_broadcasts), "refusal"),
    "states of other params are resized": (Bare(step=takes_any_state), "refusal"),
    "uphill": (Bare(step=weights(lambda p, n, g: p + RATE * g)), "downhill"),
    "it never moves": (Bare(step=weights(lambda p, n, g: p)), "downhill"),
    "it moves the first leaf downhill": (Bare(step=moved(only_first_leaf)), None),
    "half the rate in float32": (Bare(step=weights(only_float32(0.5))), "float32"),
    "0.05 % off in float32": (Bare(step=weights(only_float32(1.0005))), "float32"),
}  # fmt: skip


def test_the_optimizer_that_the_mutants_are_made_of_is_right():
    check_optimizer(Bare())


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name):
    mutant, law = MUTANTS[name]
    with np.errstate(all="ignore"), pytest.raises(AssertionError) as caught:
        check_optimizer(mutant)
    assert f"breaks the law '{law or ''}" in str(caught.value)


RIGHT = [
    optim.sgd(0.1),
    optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    optim.adam(1e-3),
    optim.adamw(1e-3),
    optim.rmsprop(1e-3),
    optim.sgd(optim.warmup(5, optim.cosine(0.1, 50))),
    optim.adamw(1e-3, weight_decay=0.1, mask=optim.matrices),
    optim.accumulate(optim.adam(1e-2), 3),
    optim.params_ema(optim.sgd(0.1), 0.9),
    optim.descend(optim.chain(optim.clip_by_global_norm(1.0), optim.scale_by_learning_rate(0.1))),
]


@pytest.mark.parametrize("optimizer", RIGHT, ids=repr)
def test_the_optimizers_of_fcnn(optimizer):
    check_optimizer(optimizer)


def test_params_may_be_given():
    params, _ = fcnn.serial(fcnn.conv2d(2, 3), fcnn.batch_norm()).init(fcnn.key(0), (5, 5, 1))
    check_optimizer(optim.adam(0.01), params)
    check_optimizer(optim.sgd(0.1), (np.ones(3), {"a": np.arange(4.0)}))


@optim.optimizer
def of_whatever(*arguments):
    return right_init, right_step


class Sly:
    """Prints as if it were None."""

    def __repr__(self):
        return "None"


def test_an_optimizer_that_prints_as_another_is_caught():
    check_optimizer(of_whatever(None))
    with pytest.raises(AssertionError, match="breaks the law 'value'"):
        check_optimizer(of_whatever(Sly()))


def test_a_law_may_be_left_out():
    mutant, law = MUTANTS["it never moves"]
    check_optimizer(mutant, skip=[law, "float32"])
    with pytest.raises(ArgumentError, match="skip"):
        check_optimizer(mutant, skip=["moves"])
