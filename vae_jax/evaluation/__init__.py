"""Evaluation: per-example terms over a whole split, and the numbers made from them."""

from vae_jax.evaluation.terms import Terms, make_evaluator, summarize

__all__ = ["Terms", "make_evaluator", "summarize"]
