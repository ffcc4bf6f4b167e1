"""The front door: train a small network on handwritten digits in under a minute.

    python examples/mnist.py
    FCNN_DATA=~/data python examples/mnist.py       # all of MNIST: 0.995 in a few minutes

It trains on the 5,000 digits embedded in fcnn, or on all 60,000 where FCNN_DATA names a
folder with the whole set (`fcnn.data.download` fills one), and draws the learning curve,
the first filters and the mistakes to ``mnist.png``.
"""

from pathlib import Path

import _common
import numpy as np

import fcnn
from fcnn import batch_norm, conv2d, dense, dropout, flatten, max_pool2d, relu, serial
from fcnn.data import Dataset, mnist
from fcnn.data.augment import affine
from fcnn.losses import softmax_cross_entropy
from fcnn.optim import adamw
from fcnn.train import Run


def recipe(train: Dataset) -> _common.Recipe:
    """Return three convolutions with batch norm and relu, and one dense layer."""
    epochs, batch_size = (12, 32) if len(train) <= 5000 else (10, 64)
    return _common.Recipe(
        model=serial(
            *(conv2d(16, 5, stride=2, bias=None), batch_norm(), relu),
            *(conv2d(32, 3, bias=None), batch_norm(), relu),
            *(conv2d(48, 3, bias=None), batch_norm(), relu, max_pool2d(2)),
            *(flatten, dropout(0.3), dense(10)),
        ),
        loss=softmax_cross_entropy,
        optimizer=lambda steps: adamw(_common.one_cycle(0.01, steps), weight_decay=0.05),
        epochs=epochs,
        batch_size=batch_size,
        quick=2,
    )


def draw(run: Run, guesses: np.ndarray, test: Dataset, file: Path) -> str:
    """Draw the learning curve, the first filters and the mistakes; return a line to print."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
    except ImportError:
        return "No picture: matplotlib is not installed; pip install '.[plot]' and run this again."
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    curve, kernels, mistakes = figure.subfigures(1, 3, wspace=0.04)

    axes = curve.subplots()
    numbers = [epoch.number for epoch in run.history]
    axes.plot(numbers, [1 - epoch.accuracy for epoch in run.history], label="training, augmented")
    axes.plot(numbers, [1 - epoch.validation.accuracy for epoch in run.history], label="test")
    axes.set(title="Error rate", xlabel="epoch", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda fraction, _: f"{100 * fraction:g} %")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)

    weight = run.params[0].weight[:, :, 0]
    limit = np.abs(weight).max()
    kernels.suptitle("Filters of the first layer")
    for i, axes in enumerate(kernels.subplots(4, 4).flat):
        axes.imshow(weight[:, :, i], cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_axis_off()

    wrong = np.flatnonzero(guesses != test.targets)
    mistakes.suptitle(f"{min(16, len(wrong))} of {len(wrong)} mistakes: true as predicted")
    for axes, i in zip(mistakes.subplots(4, 4).flat, [*wrong[:16], *[None] * 16], strict=False):
        if i is not None:
            axes.imshow(test.inputs[i, :, :, 0], cmap="gray_r")
            axes.set_title(f"{test.targets[i]} as {guesses[i]}", fontsize=9, pad=2)
        axes.set_axis_off()

    figure.savefig(file, dpi=120)
    return f"Learning curve, filters and mistakes: {file}"


def main() -> None:
    """Train, draw and test."""
    parser = _common.options(__doc__, recipes=())
    parser.add_argument("--picture", type=Path, default=Path("mnist.png"), metavar="FILE")
    args = parser.parse_args()
    train, test = mnist("train"), mnist("test")
    chosen = recipe(train)
    print(fcnn.summary(chosen.model, train.inputs.shape[1:]))
    moved = affine(shift=2, rotate=10, scale=0.1)
    with fcnn.parallel.processes() as cores:  # a third faster than threads, the same bits
        run = _common.learn(chosen, train, args, augment=moved, validation=test, executor=cores)
    print(draw(run, _common.guesses(chosen, run, test), test, args.picture))
    print(f"test accuracy: {_common.score(chosen, run, test)}")


if __name__ == "__main__":
    main()
