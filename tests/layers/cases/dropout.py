from fcnn import dropout

CASES = [
    (dropout(0.3), (4, 4, 3)),
    (dropout(0.0), (3,)),
]  # fmt: skip
