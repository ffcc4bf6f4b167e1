from fcnn import celu, elu, leaky_relu, relu6, selu

CASES = [
    (leaky_relu(), (4, 3, 2)),
    (leaky_relu(0.0), (5,)),
    (leaky_relu(1.5), (5,)),
    (relu6, (4, 3, 2)),
    (elu(), (5,)),
    (elu(0.3), (4, 3)),
    (selu, (5,)),
    (celu(0.4), (3, 2, 2)),
]  # fmt: skip
