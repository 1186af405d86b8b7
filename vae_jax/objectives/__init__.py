"""Objectives: `Outputs` -> (loss [], metrics), one pure function per published method."""

from vae_jax.objectives.elbo import elbo
from vae_jax.objectives.loss import make_loss_fn
from vae_jax.objectives.reconstruction import reconstruction

__all__ = ["elbo", "make_loss_fn", "reconstruction"]
