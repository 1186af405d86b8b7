"""How much of a codebook is in use over a whole split."""

from typing import Any

import numpy as np

from vae_jax.errors import InputError, check_range


def code_usage(codes: Any, num_codes: int) -> dict[str, float]:
    """Use of M = `num_codes` codes over codes [N, *grid], integers 0 .. M - 1 of all examples.

    Returns `perplexity` = exp(H), H the entropy of the frequencies of the codes, between 1 and M; `codes_in_use`, the share
    of M that occurs at all; `bits_per_code` = H / ln 2, what a code costs under its own frequencies, independent of
    its place and neighbors. With n codes in all, neither M nor n is exceeded: the perplexity of few codes is too low by about
    (M - 1) / (2 n) in H.

    Raises:
      InputError: codes that are not integers, or outside of 0 .. M - 1, or none.
    """
    check_range("num_codes", num_codes, 1)
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or codes.size == 0:
        raise InputError(
            f"codes: {codes.dtype} of shape {codes.shape}; must be integers, and at least one"
        )
    if codes.min() < 0 or codes.max() >= num_codes:
        raise InputError(
            f"codes: from {codes.min()} to {codes.max()}; must be from 0 to num_codes - 1 = {num_codes - 1}"
        )
    shares = np.bincount(codes.reshape(-1), minlength=num_codes) / codes.size
    used = shares[shares > 0]
    entropy = max(-float(np.sum(used * np.log(used))), 0.0)
    return {
        "perplexity": float(np.exp(entropy)),
        "codes_in_use": len(used) / num_codes,
        "bits_per_code": entropy / float(np.log(2)),
    }
