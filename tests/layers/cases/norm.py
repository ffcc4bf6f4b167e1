from fcnn import batch_norm

CASES = [
    (batch_norm(), (4,)),
    (batch_norm(momentum=0.0, eps=0.1), (4, 3)),
    (batch_norm(momentum=1.0), (4, 4, 3)),
]  # fmt: skip
