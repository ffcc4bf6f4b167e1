"""Zeros and ones, article 000: convolution, sigmoids and the binary cross-entropy.

    python examples/mnist_zero_or_one.py
    python examples/mnist_zero_or_one.py --recipe article

It learns from 100 zeros and 100 ones.
"""

import _common

from fcnn import conv2d, dense, flatten, serial, sigmoid
from fcnn.data import Dataset, mnist, one_hot
from fcnn.initializers import normal
from fcnn.losses import binary_cross_entropy, sigmoid_cross_entropy
from fcnn.optim import adamw, sgd


def article() -> _common.Recipe:
    """Everything is drawn from the normal distribution, as by ``np.random.randn``."""
    init = {"weight_init": normal(), "bias_init": normal()}
    return _common.Recipe(
        model=serial(
            *(conv2d(5, 3, bias="untied", **init), sigmoid, flatten),
            *(dense(100, **init), sigmoid),
            *(dense(2, **init), sigmoid),
        ),
        loss=binary_cross_entropy,
        optimizer=lambda steps: sgd(0.1),
        epochs=20,
    )


def tuned() -> _common.Recipe:
    """The last sigmoid moves into the loss, where it can neither saturate nor overflow."""
    return _common.Recipe(
        model=serial(
            *(conv2d(5, 3, bias="untied"), sigmoid, flatten),
            *(dense(100), sigmoid),
            dense(2),
        ),
        loss=sigmoid_cross_entropy,
        optimizer=lambda steps: adamw(_common.one_cycle(0.003, steps), weight_decay=0.1),
        epochs=20,
        batch_size=8,
        quick=5,
    )


def zeros_and_ones(split: str, per_class: int | None = None) -> Dataset:
    """The first zeros and ones of a split, one-hot."""
    digits = mnist(split, classes=(0, 1), per_class=per_class)
    return Dataset(digits.inputs, one_hot(digits.targets, 2), classes=("0", "1"))


def main() -> None:
    """Train, and print what the article prints."""
    args = _common.options(__doc__).parse_args()
    train, test = zeros_and_ones("train", 100), zeros_and_ones("test", 100)
    recipe = article() if args.recipe == "article" else tuned()
    run = _common.learn(recipe, train, args)
    _common.print_pairs(recipe, run, test)
    _common.report(recipe, run, test, zeros_and_ones("test"))


if __name__ == "__main__":
    main()
