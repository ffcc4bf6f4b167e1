"""Rectifiers: leaky ReLU, ReLU6, ELU, SELU and CELU.

The derivative of each follows from its output, so that a kernel can apply it to its blocks.
"""

from __future__ import annotations

from fcnn._check import number
from fcnn._layer import Triple, layer
from fcnn._ops import rectifiers
from fcnn._pointwise import by_output
from fcnn._value import as_value
from fcnn._walk import facts

SMALLEST = 1e-30
"""The least of a positive argument: its inverse is a float32."""
SELU_ALPHA, SELU_GAIN = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""What keeps mean 0 and variance 1 from layer to layer; the equations are in `selu`'s source."""


@layer
def leaky_relu(negative_slope: float = 0.01) -> Triple:
    """Rectify with a slope below 0: ``y = x if x > 0 else negative_slope · x``.

    ``dx = dy if x > 0 else negative_slope · dy``.

    Args:
        negative_slope: the slope below 0, of at least 0.

    Raises:
        ArgumentError: if the slope is negative.

    >>> import numpy as np, fcnn
    >>> fcnn.leaky_relu(0.1).apply((), np.array([[-1.0, 2.0]]))
    array([[-0.1,  2. ]])

    Source: A. L. Maas et al., "Rectifier nonlinearities improve neural network acoustic
    models", 2013, https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf.
    """
    return by_output(rectifiers.leaky(number(negative_slope, "negative_slope", 0)))


@as_value
@layer
def relu6() -> Triple:
    """Rectify, up to 6: ``y = min(max(x, 0), 6)``; ``dx = dy where 0 < y < 6 else 0``.

    >>> import numpy as np, fcnn
    >>> fcnn.relu6.apply((), np.array([[-1.0, 2.0, 9.0]]))
    array([[0., 2., 6.]])

    Source: A. G. Howard et al., "MobileNets: efficient convolutional neural networks for
    mobile vision applications", 2017, https://arxiv.org/abs/1704.04861.
    """
    return by_output(rectifiers.clipped(0, 6))


@layer
def elu(alpha: float = 1.0) -> Triple:
    """Apply the exponential linear unit: ``y = x if x > 0 else alpha · (exp(x) - 1)``.

    ``dx = dy if y > 0 else dy · (y + alpha)``.

    Args:
        alpha: minus the limit at -inf, of at least 0.

    Raises:
        ArgumentError: if ``alpha`` is negative.

    >>> import numpy as np, fcnn
    >>> fcnn.elu().apply((), np.array([[-1000.0, -1.0, 2.0]])).round(3)
    array([[-1.   , -0.632,  2.   ]])

    Source: D.-A. Clevert et al., "Fast and accurate deep network learning by exponential
    linear units (ELUs)", 2015, https://arxiv.org/abs/1511.07289.
    """
    return by_output(rectifiers.exponential(number(alpha, "alpha", 0)))


@as_value
@layer
def selu() -> Triple:
    """Apply the self-normalising unit: ``y = 1.0507 · (x if x > 0 else 1.6733 · (exp(x) - 1))``.

    With weights of mean 0 and variance ``1 / n_in`` (`fcnn.initializers.lecun_normal`) the
    outputs keep mean 0 and variance 1; `fcnn.alpha_dropout` keeps them too.

    >>> import numpy as np, fcnn
    >>> fcnn.selu.apply((), np.array([[-1000.0, 0.0, 1.0]])).round(4)
    array([[-1.7581,  0.    ,  1.0507]])

    Source: G. Klambauer et al., "Self-normalizing neural networks", 2017,
    https://arxiv.org/abs/1706.02515.
    """
    return by_output(rectifiers.exponential(SELU_ALPHA, gain=SELU_GAIN))


@layer
def celu(alpha: float = 1.0) -> Triple:
    """Apply the smooth `elu`: ``y = x if x > 0 else alpha · (exp(x / alpha) - 1)``.

    ``dx = dy if y > 0 else dy · (y / alpha + 1)``, which is continuous at 0.

    Args:
        alpha: minus the limit at -inf, above 0.

    Raises:
        ArgumentError: if ``alpha`` is not positive.

    >>> import numpy as np, fcnn
    >>> fcnn.celu(2.0).apply((), np.array([[-1000.0, 0.0, 1.0]]))
    array([[-2.,  0.,  1.]])

    Source: J. T. Barron, "Continuously differentiable exponential linear units", 2017,
    https://arxiv.org/abs/1704.07483.
    """
    positive = number(alpha, "alpha", SMALLEST)
    return by_output(rectifiers.exponential(positive, width=positive))


for _rectifier in (leaky_relu, relu6, elu, selu, celu):
    facts(_rectifier, multiply_adds=0, window=(1, 1))
