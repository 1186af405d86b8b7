"""Search in latent space for codes of high, or low, value: a property of what they decode to."""

from vae_jax.evaluation.search.candidates import (
    Candidates,
    Goal,
    concatenate,
    read_candidates,
    summarize,
    write_candidates,
)

__all__ = [
    "Candidates",
    "Goal",
    "concatenate",
    "read_candidates",
    "summarize",
    "write_candidates",
]
