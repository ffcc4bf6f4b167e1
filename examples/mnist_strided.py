"""Ten digits, article 003: two convolutions, the second with a stride.

    python examples/mnist_strided.py
    python examples/mnist_strided.py --recipe article
    python examples/mnist_strided.py --network code      # linear, tuned as far as it goes

It learns from the first 1,000 digits of MNIST. The article's text describes relu and
padding; its code has neither, so that its network is linear. Both are here.
"""

from collections.abc import Callable

import _common

from fcnn import Layer, conv2d, dense, dropout, flatten, relu, serial
from fcnn.data import mnist
from fcnn.initializers import Initializer, uniform
from fcnn.losses import softmax_cross_entropy
from fcnn.optim import adamw, sgd

Network = Callable[..., Layer]


def code(**init: Initializer) -> Layer:
    """The network of the article's code: every logit is an affine function of the pixels."""
    return serial(conv2d(16, 8, **init), conv2d(8, 4, stride=2, **init), flatten)


def text(**init: Initializer) -> Layer:
    """The network of its text: padded so that the stride alone makes images smaller, and relu."""
    return serial(
        *(conv2d(16, 8, padding="same", **init), relu),
        *(conv2d(8, 4, stride=2, padding="same", **init), relu),
        flatten,
    )


def article(network: Network) -> _common.Recipe:
    """Everything drawn from -0.5 to 0.5, the convolutions' biases zero; one pass."""
    half = uniform(-0.5, 0.5)
    return _common.Recipe(
        model=serial(network(weight_init=half), dense(10, weight_init=half, bias_init=half)),
        loss=softmax_cross_entropy,
        optimizer=lambda steps: sgd(0.0003),
        epochs=1,
    )


def tuned(network: Network) -> _common.Recipe:
    """He's initialisation, dropout, weight decay, and a rate that rises before it falls."""
    return _common.Recipe(
        model=serial(network(), dropout(0.5), dense(10)),
        loss=softmax_cross_entropy,
        optimizer=lambda steps: adamw(_common.one_cycle(0.01, steps), weight_decay=0.3),
        epochs=40,
        batch_size=32,
    )


def main() -> None:
    """Train, and print what the article prints."""
    parser = _common.options(__doc__)
    parser.add_argument("--network", choices=("code", "text"), help="the recipe's if not said")
    args = parser.parse_args()
    train, test = mnist("train", 1000), mnist("test", 1000)
    if args.recipe == "article":
        recipe = article(text if args.network == "text" else code)
    else:
        recipe = tuned(code if args.network == "code" else text)
    run = _common.learn(recipe, train, args)
    _common.report(recipe, run, test, mnist("test"))


if __name__ == "__main__":
    main()
