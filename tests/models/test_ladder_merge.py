"""The precision-weighted merge of the ladder VAE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import DiagGaussian
from vae_jax.errors import InputError
from vae_jax.likelihoods import Bernoulli
from vae_jax.models import Hierarchical, vector_levels
from vae_jax.models.ladder_path import precision_weighted

KEY = jax.random.key(0)
X = jax.random.bernoulli(KEY, 0.4, (4, 6)).astype(jnp.float32)


def ladder(merge):
    return Hierarchical(vector_levels((2, 3), (4, 5)), Bernoulli((6,)), merge=merge)


def test_it_is_the_normalized_product_of_the_densities():
    rng = np.random.default_rng(0)
    q, p = (DiagGaussian(*jnp.float32(rng.normal(size=(2, 1, 1)))) for _ in range(2))
    merged = precision_weighted(q, p)
    z = jnp.linspace(-12, 12, 20_001)[:, None, None]
    product = np.float64(q.log_prob(z) + p.log_prob(z))[:, 0]
    product = np.exp(product - product.max())
    product /= product.sum() * (24 / 20_000)
    np.testing.assert_allclose(np.exp(merged.log_prob(z))[:, 0], product, atol=1e-4)


def test_the_layers_below_the_top_are_merged_with_their_prior():
    model = ladder("precision")
    outputs = model.apply(model.init(KEY, X, KEY), X, KEY)
    posterior, prior = outputs.posterior, outputs.prior
    below = np.s_[..., 2:]
    # A product has a smaller variance than each of its factors.
    assert (posterior.logvar[below] < prior.logvar[below]).all()
    assert np.isfinite(outputs.kl).all()


def test_the_default_has_the_parameters_that_it_had():
    names = {
        merge: set(ladder(merge).init(KEY, X, KEY)["params"]["top_down"]["rungs_1"])
        for merge in ("learned", "precision")
    }
    assert names["learned"] - names["precision"] == {"from_state"}
    assert Hierarchical(vector_levels((2,), (4,)), Bernoulli((6,))).merge == "learned"


def test_an_unknown_merge():
    with pytest.raises(InputError, match=r"merge = 'precisoin': unknown; .*did you mean 'prec"):
        ladder("precisoin").init(KEY, X, KEY)
