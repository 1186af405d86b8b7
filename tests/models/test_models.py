"""Every network, posterior and likelihood: shapes, finite terms, gradients."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import likelihoods
from vae_jax.config import Config
from vae_jax.experiment.builders import build_model
from vae_jax.models import VAE
from vae_jax.nets import MLP, ConvDecoder, ConvEncoder
from vae_jax.nets.conv import halve_resolution
from vae_jax.objectives import elbo, reconstruction
from vae_jax.posteriors import DeterministicHead, DiagGaussianHead, softplus_logvar
from vae_jax.priors import StandardNormal

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile

K, B, D = 2, 3, 2
EVENTS = [(7,), (5, 7, 1), (13, 13, 3), (28, 28, 1), (8, 8, 1)]
NETWORKS = {
    "linear": lambda event: (MLP(()), MLP(())),
    "mlp": lambda event: (MLP((16,)), MLP((16,))),
    "conv": lambda event: (ConvEncoder((4, 6), (8,)), ConvDecoder(event, (6, 4), (8,))),
}
POSTERIORS = {
    "bounded": lambda: DiagGaussianHead(D),
    "softplus": lambda: DiagGaussianHead(D, softplus_logvar),
    "deterministic": lambda: DeterministicHead(D),
}
LIKELIHOODS = {
    "bernoulli": likelihoods.Bernoulli,
    "fixed": likelihoods.Gaussian,
    "scalar": likelihoods.LearnedGaussian,
    "channel": lambda event: likelihoods.LearnedGaussian(event, event[-1:]),
    "pixel": lambda event: likelihoods.LearnedGaussian(event, event),
    "predicted": likelihoods.PredictedGaussian,
    "optimal": likelihoods.OptimalGaussian,
}
PLACES = [
    (network, event)
    for network in NETWORKS
    for event in EVENTS
    if network != "conv" or len(event) == 3
]
# All pairs but those of event and likelihood; the likelihoods take turns.
TABLE = [
    (network, event, posterior, list(LIKELIHOODS)[(3 * i + j) % 7])
    for i, (network, event) in enumerate(PLACES)
    for j, posterior in enumerate(POSTERIORS)
]


def make(network, event, posterior="bounded", likelihood="bernoulli"):
    encoder, decoder = NETWORKS[network](event)
    return VAE(
        encoder, decoder, POSTERIORS[posterior](), StandardNormal(D), LIKELIHOODS[likelihood](event)
    )


def binary(event, seed=0):
    return np.float32(np.random.default_rng(seed).random((B, *event)) < 0.5)


def leaves(tree):
    return {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def random_params(model, x):
    """Parameters of the model's shapes from numpy: no time to compile, and no bias is zero."""
    rng = np.random.default_rng(2)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: np.float32(rng.normal(size=leaf.shape) / np.sqrt(max(leaf.size, 4)) * 2),
        shapes,
    )


def test_the_table_holds_the_pairs_it_should():
    likelihood_of = {
        (network, posterior, likelihood) for network, _, posterior, likelihood in TABLE
    }
    assert {(p, likelihood) for _, p, likelihood in likelihood_of} == set(
        itertools.product(POSTERIORS, LIKELIHOODS)
    )
    assert {(n, likelihood) for n, _, likelihood in likelihood_of} == set(
        itertools.product(NETWORKS, LIKELIHOODS)
    )


@pytest.mark.parametrize(
    ("network", "event", "posterior", "likelihood"),
    TABLE,
    ids=lambda part: str(part).replace(" ", ""),
)
def test_a_model(network, event, posterior, likelihood):
    model, x, point = (
        make(network, event, posterior, likelihood),
        binary(event),
        posterior == "deterministic",
    )
    params, key = random_params(model, x), jax.random.key(0)

    def loss(params):
        outputs = model.apply(params, x, key, num_samples=K)
        return (reconstruction if point else elbo)(outputs)[0], outputs

    gradient, outputs = jit(jax.grad(loss, has_aux=True))(params)

    terms = {
        "log_px_z": outputs.log_px_z,
        "log_pz": outputs.log_pz,
        "log_qz_x": outputs.log_qz_x,
        "kl": outputs.kl,
    }
    assert {name: term.shape for name, term in terms.items()} == {
        name: (K, B) for name in terms
    } | {"kl": (B,)}
    assert outputs.z.shape == (K, B, D)
    assert outputs.posterior.mean.shape == (B, D)
    infinite = {"log_qz_x", "kl"} if point else set()
    for name, term in terms.items():
        assert np.all(np.isposinf(term) if name in infinite else np.isfinite(term)), name

    gradient = leaves(gradient)
    assert gradient.keys() == leaves(params).keys()
    for name, leaf in gradient.items():
        assert np.all(np.isfinite(leaf)), name
        assert np.any(leaf != 0), name

    decode = functools.partial(model.apply, params, method="decode")
    for lead in ((), (4,), (2, 1, 3)):
        means = jax.eval_shape(lambda z: decode(z).mean, jnp.zeros((*lead, D)))
        assert means.shape == (*lead, *event)


