"""Derivatives besides the gradient of a loss in the params.

The functions, a file each::

    forward      `jvp`: products with the Jacobian
    hessian      `hvp`: products with the Hessian of a loss
    jacobians    `jacobian`: all of it, a row a pullback
    inputs       `input_gradient`
    examples     `per_example_gradients`, from one pass over the batch

What they are made of::

    wiring       how a combinator runs its layers, read from what it registered for `fcnn.walk`
    kinds        products with the Jacobian of layers whose kind is known
    candidates   products with the Jacobian of any other layer, guessed from its triple
    certificate  whether a guess is the transpose of the layer's pullback
    curvature    the second derivative of one layer
    stacked      gradients of each example as one stacked product
    signatures   what type checkers see
"""
