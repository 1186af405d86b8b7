"""A linear-Gaussian model, whose marginal likelihood and posterior are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from vae_jax import VAE
from vae_jax.likelihoods import Gaussian
from vae_jax.nets import MLP
from vae_jax.posteriors import DiagGaussianHead
from vae_jax.priors import StandardNormal

D, E, SIGMA = 2, 5, 0.6
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})


def model():
    return VAE(MLP(()), MLP(()), DiagGaussianHead(D), StandardNormal(D), Gaussian((E,), SIGMA))


def parameters(seed=0, *, good=True):
    """p(x | z) = N(W z + b, SIGMA^2); q: diagonal of the posterior if `good`, else poor."""
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(D, E)), rng.normal(size=E)
    precision = np.eye(D) + w @ w.T / SIGMA**2
    kernel, logvar = (w.T @ np.linalg.inv(precision)) / SIGMA**2, -np.log(np.diag(precision))
    if not good:
        kernel, logvar = 0 * kernel + 0.02, 0 * logvar
    q = {
        "mean": {"kernel": kernel, "bias": -b @ kernel},
        "logvar": {"kernel": np.zeros((E, D)), "bias": logvar},
    }
    tree = {"posterior": q, "likelihood": {"EventLayer_0": {"out": {"kernel": w, "bias": b}}}}
    return {"params": jax.tree.map(jnp.float32, tree)}, (w, b)


def examples(num, seed=1, *, w, b):
    rng = np.random.default_rng(seed)
    return np.float32(rng.normal(size=(num, D)) @ w + b + SIGMA * rng.normal(size=(num, E)))


def log_px(x, *, w, b):
    return stats.multivariate_normal(b, w.T @ w + SIGMA**2 * np.eye(E)).logpdf(np.float64(x))
