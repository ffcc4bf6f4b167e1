from fcnn import gelu, log_sigmoid, mish, silu, softplus, softsign

CASES = [
    (gelu(), (4, 3, 2)),
    (gelu(approximate="tanh"), (5,)),
    (silu, (4, 3)),
    (mish, (5,)),
    (softplus(), (5,)),
    (softplus(2.5), (3, 2)),
    (log_sigmoid, (5,)),
    (softsign, (3, 2, 2)),
]  # fmt: skip
