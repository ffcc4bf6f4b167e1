from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnn import optim
from fcnn.errors import ArgumentError


def test_constant_schedule() -> None:
    assert {optim.constant_schedule(0.1)(i) for i in (0, 1, 10**9)} == {0.1}


def test_step_decay_changes_at_every_multiple() -> None:
    learning_rate = optim.step_decay(1.0, every=3, factor=0.1)
    assert [learning_rate(i) for i in (0, 2, 3, 5, 6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_cosine_from_initial_to_final_and_no_further() -> None:
    learning_rate = optim.cosine(1.0, 10, final=0.2)
    assert learning_rate(0) == 1.0
    assert learning_rate(5) == pytest.approx(0.6)
    assert learning_rate(10) == learning_rate(11) == learning_rate(10**6) == 0.2


def test_warmup_starts_above_zero_and_meets_what_follows() -> None:
    assert [optim.warmup(4, 0.8)(i) for i in range(6)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    )
    learning_rate = optim.warmup(2, optim.cosine(1.0, 4))
    assert [learning_rate(i) for i in (0, 1, 2, 4, 6)] == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 1), st.integers(0, 300))
def test_cosine_stays_between_its_ends(steps: int, a: float, b: float, step: int) -> None:
    low, high = min(a, b), max(a, b)
    assert low - 1e-12 <= optim.cosine(a, steps, final=b)(step) <= high + 1e-12


@pytest.mark.parametrize(
    "learning_rate",
    [
        optim.constant_schedule(0.1),
        optim.step_decay(0.1, every=2, factor=0.5),
        optim.cosine(0.1, 5),
        optim.warmup(3, optim.cosine(0.1, 5, final=0.01)),
        optim.exponential(0.1, every=3, factor=0.5, final=0.04),
        optim.piecewise((0.1, 0.2, 0.0), (2, 7)),
        optim.polynomial(0.1, 5, power=2.0, final=0.01),
        optim.one_cycle(0.1, 8, rise=0.4),
        optim.cosine_restarts(0.1, 2, factor=2, final=0.01),
        optim.join((0.1, optim.cosine(0.1, 3), optim.warmup(2, 0.3)), (2, 6)),
    ],
    ids=repr,
)
def test_schedules_are_values(learning_rate: Any) -> None:
    again = pickle.loads(pickle.dumps(learning_rate))
    assert again == learning_rate
    assert hash(again) == hash(learning_rate)
    assert eval(repr(learning_rate), vars(optim)) == learning_rate
    assert [again(i) for i in range(9)] == [learning_rate(i) for i in range(9)]
    assert all(type(learning_rate(i)) is float for i in range(9))


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.constant_schedule(-1.0),
        lambda: optim.step_decay(0.1, every=0, factor=0.5),
        lambda: optim.step_decay(0.1, every=1, factor=-0.5),
        lambda: optim.cosine(0.1, 0),
        lambda: optim.cosine(0.1, 2.5),  # type: ignore[arg-type]
        lambda: optim.warmup(0, 0.1),
        lambda: optim.warmup(3, -0.1),
        lambda: optim.exponential(0.1, every=0, factor=0.5),
        lambda: optim.exponential(0.1, every=1, factor=0.0),
        lambda: optim.exponential(0.1, every=1, factor=1.5),
        lambda: optim.piecewise((0.1, 0.2), ()),
        lambda: optim.piecewise((0.1, 0.2, 0.3), (4, 4)),
        lambda: optim.piecewise((0.1, -0.2), (4,)),
        lambda: optim.polynomial(0.1, 5, power=-1.0),
        lambda: optim.one_cycle(0.1, 3),
        lambda: optim.one_cycle(0.1, 1),
        lambda: optim.one_cycle(0.1, 10, rise=1.0),
        lambda: optim.one_cycle(0.1, 10, initial=-0.1),
        lambda: optim.cosine_restarts(0.1, 5, factor=0),
        lambda: optim.cosine_restarts(0.1, 5, factor=1.5),  # type: ignore[arg-type]
        lambda: optim.join((0.1, 0.2), (0,)),
        lambda: optim.join((0.1, 0.2), (3, 5)),
        lambda: optim.join((optim.cosine, 0.2), (3,)),
    ],
)
def test_values_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError):
        call()


