"""Models of sequences: masks of the length, the past of the decoder, the control."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, corruptions, elbo, likelihoods, make_loss_fn, nets, posteriors, priors

NUM_TOKENS = 6
X = jnp.array([[2.0, 3, 4, 1, 0, 0], [5, 1, 0, 0, 0, 0], [2, 2, 2, 2, 2, 1]])
KEY = jax.random.key(0)


def likelihood(length=6):
    return likelihoods.Tokens((length,), nets.CausalGRU(NUM_TOKENS, features=8, embedding=4))


@pytest.fixture(scope="module")
def model():
    encoder = nets.SequenceEncoder(NUM_TOKENS, features=8, embedding=4)
    return VAE(
        encoder,
        nets.MLP(()),
        posteriors.DiagGaussianHead(3),
        priors.StandardNormal(3),
        likelihood(),
    )


@pytest.fixture(scope="module")
def params(model):
    return jax.tree.map(lambda leaf: 1.5 * leaf, model.init(KEY, X, KEY))


def test_the_length_is_the_mask_of_observed_values(model, params):
    whole = model.apply(params, X, KEY, num_samples=2)
    masked = model.apply(params, X, KEY, num_samples=2, observed=X > 0)
    np.testing.assert_array_equal(masked.log_px_z, whole.log_px_z)
    assert masked.log_px_z.shape == (2, 3)


def test_more_padding_changes_nothing(model, params):
    longer = model.clone(likelihood=likelihood(9))
    x = jnp.pad(X, ((0, 0), (0, 3)))
    ours, theirs = (m.apply(params, v, KEY) for m, v in ((model, X), (longer, x)))
    np.testing.assert_allclose(theirs.log_px_z, ours.log_px_z, rtol=1e-5)
    np.testing.assert_allclose(theirs.kl, ours.kl, rtol=1e-5)


def test_an_unobserved_end_is_integrated_out(model, params):
    observed = jnp.arange(6) < 2
    observed = jnp.broadcast_to(observed, X.shape)
    garbage = jnp.where(observed, X, 3.0)
    z = jax.random.normal(KEY, (1, 3, 3))
    ours = model.apply(params, garbage, z, observed=observed, method="log_joint")[1]
    p = model.apply(params, z, method="decode")
    expected = p.log_prob_terms(X)[..., :2].sum(-1)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_dropped_past_changes_the_loss_and_not_the_bound(model, params):
    batch = {"x": X, "observed": X > 0}
    losses = {
        rate: make_loss_fn(
            model,
            elbo,
            history_corruption=None if rate is None else corruptions.token_dropout(rate),
        )(params, batch, KEY, 0)[0]
        for rate in (None, 0.0, 1.0)
    }
    np.testing.assert_array_equal(losses[0.0], losses[None])
    key_z, _ = jax.random.split(KEY)
    outputs = model.apply(params, X, key_z, history=jnp.zeros_like(X), observed=X > 0)
    np.testing.assert_allclose(losses[1.0], -(outputs.log_px_z[0] - outputs.kl).mean(), rtol=1e-5)
    assert abs(losses[1.0] - losses[None]) > 1e-3


def test_the_control_has_no_rate_and_an_exact_bound():
    control = VAE(
        nets.Constant(),
        nets.Constant(),
        posteriors.StandardNormalHead(1),
        priors.StandardNormal(1),
        likelihood(),
    )
    params = control.init(KEY, X, KEY)
    outputs = control.apply(params, X, KEY, num_samples=4)
    np.testing.assert_array_equal(outputs.kl, 0)
    np.testing.assert_array_equal(outputs.log_qz_x, outputs.log_pz)
    np.testing.assert_array_equal(outputs.log_px_z, outputs.log_px_z[:1].repeat(4, 0))


def test_events_that_are_not_sequences_are_refused():
    head = likelihoods.Tokens((2, 3), nets.CausalGRU(NUM_TOKENS, features=8))
    with pytest.raises(ValueError, match=r"event_shape = \(2, 3\): must be sequences"):
        head.init(KEY, jnp.zeros((4, 3)))
