from fcnn import hard_shrink, hard_sigmoid, hard_swish, hard_tanh, soft_shrink

CASES = [
    (hard_tanh(), (4, 3, 2)),
    (hard_tanh(-0.5, 1.5), (5,)),
    (hard_sigmoid, (5,)),
    (hard_swish, (4, 3)),
    (hard_shrink(), (5,)),
    (hard_shrink(0.0), (5,)),
    (soft_shrink(0.3), (4, 3, 2)),
]  # fmt: skip
