"""Objectives: `Outputs` -> (loss [], metrics), one pure function per published method."""

from vae_jax.objectives.dip import dip_i, dip_ii
from vae_jax.objectives.elbo import elbo
from vae_jax.objectives.factor import factor, make_factor_loss_fn
from vae_jax.objectives.importance import ciwae, dreg, iwae, miwae, piwae, renyi, stl
from vae_jax.objectives.loss import make_loss_fn
from vae_jax.objectives.mmd import info, wae
from vae_jax.objectives.players import make_two_player_loss_fn
from vae_jax.objectives.reconstruction import reconstruction
from vae_jax.objectives.semi_supervised import make_semi_supervised_loss_fn, semi_supervised
from vae_jax.objectives.tc import beta_tc
from vae_jax.objectives.vq import fit_prior_loss, make_vq_loss_fn, vq, vq_post_update

__all__ = [
    "beta_tc",
    "ciwae",
    "dip_i",
    "dip_ii",
    "dreg",
    "elbo",
    "factor",
    "fit_prior_loss",
    "info",
    "iwae",
    "make_factor_loss_fn",
    "make_loss_fn",
    "make_semi_supervised_loss_fn",
    "make_two_player_loss_fn",
    "make_vq_loss_fn",
    "miwae",
    "piwae",
    "reconstruction",
    "renyi",
    "semi_supervised",
    "stl",
    "vq",
    "vq_post_update",
    "wae",
]
