from fcnn import alpha_dropout, gaussian_noise

CASES = [
    (alpha_dropout(0.3), (4, 3)),
    (alpha_dropout(0.0), (4,)),
    (gaussian_noise(0.5), (4, 3)),
    (gaussian_noise(0.0), (4,)),
]  # fmt: skip
