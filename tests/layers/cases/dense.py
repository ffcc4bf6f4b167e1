from fcnn import dense
from fcnn.initializers import normal, uniform

CASES = [
    (dense(3), (4,)),
    (dense(1, weight_init=uniform(-0.5, 0.5), bias_init=normal(0.1)), (1,)),
    (dense(3), (2, 4)),
    (dense(2), (3, 2, 4)),
]  # fmt: skip
