from fcnn import log_softmax, relu, sigmoid, softmax, tanh

CASES = [
    (relu, (4, 3, 2)),
    (sigmoid, (5,)),
    (tanh, (5,)),
    (softmax, (5,)),
    (softmax, (2, 3, 4)),
    (log_softmax, (3, 5)),
]  # fmt: skip
