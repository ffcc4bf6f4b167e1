import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The same examples every time, so that a red run is the change's doing; a long search for
# new ones is HYPOTHESIS_PROFILE=search away.
settings.register_profile(
    "same",
    derandomize=True,
    deadline=None,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("few", settings.get_profile("same"), max_examples=5)
settings.register_profile("ci", settings.get_profile("same"), max_examples=100)
settings.register_profile(
    "search", settings.get_profile("same"), derandomize=False, max_examples=1000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test whose name differs from process to process: pytest-xdist compares them."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"the name of a test holds an address: {item.nodeid}")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def no_global_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever draws from NumPy's hidden global generator fails."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("drawn from NumPy's global generator")

    for name in (
        "rand", "randn", "randint", "random", "random_sample", "normal", "uniform", "choice",
        "permutation", "shuffle", "binomial", "standard_normal", "seed", "default_rng",
    ):  # fmt: skip
        monkeypatch.setattr(np.random, name, refuse)
