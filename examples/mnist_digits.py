"""Ten digits, article 001: convolution, relu, dropout and the categorical cross-entropy.

    python examples/mnist_digits.py
    python examples/mnist_digits.py --recipe article

It learns from the first 1,000 digits of MNIST. The article's convolution never
learnt, because its backward pass was a stub; here it does.
"""

import _common

from fcnn import conv2d, dense, dropout, flatten, relu, serial, softmax
from fcnn.data import mnist
from fcnn.initializers import he_normal, normal
from fcnn.losses import categorical_cross_entropy, scaled, softmax_cross_entropy
from fcnn.optim import adamw, sgd


def article() -> _common.Recipe:
    """Kernels and biases drawn from the normal distribution, dense weights after He.

    The loss is a tenth of the cross-entropy, as the article prints it. The whole of it
    learns nothing at this rate.
    """
    return _common.Recipe(
        model=serial(
            *(conv2d(5, 3, bias="untied", weight_init=normal(), bias_init=normal()), relu),
            flatten,
            *(dense(100, weight_init=he_normal, bias_init=normal()), relu, dropout(0.05)),
            *(dense(10, weight_init=he_normal, bias_init=normal()), softmax),
        ),
        loss=scaled(categorical_cross_entropy, 0.1),
        optimizer=lambda steps: sgd(0.1),
        epochs=100,
        quick=6,
    )


def tuned() -> _common.Recipe:
    """A thousand digits for 342,000 weights: more dropout, and weight decay."""
    return _common.Recipe(
        model=serial(
            *(conv2d(5, 3, bias="untied"), relu, flatten),
            *(dense(100), relu, dropout(0.5)),
            dense(10),
        ),
        loss=softmax_cross_entropy,
        optimizer=lambda steps: adamw(_common.one_cycle(0.01, steps), weight_decay=0.3),
        epochs=40,
        batch_size=16,
    )


def main() -> None:
    """Train, and print what the article prints."""
    args = _common.options(__doc__).parse_args()
    train, test = mnist("train", 1000), mnist("test", 100)
    recipe = article() if args.recipe == "article" else tuned()
    run = _common.learn(recipe, train, args)
    _common.print_pairs(recipe, run, test)
    print(f"Correct: {100 * _common.score(recipe, run, test).accuracy}%")
    _common.report(recipe, run, test, mnist("test"))


if __name__ == "__main__":
    main()
