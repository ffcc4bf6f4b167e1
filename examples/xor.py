"""XOR, article 000: dense, tanh, dense, tanh, and the mean squared error.

Four examples are all there is to learn, and to test on.

    python examples/xor.py
    python examples/xor.py --recipe article
"""

import _common
import numpy as np

from fcnn import dense, predict, serial, tanh
from fcnn.data import Dataset
from fcnn.initializers import normal
from fcnn.losses import mean_squared_error
from fcnn.optim import adam, sgd

CORNERS = Dataset(
    inputs=np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32),
    targets=np.array([[0], [1], [1], [0]], np.float32),
)


def article() -> _common.Recipe:
    """Three hidden units, everything drawn from the normal distribution."""
    init = {"weight_init": normal(), "bias_init": normal()}
    return _common.Recipe(
        model=serial(dense(3, **init), tanh, dense(1, **init), tanh),
        loss=mean_squared_error,
        optimizer=lambda steps: sgd(0.1),
        epochs=10_000,
        quick=1_000,
    )


def tuned() -> _common.Recipe:
    """Eight hidden units: with three, one start in ten ends on a plateau."""
    return _common.Recipe(
        model=serial(
            dense(8, weight_init=normal(0.5)), tanh, dense(1, weight_init=normal(0.5)), tanh
        ),
        loss=mean_squared_error,
        optimizer=lambda steps: adam(0.02),
        epochs=500,
        batch_size=4,
        quick=500,
    )


def main() -> None:
    """Train, and print what the article prints."""
    args = _common.options(__doc__).parse_args()
    recipe = article() if args.recipe == "article" else tuned()
    run = _common.learn(recipe, CORNERS, args, log=None)

    for epoch in run.history[:: max(1, len(run.history) // 20)]:
        print(f"{epoch.number}/{epoch.of}, error={epoch.loss:.6f}")
    outputs = predict(recipe.model, run.params, CORNERS.inputs)
    for corner, output, target in zip(CORNERS.inputs, outputs, CORNERS.targets, strict=True):
        print(f"{corner} -> {output[0]:+.3f}, true: {target[0]:.0f}")
    right = int(np.sum((outputs > 0.5) == (CORNERS.targets > 0.5)))
    print(f"test accuracy: {right / 4:.4f} ({right}/4)")


if __name__ == "__main__":
    main()
