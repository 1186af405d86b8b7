"""Synthetic sequences of tokens in memory, the same for all contestants."""

import numpy as np

LENGTH, NUM_TOKENS = 48, 32  # with the end; ids, padding and end among them
END = 1


def tokens(num: int, seed: int = 0) -> np.ndarray:
    """Uniform ids from 2 on and the end, uint8 [num, LENGTH].

    All have the same length, so that nobody gains by what is done about padding.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(END + 1, NUM_TOKENS, (num, LENGTH), dtype=np.uint8)
    x[:, -1] = END
    return x
