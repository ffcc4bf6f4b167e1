"""Derivatives besides the gradient of a loss in the params: a file each.

`wiring` reads how a combinator is made of layers, which `forward` and `examples` run in their
own ways. What they guess of a layer's Jacobian is certified by its pullback (`certificate`).
"""