PEERS: list[tuple[Any, str, dict[str, Any]]] = [
    # ours, PyTorch's scheduler, its options; PyTorch multiplies the rate of the step before
    (optim.exponential(0.1, every=1, factor=0.9), "ExponentialLR", {"gamma": 0.9}),
    (
        optim.piecewise((0.1, 0.01, 0.001), (4, 9)),
        "MultiStepLR",
        {"milestones": [4, 9], "gamma": 0.1},
    ),
    (
        optim.polynomial(0.1, 20, power=1.5),
        "PolynomialLR",
        {"total_iters": 20, "power": 1.5},
    ),
    (optim.one_cycle(0.3, 40), "OneCycleLR", {"max_lr": 0.3, "total_steps": 40}),
    (
        optim.one_cycle(0.3, 37, rise=0.61, initial=0.1, final=0.001),
        "OneCycleLR",
        {
            "max_lr": 0.3,
            "total_steps": 37,
            "pct_start": 0.61,
            "div_factor": 3,
            "final_div_factor": 100,
        },
    ),
    (optim.cosine_restarts(0.1, 7), "CosineAnnealingWarmRestarts", {"T_0": 7}),
    (
        optim.cosine_restarts(0.1, 4, factor=2, final=0.02),
        "CosineAnnealingWarmRestarts",
        {"T_0": 4, "T_mult": 2, "eta_min": 0.02},
    ),
]


@pytest.mark.filterwarnings("ignore:Detected call of")  # the optimizer makes no step here
@pytest.mark.parametrize(("learning_rate", "name", "options"), PEERS, ids=repr)
def test_schedules_of_pytorch(learning_rate: Any, name: str, options: Any) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    peer = getattr(torch.optim.lr_scheduler, name)(sgd, **options)
    for step in range(options.get("total_steps", 60)):
        assert learning_rate(step) == pytest.approx(peer.get_last_lr()[0], rel=1e-9, abs=1e-15)
        peer.step() if step + 1 < options.get("total_steps", 60) else None


def test_join_is_optaxs() -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    ours = optim.join((optim.polynomial(0.1, 5, final=1.0), optim.cosine(1.0, 20), 0.3), (5, 19))
    with jax.enable_x64(True):
        theirs = optax.join_schedules(
            [
                optax.linear_schedule(0.1, 1.0, 5),
                optax.cosine_decay_schedule(1.0, 20),
                optax.constant_schedule(0.3),
            ],
            [5, 19],
        )
        for step in range(30):
            assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-12)


def test_one_cycle_stays_at_its_end_and_exponential_at_its_least() -> None:
    cycle = optim.one_cycle(1.0, 10)
    assert cycle(9) == cycle(10) == cycle(10**6) == 1 / 25 / 1e4
    assert max(cycle(step) for step in range(10)) == cycle(2) == 1.0
    falling = optim.exponential(1.0, every=2, factor=0.5, final=0.2)
    assert [falling(step) for step in (0, 2, 4, 6, 10**6)] == [1.0, 0.5, 0.25, 0.2, 0.2]


def test_restarts_far_away_take_no_time() -> None:
    assert optim.cosine_restarts(1.0, 3)(3 * 10**12) == 1.0
    assert optim.cosine_restarts(1.0, 3, factor=2)(3 * (2**40 - 1)) == 1.0


def test_as_schedule_takes_a_number_or_a_function() -> None:
    assert optim.as_schedule(0.1) == optim.constant_schedule(0.1)
    assert [optim.as_schedule(0.1)(i) for i in (0, 5)] == [0.1, 0.1]
    cosine = optim.cosine(0.1, 5)
    assert optim.as_schedule(cosine) is cosine
    for wrong in (-0.1, float("nan"), float("inf"), "fast", None, True):
        with pytest.raises(
            ArgumentError, match=r"^expected a number in \[0, inf\) for value, got "
        ):
            optim.as_schedule(wrong)  # type: ignore[arg-type]


def test_a_schedule_of_your_own_is_a_value() -> None:
    @optim.schedule
    def harmonic(initial: float) -> Any:
        return lambda step: initial / (step + 1)

    assert repr(harmonic(0.5)) == "harmonic(0.5)"
    assert harmonic(0.5) == harmonic(0.5) != harmonic(0.25)
    assert [harmonic(0.5)(step) for step in range(3)] == pytest.approx([0.5, 0.25, 0.5 / 3])
    assert optim.warmup(2, harmonic(0.5))(3) == 0.25


def test_step_0_is_the_first_step_of_an_optimizer() -> None:
    optimizer = optim.sgd(lambda step: 10.0**-step)
    params: Any = (0.0,)
    state, moves = optimizer.init(params), []
    for _ in range(3):
        after, state = optimizer.step(params, (-1.0,), state)
        moves.append(after[0] - params[0])
    assert moves == [1.0, 0.1, 0.01]


def test_a_schedule_that_was_not_called_is_refused():
    with pytest.raises(ArgumentError, match=r"got the function cosine; call it: cosine"):
        optim.adam(optim.cosine)
