from fcnn import log_softmax_over, softmax_over

CASES = [
    (softmax_over(0), (4, 3, 2)),
    (softmax_over(-2), (3, 4, 2)),
    (log_softmax_over(1), (2, 4)),
]  # fmt: skip
