"""The transforms of Winograd's F(4, 3), and the derivation of its adjoints.

Four neighbouring outputs of a filter of three elements need twelve multiplications. They are
the transpose of a product of two polynomials, which can be computed from their values at six
points: with d the six inputs and g the filter,

    y = output @ ((filter @ g) * (input @ d))

takes six. With rows and columns treated like this, a tile of 4 x 4 outputs takes 36 products
instead of 144. The adjoints are the same steps in reverse; along one axis, with
``m = (filter @ g) * (input @ d)``,

    dm = output.T @ dy    dg = filter.T @ (dm * (input @ d))    dd = input.T @ (dm * (filter @ g))

The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity. They have the smallest error of some ten
thousand sets of fractions that binary numbers hold: in float32 two to five times that of the
plain products, where the usual 0, 1, -1, 2, -2 and infinity have four to ten times. All outputs of
a tile share its rounding, which is that of its largest pixel.

Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
https://arxiv.org/abs/1509.09308; S. Winograd, "Arithmetic Complexity of Computations", 1980,
https://doi.org/10.1137/1.9781611970364; on the points, B. Barabasz, A. Anderson, K. Soodhalter
and D. Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
Networks", 2020, https://arxiv.org/abs/1803.10986.
"""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array

FILTER, TILE = 3, 4  # rows of a filter and of a tile of the output
ALPHA = FILTER + TILE - 1  # rows of a tile of the input, in the literature's letter
POINTS = 0.0, 0.75, -0.75, 1.5, -1.5  # and infinity


def transforms(points: tuple[float, ...]) -> tuple[Array, Array, Array]:
    """Return output ``(4, 6)``, filter ``(6, 3)`` and input ``(6, 6)`` transform, in float64.

    For five points and infinity, where a polynomial's value is its highest coefficient.
    """
    of_output, of_filter = np.zeros((TILE, ALPHA)), np.zeros((ALPHA, FILTER))
    of_input = np.zeros((ALPHA, ALPHA))
    of_output[-1, -1] = of_filter[-1, -1] = 1
    of_input[-1] = np.poly(points)[::-1]
    for i, point in enumerate(points):
        others = [each for each in points if each != point]
        of_output[:, i] = point ** np.arange(TILE)
        of_filter[i] = point ** np.arange(FILTER) / np.prod([point - each for each in others])
        of_input[i, :-1] = np.poly(others)[::-1]
    return of_output, of_filter, of_input


OUTPUT_TRANSFORM, FILTER_TRANSFORM, INPUT_TRANSFORM = transforms(POINTS)