@pytest.mark.parametrize("network", NETWORKS)
def test_codes_with_leading_axes_are_decoded_one_by_one(network):
    event = (5, 7, 1)
    model, z = (
        make(network, event),
        np.random.default_rng(1).normal(size=(2, 1, 3, D)).astype(np.float32),
    )
    decode = jit(functools.partial(model.apply, method="decode"))
    params = random_params(model, binary(event))
    means = decode(params, z).mean
    for place in np.ndindex(2, 1, 3):
        np.testing.assert_allclose(
            means[place], decode(params, z[place]).mean, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    ("network", "event", "posterior", "likelihood"),
    [
        ("linear", (7,), "deterministic", "fixed"),
        ("mlp", (5, 7, 1), "softplus", "channel"),
        ("conv", (5, 7, 1), "bounded", "predicted"),
    ],
)
def test_jit_changes_nothing(network, event, posterior, likelihood):
    model, x, key = make(network, event, posterior, likelihood), binary(event), jax.random.key(0)
    params = random_params(model, x)
    compiled = jax.jit(model.apply, static_argnames="num_samples")(params, x, key, num_samples=K)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        compiled,
        model.apply(params, x, key, num_samples=K),
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_examples_do_not_see_each_other(network):
    model, key = make(network, (8, 8, 1)), jax.random.key(0)
    x, other = binary((8, 8, 1)), binary((8, 8, 1), seed=1)
    other[1] = x[1]
    params = random_params(model, x)
    apply = jit(model.apply)
    a, b = apply(params, x, key), apply(params, other, key)
    same = np.abs(a.log_px_z - b.log_px_z) < 1e-4
    np.testing.assert_array_equal(same, [[False, True, False]])


def test_the_encoder_takes_inputs_in_the_place_of_x():
    model, key = make("mlp", (7,)), jax.random.key(0)
    x, inputs = binary((7,)), binary((7,), seed=1)
    params = random_params(model, x)

    @jit
    def terms(params):
        outputs = model.apply(params, x, key, inputs=inputs)
        q = model.apply(params, inputs, method="encode")
        return outputs, q, model.apply(params, outputs.z, method="decode").log_prob(x)

    outputs, q, log_px_z = terms(params)
    np.testing.assert_allclose(outputs.posterior.mean, q.mean, rtol=1e-5)
    np.testing.assert_allclose(outputs.log_px_z, log_px_z, rtol=1e-5)


def test_generate_decodes_draws_of_the_prior():
    """With no layers the decoder is affine: the means of its logits over draws of z are known."""
    model, key = make("linear", (7,), likelihood="fixed"), jax.random.key(0)
    params = random_params(model, binary((7,)))
    num_samples = 20_000
    means = jit(lambda key: model.apply(params, key, num_samples, method="generate").mean)(key)
    assert means.shape == (num_samples, 7)
    out = params["params"]["likelihood"]["EventLayer_0"]["out"]
    kernel = np.float64(out["kernel"])
    covariance = kernel.T @ kernel
    scale = np.sqrt(np.diag(covariance))
    assert np.all(
        np.abs(np.mean(np.float64(means), 0) - out["bias"]) <= 4 * scale / np.sqrt(num_samples)
    )
    error = np.cov(np.float64(means).T) - covariance
    stderr = np.sqrt((np.outer(scale, scale) ** 2 + covariance**2) / num_samples)
    assert np.all(np.abs(error) <= 4 * stderr)


# The networks by name


def shapes_of(model, event):
    """Path to shape, without making an array."""
    params = jax.eval_shape(
        model.init, jax.random.key(0), jnp.zeros((1, *event)), jax.random.key(0)
    )["params"]
    return {
        "/".join(str(part.key) for part in path): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }


def kernels(shapes, part):
    return [
        shape for path, shape in shapes.items() if path.startswith(part) and path.endswith("kernel")
    ]


