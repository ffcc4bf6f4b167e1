from fcnn import prelu
from fcnn.initializers import constant

CASES = [
    (prelu(), (4, 3, 2)),
    (prelu(), (3,)),
    (prelu(tied=True, weight_init=constant(0.1)), (4, 3)),
]  # fmt: skip
