from fcnn import local_response_norm

CASES = [
    (local_response_norm(5), (3, 2, 7)),
    (local_response_norm(2, alpha=0.5, beta=0.6, k=0.5), (4,)),
    (local_response_norm(9, alpha=1.0), (2, 3)),
]  # fmt: skip