def burgess(channels, latent_dim=10, likelihood="bernoulli"):
    config = Config()
    config.model.network, config.model.latent_dim, config.model.likelihood = (
        "burgess",
        latent_dim,
        likelihood,
    )
    return shapes_of(build_model(config, (64, 64, channels)), (64, 64, channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_burgess_networks_have_the_published_layers(channels):
    shapes = burgess(channels)
    convs = [(4, 4, channels, 32), (4, 4, 32, 32), (4, 4, 32, 64), (4, 4, 64, 64)]
    assert sorted(kernels(shapes, "encoder")) == sorted([*convs, (4 * 4 * 64, 256)])
    assert kernels(shapes, "posterior") == [(256, 10), (256, 10)]
    deconvs = [(4, 4, 64, 64), (4, 4, 64, 32), (4, 4, 32, 32)]
    assert sorted(kernels(shapes, "decoder")) == sorted([(10, 256), (256, 1024), *deconvs])
    assert kernels(shapes, "likelihood") == [(4, 4, 32, channels)]
    for path, shape in shapes.items():
        if path.endswith("bias"):
            assert shape == shapes[path.removesuffix("bias") + "kernel"][-1:]


@pytest.mark.parametrize(("channels", "latent_dim"), [(1, 10), (3, 10), (1, 32)])
def test_burgess_networks_have_the_number_of_parameters_counted_by_hand(channels, latent_dim):
    encoder = (16 * channels * 32 + 32) + 16_416 + 32_832 + 65_600 + 262_400
    posterior = 2 * 257 * latent_dim
    decoder = (256 * latent_dim + 256) + 263_168 + 65_600 + 32_800 + 16_416
    likelihood = 513 * channels
    count = sum(int(np.prod(shape)) for shape in burgess(channels, latent_dim).values())
    assert count == encoder + posterior + decoder + likelihood
    if (channels, latent_dim) == (1, 10):
        assert count == 764_245


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((64, 64), [(32, 32), (16, 16), (8, 8), (4, 4)]),
        ((28, 28), [(14, 14), (7, 7), (4, 4), (2, 2)]),
        ((13, 20), [(7, 10), (4, 5), (2, 3), (1, 2)]),
        ((3, 1), [(2, 1), (1, 1), (1, 1), (1, 1)]),
    ],
)
def test_sizes_of_odd_images(size, sizes):
    assert [halve_resolution(size, times) for times in range(5)] == [size, *sizes]
    channels = (2, 3, 4, 5)
    for depth in range(1, 5):
        decoder = ConvDecoder((*size, 3), channels[:depth], ())
        h, variables = jax.eval_shape(
            decoder.init_with_output, jax.random.key(0), jnp.zeros((6, D))
        )
        assert h.shape == (6, *sizes[0], channels[depth - 1])
        rows, columns = sizes[depth - 1]
        assert variables["params"]["Dense_0"]["kernel"].shape == (D, rows * columns * 2)
        encoder = ConvEncoder(channels[:depth], (9,))
        h, variables = jax.eval_shape(
            encoder.init_with_output, jax.random.key(0), jnp.zeros((6, *size, 3))
        )
        assert h.shape == (6, 9)
        assert variables["params"]["Dense_0"]["kernel"].shape == (
            rows * columns * channels[depth - 1],
            9,
        )


# From features to events


def out_kernel(h_shape, event, num_params=1):
    layer = likelihoods.EventLayer(event, num_params)
    out, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), jnp.zeros(h_shape))
    assert out.shape == (h_shape[0], *event, num_params)
    return variables["params"]["out"]["kernel"].shape


@pytest.mark.parametrize(
    ("h_shape", "event", "kernel"),
    [
        ((6, 5), (7,), (5, 7)),
        ((6, 5), (5, 7, 1), (5, 35)),
        ((6, 5, 7, 4), (5, 7, 3), (1, 1, 4, 3)),  # at the size of the image
        ((6, 3, 4, 4), (5, 7, 3), (4, 4, 4, 3)),  # at half of it
        ((6, 3, 4, 4), (84,), (48, 84)),
    ],
)
@pytest.mark.parametrize("num_params", [1, 2])
def test_the_event_layer_goes_by_the_size_of_the_map(h_shape, event, kernel, num_params):
    assert out_kernel(h_shape, event, num_params) == (*kernel[:-1], kernel[-1] * num_params)


def test_a_map_of_another_size_is_refused():
    with pytest.raises(
        ValueError, match=r"features of size \(2, 3\): must be \(5, 7\) or half of it"
    ):
        out_kernel((6, 2, 3, 4), (5, 7, 3), 1)


def test_a_map_at_the_size_of_the_image_keeps_pixels_and_parameters_apart():
    layer = likelihoods.EventLayer((5, 7, 3), 2)
    h = np.random.default_rng(0).normal(size=(6, 5, 7, 4)).astype(np.float32)
    out, variables = jit(functools.partial(layer.init_with_output, lead=(2, 3)))(
        jax.random.key(0), h
    )
    kernel = variables["params"]["out"]["kernel"][0, 0].reshape(4, 3, 2)
    exact = np.einsum("nijh,hcp->nijcp", h, kernel).reshape(2, 3, 5, 7, 3, 2)
    np.testing.assert_allclose(out, exact, rtol=1e-4, atol=1e-5)


def test_leading_axes_that_do_not_hold_the_features_are_refused():
    layer = likelihoods.EventLayer((7,))
    with pytest.raises(AssertionError):
        jax.eval_shape(
            functools.partial(layer.init, lead=(2, 2)), jax.random.key(0), jnp.zeros((6, 5))
        )


def test_networks_refuse_what_is_not_an_image():
    with pytest.raises(AssertionError):
        jax.eval_shape(ConvEncoder((4,), (8,)).init, jax.random.key(0), jnp.zeros((2, 7)))
    with pytest.raises(AssertionError):
        jax.eval_shape(
            ConvDecoder((8, 8, 1), (4,), (8,)).init, jax.random.key(0), jnp.zeros((2, 3, D))
        )
