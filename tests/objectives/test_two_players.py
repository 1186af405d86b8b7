"""DReG and PIWAE with an encoder that has parameters: each player's gradient, by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, nets, objectives, posteriors, priors
from vae_jax.distributions import DiagGaussian

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
B, E, D, K = 3, 4, 2, 6
KEY = jax.random.key(1)
RNG = np.random.default_rng(3)
X = jnp.float32(RNG.normal(size=(B, E)))
MODEL = VAE(
    encoder=nets.MLP((3,), jnp.tanh),
    decoder=nets.MLP((3,), jnp.tanh),
    posterior=posteriors.DiagGaussianHead(D),
    prior=priors.LearnedDiagonal(D),
    likelihood=likelihoods.Gaussian((E,), 0.8),
)
SHAPES = jax.eval_shape(MODEL.init, KEY, X, KEY)
PARAMS = jax.tree.map(lambda leaf: jnp.float32(0.6 * RNG.normal(size=leaf.shape)), SHAPES)
ENCODER = ("encoder", "posterior")


def gradient_of(objective, key, forward=objectives.two_player_pass, **options):
    loss_fn = objectives.make_loss_fn(MODEL, objective, num_samples=K, forward=forward, **options)
    return jax.grad(lambda params: loss_fn(params, {"x": X}, key, 0)[0])(PARAMS)["params"]


def part(gradient, encoder: bool):
    """The gradients of encoder and posterior, or of all others, as one vector."""
    trees = [tree for name, tree in sorted(gradient.items()) if (name in ENCODER) == encoder]
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(trees)])


def surrogate(weights_of):
    """The encoder's gradient of -sum_k weight_k log w_k(z_k), with the density of q at fixed q.

    With z = mean + exp(logvar / 2) eps and constant q, the score of q is gone: what is left of
    log w is the path through z.
    """

    def loss(params):
        key_z = jax.random.split(KEY)[0]
        q = MODEL.apply(params, X, method="encode")
        z = q.mean[None] + jnp.exp(q.logvar / 2)[None] * jax.random.normal(
            key_z, (K, B, D), jnp.float32
        )
        fixed = DiagGaussian(*(jax.lax.stop_gradient(array) for array in (q.mean, q.logvar)))
        log_pz, log_px_z = MODEL.apply(jax.lax.stop_gradient(params), X, z, method="log_joint")
        log_w = log_px_z + log_pz - fixed.log_prob(z)
        return -(jax.lax.stop_gradient(weights_of(log_w)) * log_w).sum(0).mean()

    return part(jax.grad(loss)(PARAMS)["params"], encoder=True)


@pytest.fixture(scope="module")
def gradients():
    single = functools.partial(gradient_of, forward=objectives.single_pass)
    return jit(
        lambda: {
            "dreg": gradient_of(objectives.dreg, KEY),
            "piwae": gradient_of(objectives.piwae, KEY, groups=3),
            "iwae": single(objectives.iwae, KEY),
            "miwae": single(objectives.miwae, KEY, groups=3),
            "squared": surrogate(lambda log_w: jnp.square(jax.nn.softmax(log_w, 0))),
            "plain": surrogate(lambda log_w: jax.nn.softmax(log_w, 0)),
        }
    )()


def test_dreg_weights_the_path_of_the_encoder_by_squares(gradients) -> None:
    ours = part(gradients["dreg"], encoder=True)
    np.testing.assert_allclose(ours, gradients["squared"], rtol=1e-3, atol=1e-5)
    for other in (gradients["plain"], part(gradients["iwae"], encoder=True)):
        assert np.abs(ours - other).max() > 0.1  # neither STL's gradient nor IWAE's


@pytest.mark.parametrize("name", ["dreg", "piwae"])
def test_decoder_and_prior_have_the_gradient_of_iwae(gradients, name) -> None:
    ours, iwae = (part(gradients[objective], encoder=False) for objective in (name, "iwae"))
    np.testing.assert_allclose(ours, iwae, rtol=1e-3, atol=1e-5)


def test_piwae_gives_the_encoder_the_gradient_of_miwae(gradients) -> None:
    ours, miwae, iwae = (
        part(gradients[objective], encoder=True) for objective in ("piwae", "miwae", "iwae")
    )
    np.testing.assert_allclose(ours, miwae, rtol=1e-3, atol=1e-5)
    assert np.abs(ours - iwae).max() > 0.1


def test_dreg_has_the_mean_of_iwae_and_less_variance() -> None:
    """The identity of Tucker et al.: both gradients of the encoder have one expectation."""
    keys = jax.random.split(jax.random.key(5), 4_000)

    def both(key):
        single = functools.partial(gradient_of, forward=objectives.single_pass)
        pair = gradient_of(objectives.dreg, key), single(objectives.iwae, key)
        return [part(gradient, encoder=True) for gradient in pair]

    dreg, iwae = (
        np.float64(g) for g in jit(lambda keys: jax.lax.map(both, keys, batch_size=500))(keys)
    )
    difference = dreg - iwae
    stderr = difference.std(0, ddof=1) / np.sqrt(len(keys))
    assert np.all(np.abs(difference.mean(0)) <= 4.5 * stderr)
    assert np.all(stderr < 0.1 * np.abs(iwae.mean(0)).max())  # or nothing would be shown
    assert dreg.var(0).sum() < 0.9 * iwae.var(0).sum()
