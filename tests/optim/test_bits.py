"""Golden digests: the bits of 20 steps, which depend on no BLAS.

A change of the order of operations changes them. Where that is meant, print the new ones with
``python tests/optim/test_bits.py`` and say so in the changelog.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnn import optim, tree

OPTIMIZERS = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, momentum=0.9),
    "nesterov": optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": optim.adam(0.01),
    "adamw": optim.adamw(optim.warmup(3, 0.01), weight_decay=0.1),
    "rmsprop": optim.rmsprop(0.01, momentum=0.5),
    "adagrad": optim.adagrad(0.01, weight_decay=0.1),
    "adadelta": optim.adadelta(),
    "adamax": optim.adamax(0.01, weight_decay=0.1, mask=optim.matrices),
    "amsgrad": optim.amsgrad(0.01, weight_decay=0.1),
    "nadam": optim.nadam(0.01),
    "radam": optim.radam(0.01),
    "lion": optim.lion(0.01, weight_decay=0.1),
    "schedule-free": optim.schedule_free_adamw(optim.warmup(3, 0.01), weight_decay=0.1),
}

DIGESTS = {
    "sgd float32": "8c93747e8448f8c4",
    "sgd float64": "37b77d784306dbaf",
    "momentum float32": "3c5aca82060eb50d",
    "momentum float64": "5297ec1b365890d3",
    "nesterov float32": "56f6c45c5f6ec2a6",
    "nesterov float64": "04b09d1071f33cde",
    "adam float32": "e11bef8171747e72",
    "adam float64": "3fb587b840f950a3",
    "adamw float32": "6b2783bcc1ab9f8f",
    "adamw float64": "b31681d765afa4c3",
    "rmsprop float32": "5d0692d549636efd",
    "rmsprop float64": "bb9e6e053c31049f",
    "adagrad float32": "a056f527dbfe831a",
    "adagrad float64": "e4fbc4db98a54f3c",
    "adadelta float32": "935c38eebd26709c",
    "adadelta float64": "866ffe00d47576d6",
    "adamax float32": "537d38f8d43a863f",
    "adamax float64": "338cb400b52fb549",
    "amsgrad float32": "382b4eddcc876853",
    "amsgrad float64": "339f63829e0c7055",
    "nadam float32": "d34d9195a83d019d",
    "nadam float64": "d5349814e5651c65",
    "radam float32": "59360db47dbd8977",
    "radam float64": "543b9b163a636980",
    "lion float32": "cccaf4f6cea5fc14",
    "lion float64": "02f50ddccdbbc286",
    "schedule-free float32": "d7da8dc2139a2928",
    "schedule-free float64": "6501abeb3040e16e",
}


def digest(name: str, dtype: str) -> str:
    rng = np.random.Generator(np.random.PCG64(0))

    def draw() -> Any:
        def leaf(*shape: int) -> Any:
            return rng.uniform(-1, 1, shape).astype(dtype)

        return {"b": leaf(7), "w": (leaf(300, 257), leaf(3, 3, 2, 4)), "x": leaf()}

    optimizer, params = OPTIMIZERS[name], draw()
    state = optimizer.init(params)
    for _ in range(20):
        params, state = optimizer.step(params, draw(), state)
    return tree.digest(params)[:16]


@pytest.mark.parametrize("case", DIGESTS)
def test_the_bits_of_20_steps(case: str) -> None:
    assert digest(*case.split()) == DIGESTS[case]


if __name__ == "__main__":
    for name in OPTIMIZERS:
        for dtype in ("float32", "float64"):
            print(f'    "{name} {dtype}": "{digest(name, dtype)}",')
