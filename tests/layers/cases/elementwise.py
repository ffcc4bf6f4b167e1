import numpy as np

from fcnn import elementwise

CASES = [
    (elementwise(np.sin, np.cos), (4, 3)),
]  # fmt: skip
