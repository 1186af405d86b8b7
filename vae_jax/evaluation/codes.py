"""Codebook usage over a whole split."""

from typing import Any

import numpy as np

from vae_jax.errors import InputError, check_range


def code_usage(codes: Any, num_codes: int) -> dict[str, float]:
    """Usage of M = `num_codes` codes in codes [N, *grid], integers 0 .. M - 1.

    Returns `perplexity` = exp(H), with H the entropy of the code frequencies, between 1 and M;
    `codes_in_use`, the share of M that occurs; and `bits_per_code` = H / ln 2, the cost of a code
    under the frequencies, regardless of position and neighbors. With n codes in total, the
    perplexity is at most n, and H is too low by about (M - 1) / (2 n).

    Raises:
      InputError: codes are not integers, outside 0 .. M - 1, or empty.
    """
    check_range("num_codes", num_codes, 1)
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or codes.size == 0:
        raise InputError(
            f"codes: {codes.dtype} of shape {codes.shape}; must be at least one integer"
        )
    if codes.min() < 0 or codes.max() >= num_codes:
        raise InputError(
            f"codes: from {codes.min()} to {codes.max()}; must be from 0 to num_codes - 1 = "
            f"{num_codes - 1}"
        )
    shares = np.bincount(codes.reshape(-1), minlength=num_codes) / codes.size
    used = shares[shares > 0]
    entropy = max(-float(np.sum(used * np.log(used))), 0.0)
    return {
        "perplexity": float(np.exp(entropy)),
        "codes_in_use": len(used) / num_codes,
        "bits_per_code": entropy / float(np.log(2)),
    }
