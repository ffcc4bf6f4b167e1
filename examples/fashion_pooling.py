"""Clothes, articles 002 and 004: one filter, relu, max-pooling and one dense layer.

    python examples/fashion_pooling.py
    python examples/fashion_pooling.py --recipe article                 # article 002
    python examples/fashion_pooling.py --recipe article --epochs 200    # article 004

It learns from the first 5,000 pictures of Fashion-MNIST and is tested on the next 5,000,
as in the articles; with FCNN_DATA, also on the test set of 10,000.
"""

import _common

from fcnn import conv2d, dense, flatten, max_pool2d, relu, serial, softmax
from fcnn.data import available, fashion_mnist, one_hot
from fcnn.initializers import normal, uniform
from fcnn.losses import categorical_cross_entropy, softmax_cross_entropy
from fcnn.metrics import accuracy, classification_report
from fcnn.optim import adamw, sgd


def article() -> _common.Recipe:
    """With the bias that the articles make, one a pixel, and forget to add.

    Without it the filter dies with some seeds: relu then gives 0 for every image.
    """
    return _common.Recipe(
        model=serial(
            *(conv2d(1, 6, bias="untied", weight_init=normal(), bias_init=normal()), relu),
            *(max_pool2d(2), flatten),
            *(dense(10, weight_init=normal(), bias_init=uniform(0, 1)), softmax),
        ),
        loss=categorical_cross_entropy,
        optimizer=lambda steps: sgd(0.01),
        epochs=50,
        quick=2,
    )


def tuned() -> _common.Recipe:
    """A better start and a better step."""
    return _common.Recipe(
        model=serial(
            *(conv2d(1, 6, bias="untied"), relu, max_pool2d(2), flatten),
            dense(10),
        ),
        loss=softmax_cross_entropy,
        optimizer=lambda steps: adamw(_common.one_cycle(0.03, steps), weight_decay=0.1),
        epochs=50,
        batch_size=64,
        quick=5,
    )


def main() -> None:
    """Train, and print what the article prints."""
    args = _common.options(__doc__).parse_args()
    train, test = fashion_mnist("train", 5000), fashion_mnist("train", 10_000)[5000:]
    recipe = article() if args.recipe == "article" else tuned()
    run = _common.learn(recipe, train, args)
    predictions = _common.guesses(recipe, run, test)
    print("predictions:", one_hot(predictions, 10), sep="\n")
    print("accuracy score:", accuracy(predictions, test.targets))
    print(classification_report(predictions, test.targets, classes=test.classes))
    largest = fashion_mnist("test") if available("fashion-mnist", "test") else test
    _common.report(recipe, run, test, largest)


if __name__ == "__main__":
    main()
