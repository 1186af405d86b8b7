"""Objectives: `Outputs` -> (loss [], metrics), one pure function per published method.

>>> import jax, jax.numpy as jnp
>>> from vae_jax import VAE, likelihoods, nets, objectives, posteriors, priors
>>> model = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
...             priors.StandardNormal(2), likelihoods.Gaussian((3,)))
>>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
>>> outputs = model.apply(model.init(key, x, key), x, key, num_samples=5)
>>> loss, metrics = objectives.iwae(outputs)
>>> sorted(metrics)
['bound', 'distortion', 'elbo', 'loss', 'rate']
"""

from vae_jax.objectives.dip import dip_i, dip_ii, paper_diagonal_weight
from vae_jax.objectives.elbo import elbo
from vae_jax.objectives.factor import critic_pass, factor
from vae_jax.objectives.importance import ciwae, dreg, iwae, miwae, piwae, renyi, stl
from vae_jax.objectives.loss import make_loss_fn, single_pass, switch_losses
from vae_jax.objectives.mmd import info, wae
from vae_jax.objectives.players import two_player_pass
from vae_jax.objectives.property import property_elbo, property_pass
from vae_jax.objectives.reconstruction import reconstruction
from vae_jax.objectives.semi_supervised import all_classes_pass, semi_supervised
from vae_jax.objectives.tc import beta_tc
from vae_jax.objectives.vq import fit_prior_loss, prior_pass, vq, vq_post_update

__all__ = [
    "all_classes_pass",
    "beta_tc",
    "ciwae",
    "critic_pass",
    "dip_i",
    "dip_ii",
    "dreg",
    "elbo",
    "factor",
    "fit_prior_loss",
    "info",
    "iwae",
    "make_loss_fn",
    "miwae",
    "paper_diagonal_weight",
    "piwae",
    "prior_pass",
    "property_elbo",
    "property_pass",
    "reconstruction",
    "renyi",
    "semi_supervised",
    "single_pass",
    "stl",
    "switch_losses",
    "two_player_pass",
    "vq",
    "vq_post_update",
    "wae",
]
