"""Every objective and part, built from values that are no defaults, is the one called by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vae_jax import corruptions, likelihoods, nets, objectives, posteriors, priors
from vae_jax.config import Config
from vae_jax.config.metadata import leaf_fields
from vae_jax.config.objective import ObjectiveConfig
from vae_jax.experiment import builders
from vae_jax.experiment.builders import parts
from vae_jax.experiment.builders.loss import OBJECTIVES
from vae_jax.experiment.builders.model import CODE_PRIORS, QUANTIZERS
from vae_jax.posteriors.quantizers import FiniteScalarQuantizer, VectorQuantizer

EVENT, B, K, NUM_EXAMPLES = (5,), 6, 4, 37
STEPS = (0, 7, 20, 999)
KEY = jax.random.key(3)
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
HIERARCHY = {"model.kind": "hierarchical", "hierarchy.latents": (2, 3), "hierarchy.widths": (4, 5)}
STACKED = {
    "model.kind": "hierarchical",
    "model.network": "mlp",
    "model.hidden": (7, 6),
    "model.gated": True,
    "model.activation": "tanh",
    "model.posterior_scale": "softplus",
    "model.prior": "mixture",
    "model.prior_components": 4,
    "hierarchy.networks": "separate",
    "hierarchy.latents": (2, 3),
}
VQ = {"model.kind": "vq", "codes.num_codes": 5, "codes.code_dim": 3, "codes.grid": (2,)}
TOKENS = {
    "model.likelihood": "tokens",
    "model.network": "gru",
    "model.num_tokens": 6,
    "model.token_features": 3,
    "model.encoder_width": 4,
    "model.decoder_width": 4,
}
M2 = {"model.conditioning": "label", "model.num_classes": 3}


def config_with(fields) -> Config:
    config = Config()
    config.model.hidden, config.model.latent_dim = (6,), 3
    config.objective.num_samples, config.train.batch_size = K, B
    for path, value in fields.items():
        group, name = path.split(".")
        assert hasattr(getattr(config, group), name)
        setattr(getattr(config, group), name, value)
    return config


def batch_of(config) -> dict:
    rng = np.random.default_rng(0)
    y = jnp.asarray([0, 2, -1, 1, -1, -1])
    if config.model.likelihood == "tokens":  # ids without an end, of any prefix
        return {"x": jnp.float32(rng.integers(2, 6, (B, *EVENT))), "y": y}
    return {"x": jnp.float32(rng.random((B, *EVENT)) < 0.5), "y": y}


def parameters(model, batch):
    """No parameter is zero, and all are small enough that no term saturates."""
    rng = np.random.default_rng(1)
    y = {"y": abs(batch["y"])} if model.conditioning is not None else {}
    shapes = jax.eval_shape(lambda: model.init(KEY, batch["x"], KEY, **y))

    def draw(path, leaf):
        if "counts" in jax.tree_util.keystr(path):
            return jnp.full(leaf.shape, 1 / leaf.size)
        return jnp.float32(0.5 * rng.normal(size=leaf.shape))

    return jax.tree_util.tree_map_with_path(draw, shapes)


def one_pass(model, params, batch, key, corruption=None, dropout=None):
    """The keys of a pass, for z and the corruptions, by hand."""
    key_z, key_corruption = jax.random.split(key)
    inputs = None if corruption is None else corruption(key_corruption, batch["x"])
    options = {"observed": batch["observed"]} if "observed" in batch else {}
    if dropout is not None:
        options["history"] = dropout(jax.random.split(key, 4)[3], batch["x"])
    return model.apply(params, batch["x"], key_z, num_samples=K, inputs=inputs, **options)


def pure(objective, needs_key=False, corruption=None, dropout=None, **hyper_parameters):
    """The objective at the outputs of one pass; a hyper-parameter may be a function of the step."""

    def loss(model, params, batch, key, step):
        outputs = one_pass(model, params, batch, key, corruption, dropout)
        values = {name: v(step) if callable(v) else v for name, v in hyper_parameters.items()}
        if needs_key:
            values["key"] = jax.random.split(key, 3)[2]
        return objective(outputs, **values)[0]

    return loss


def two_players(objective, **hyper_parameters):
    """Encoder and posterior learn from the first outputs, decoder and prior from the second."""

    def loss(model, params, batch, key, step):
        def frozen(*names):
            modules = params["params"]
            return {
                "params": {
                    name: jax.lax.stop_gradient(tree) if name in names else tree
                    for name, tree in modules.items()
                }
            }

        inference = one_pass(model, frozen("decoder", "likelihood", "prior"), batch, key)
        generative = one_pass(model, frozen("encoder", "posterior"), batch, key)
        return objective(inference, generative, **hyper_parameters)[0]

    return loss


def factor(model, params, batch, key, step):
    outputs = one_pass(model, params, batch, key)
    frozen = jax.lax.stop_gradient(params)
    return objectives.factor(
        outputs,
        critic=lambda z: model.apply(params, z, method="criticize"),
        frozen_critic=lambda z: model.apply(frozen, z, method="criticize"),
        key=jax.random.split(key, 3)[2],
        tc_weight=3.0,
    )[0]


def semi_supervised(model, params, batch, key, step):
    x = jnp.concatenate([batch["x"]] * 3)
    y = jnp.asarray([0] * B + [1] * B + [2] * B)
    key_z = jax.random.split(key)[0]
    outputs = model.apply(params, x, key_z, y=y, num_samples=K)
    logits = model.apply(params, batch["x"], method="classify")
    return objectives.semi_supervised(outputs, logits=logits, y=batch["y"], alpha=7.0)[0]


def property_elbo(model, params, batch, key, step):
    outputs = one_pass(model, params, batch, key)
    predicted = model.apply(params, outputs.z.reshape(K * B, -1), method="predict_property")
    options = {"property_weight": 7.0, "beta": 0.3, "y": batch["y"]}
    return objectives.property_elbo(outputs, predicted=predicted.reshape(K, B), **options)[0]


def ramp(start, end, num_steps):
    return lambda step: start + (end - start) * jnp.minimum(step / num_steps, 1)


def s_curve(start, end, num_steps):
    def at(step):
        low, high = (1 / (1 + math.exp(-x)) for x in (-6, 6))
        now = 1 / (1 + jnp.exp(-12 * (jnp.minimum(step / num_steps, 1) - 0.5)))
        return start + (end - start) * (now - low) / (high - low)

    return at


def cycles(start, end, num_steps, num_cycles):
    def at(step):
        position = step * num_cycles % num_steps / num_steps
        return jnp.where(
            step < num_steps, start + (end - start) * jnp.minimum(2 * position, 1), end
        )

    return at


def beta(schedule, **more):
    return {
        "objective.beta": 3.0,
        "objective.beta_start": 0.5,
        "objective.beta_steps": 21,
        "objective.beta_schedule": schedule,
        **{f"objective.{name}": value for name, value in more.items()},
    }


def named(name, **fields):
    return {"objective.name": name, **{f"objective.{k}": v for k, v in fields.items()}}


DIP = {"off_diagonal_weight": 3.0, "diagonal_weight": 7.0}
TC = {"mi_weight": 2.0, "tc_weight": 3.0, "dim_weight": 0.25}
MMD = {"mmd_weight": 20.0, "kernel": "rbf"}
BY_HAND = {"mmd_weight": 20.0, "kernel": "rbf", "scales": SCALES, "needs_key": True}
elbo = objectives.elbo
CASES = {  # fields of the config, the loss by hand
    "elbo": (beta("constant"), pure(elbo, beta=3.0)),
    "elbo linear": (beta("linear"), pure(elbo, beta=ramp(0.5, 3.0, 21))),
    "elbo sigmoid": (beta("sigmoid"), pure(elbo, beta=s_curve(0.5, 3.0, 21))),
    "elbo cyclical": (
        beta("cyclical", beta_cycles=3),
        pure(elbo, beta=cycles(0.5, 3.0, 21, 3)),
    ),
    "elbo free bits": (named("elbo", free_bits=0.7), pure(elbo, free_bits=0.7)),
    "elbo capacity": (
        beta("constant", capacity=2.0, capacity_steps=30),
        pure(elbo, beta=3.0, capacity=ramp(0.0, 2.0, 30)),
    ),
    "elbo layer free bits": (
        HIERARCHY | named("elbo", layer_free_bits=0.9),
        pure(elbo, layer_free_bits=0.9),
    ),
    "elbo balanced": (
        HIERARCHY | named("elbo", kl_balancing=0.8),
        pure(elbo, kl_balancing=0.8),
    ),
    "elbo balanced in warm-up": (
        HIERARCHY | beta("linear", kl_balancing=0.8),
        pure(elbo, beta=ramp(0.5, 3.0, 21), kl_balancing=ramp(0.8, 0.0, 21)),
    ),
    "elbo gaussian noise": (
        named("elbo", corruption="gaussian", corruption_level=0.7),
        pure(elbo, corruption=corruptions.gaussian_noise(0.7)),
    ),
    "elbo masking": (
        named("elbo", corruption="masking", corruption_level=0.3),
        pure(elbo, corruption=corruptions.masking(0.3)),
    ),
    "elbo salt and pepper": (
        named("elbo", corruption="salt_and_pepper", corruption_level=0.3),
        pure(elbo, corruption=corruptions.salt_and_pepper(0.3)),
    ),
    "elbo token dropout": (
        TOKENS | named("elbo", token_dropout=0.6),
        pure(elbo, dropout=corruptions.token_dropout(0.6)),
    ),
    "reconstruction": (named("reconstruction"), pure(objectives.reconstruction)),
    "iwae": (named("iwae"), pure(objectives.iwae)),
    "stl": (named("stl"), pure(objectives.stl)),
    "dreg": (named("dreg"), two_players(objectives.dreg)),
    "miwae": (named("miwae", num_groups=2), pure(objectives.miwae, groups=2)),
    "piwae": (named("piwae", num_groups=2), two_players(objectives.piwae, groups=2)),
    "ciwae": (named("ciwae", ciwae_weight=0.2), pure(objectives.ciwae, elbo_weight=0.2)),
    "renyi": (named("renyi", renyi_alpha=0.3), pure(objectives.renyi, alpha=0.3)),
    "beta_tc": (
        named("beta_tc", **TC),
        pure(objectives.beta_tc, num_examples=NUM_EXAMPLES, stratified=True, **TC),
    ),
    "beta_tc by weights": (
        named("beta_tc", **TC, stratified=False),
        pure(objectives.beta_tc, num_examples=NUM_EXAMPLES, stratified=False, **TC),
    ),
    "factor": (named("factor", tc_weight=3.0, critic_hidden=(4,)), factor),
    "dip 1": (named("dip", dip_kind=1, **DIP), pure(objectives.dip_i, **DIP)),
    "dip 2": (named("dip", dip_kind=2, **DIP), pure(objectives.dip_ii, **DIP)),
    "info": (
        named("info", info_alpha=0.3, **MMD),
        pure(objectives.info, info_alpha=0.3, **BY_HAND),
    ),
    "wae": (named("wae", **MMD), pure(objectives.wae, **BY_HAND)),
    "wae imq": (
        named("wae", mmd_weight=20.0, kernel="imq"),
        pure(objectives.wae, mmd_weight=20.0, kernel="imq", scales=SCALES, needs_key=True),
    ),
    "m2": (M2 | named("m2", classifier_weight=7.0), semi_supervised),
    "property": (
        named("property", property_weight=7.0, beta=0.3, regressor_hidden=(4,)),
        property_elbo,
    ),
    "vq": (VQ | named("vq", commitment=0.7), pure(objectives.vq, needs_key=True, commitment=0.7)),
    "vq by gradient": (
        VQ | {"codes.ema": False} | named("vq", commitment=0.7, codebook_weight=0.6),
        pure(objectives.vq, needs_key=True, commitment=0.7, codebook_weight=0.6),
    ),
    "vq rounded": (
        VQ | {"codes.quantizer": "fsq", "codes.levels": (3, 4)} | named("vq"),
        pure(objectives.vq, needs_key=True),
    ),
}


GRADIENTS = ("dreg", "piwae", "stl", "factor", "m2", "vq by gradient")  # of several players
jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile


@pytest.mark.parametrize("case", CASES)
def test_an_objective_is_the_pure_function_by_hand(case) -> None:
    """Its loss at several steps and, with several players, the gradient of every parameter."""
    fields, by_hand = CASES[case]
    config = config_with(fields)
    model, batch = builders.build_model(config, EVENT), batch_of(config)
    params = parameters(model, batch)
    built = builders.build_loss(config, model, NUM_EXAMPLES)

    def both(params, step):
        ours, hand = built(params, batch, KEY, step)[0], by_hand(model, params, batch, KEY, step)
        return ours, hand

    def graded(params, step):
        return [
            jax.value_and_grad(lambda params, i=i: both(params, step)[i])(params) for i in (0, 1)
        ]

    if case in GRADIENTS:
        (ours, our_gradient), (hand, hand_gradient) = jit(graded)(params, jnp.int32(7))
        largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(hand_gradient))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * largest),
            our_gradient,
            hand_gradient,
        )
    else:
        compiled = jit(both)
        ours, hand = np.transpose([compiled(params, jnp.int32(step)) for step in STEPS])
    np.testing.assert_allclose(ours, hand, rtol=1e-5)
    if any(name in case for name in ("linear", "sigmoid", "cyclical", "capacity", "warm-up")):
        assert np.ptp(ours) > 0.01


FAST = ("dreg", "m2", "vq")


@pytest.mark.parametrize(
    "case", [case if case in FAST else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_only_observed_values_count(case) -> None:
    """A mask of ones is no mask: the loss bit for bit, its gradient up to how XLA fuses it.

    What stands at missing entries changes nothing.
    """
    config = config_with(CASES[case][0])
    model, batch = builders.build_model(config, EVENT), batch_of(config)
    params = parameters(model, batch)
    loss_fn = builders.build_loss(config, model, NUM_EXAMPLES)
    observed = np.random.default_rng(4).random((B, *EVENT)) < 0.6
    if "tokens" in CASES[case][0].values():
        observed = np.arange(5) < [[n] for n in (5, 1, 2, 3, 4, 3)]  # prefixes

    @jit
    def loss(params, batch):
        return jax.value_and_grad(lambda params: loss_fn(params, batch, KEY, 7)[0])(params)

    def with_mask(mask, fill=0.0):
        x = jnp.where(mask, batch["x"], fill)
        return loss(params, batch | {"x": x, "observed": jnp.asarray(mask)})

    complete, ones = loss(params, batch), with_mask(np.ones_like(observed))
    assert ones[0] == complete[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-7), ones[1], complete[1])
    masked = with_mask(observed)
    for fill in (1e9, np.nan):
        jax.tree.map(np.testing.assert_array_equal, masked, with_mask(observed, fill))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(masked))
    assert masked[0] != complete[0]


def test_every_objective_and_field_is_tried() -> None:
    names = {fields.get("objective.name", "elbo") for fields, _ in CASES.values()}
    assert names == set(OBJECTIVES)
    tried = {path for fields, _ in CASES.values() for path in fields}
    fields = {f"objective.{name}" for name, _ in leaf_fields(ObjectiveConfig)}
    assert fields - tried == {"objective.num_samples"}  # config_with sets it for all
    default = Config()
    for path in fields & tried:
        values = {fields[path] for fields, _ in CASES.values() if path in fields}
        assert values - {getattr(default.objective, path.split(".")[1])}, path


def test_the_prior_of_codes_is_fitted_from_its_step_on() -> None:
    config = config_with(
        {
            **VQ,
            "codes.prior": "pixelcnn",
            "codes.grid": (2, 1),
            "codes.prior_features": 4,
            "codes.prior_layers": 1,
            "codes.prior_steps": 30,
            "train.num_steps": 40,
            "objective.name": "vq",
        }
    )
    model, batch = builders.build_model(config, EVENT), batch_of(config)
    params = parameters(model, batch)
    loss_fn = builders.build_loss(config, model, NUM_EXAMPLES)

    @jit
    def losses(params):
        outputs = one_pass(model, params, batch, KEY)
        ours = [loss_fn(params, batch, KEY, jnp.int32(step))[0] for step in (9, 10)]
        return ours, [objectives.vq(outputs)[0], objectives.fit_prior_loss(outputs)[0]]

    np.testing.assert_allclose(*losses(params), rtol=1e-5)


@pytest.mark.parametrize(("decay", "revive_below"), [(0.7, 0.4), (0.9, 0.0)])
def test_the_codebook_is_updated_with_its_fields(decay, revive_below) -> None:
    config = config_with(
        VQ | {"objective.name": "vq", "codes.decay": decay, "codes.revive_below": revive_below}
    )
    model, batch = builders.build_model(config, EVENT), batch_of(config)
    params = parameters(model, batch)
    counts = {"counts": jnp.float32([0.01, 0.05, 0.04, 0.3, 0.6])}  # some below 0.4 of a fifth
    quantizer = params["codebook"]["quantizer"] | counts
    params = params | {"codebook": {"quantizer": quantizer}}
    metrics = jit(builders.build_loss(config, model, NUM_EXAMPLES))(params, batch, KEY, 0)[1]
    statistics = metrics["statistics"]
    update = builders.build_post_update(config)
    expected = objectives.vq_post_update(decay=decay, revive_below=revive_below or None)
    ours, hand = (f(params, params, statistics, KEY, 0)["codebook"] for f in (update, expected))
    jax.tree.map(np.testing.assert_array_equal, ours, hand)
    if not revive_below:  # N <- decay N + (1 - decay) n
        moved = decay * quantizer["counts"] + (1 - decay) * statistics["counts"]
        np.testing.assert_allclose(ours["quantizer"]["counts"], moved, rtol=1e-5)
    else:
        other = objectives.vq_post_update(decay=decay, revive_below=None)
        left = other(params, params, statistics, KEY, 0)["codebook"]["quantizer"]
        assert np.any(left["counts"] != ours["quantizer"]["counts"])


def updates_of(tx, params, num=5):
    """The updates of a few steps whose gradients change, so that every decay shows."""
    state, updates = tx.init(params), []
    for step in range(num):
        gradient = jax.tree.map(lambda leaf, s=step: (s - 1.5) ** 3 * leaf, params)
        update, state = tx.update(gradient, state, params)
        updates.append(update)
    return updates


def test_the_critic_has_adam_with_its_own_rate_and_decays() -> None:
    config = config_with({"objective.name": "factor", "optimizer.critic_rate": 3e-4})
    params = {"params": {"critic": {"w": jnp.arange(1.0, 4)}, "encoder": {"w": jnp.ones(3)}}}
    ours = updates_of(builders.build_optimizer(config), params)
    critic = updates_of(optax.adam(3e-4, b1=0.5, b2=0.9), params)
    rest = updates_of(optax.adam(1e-3), params)
    for mine, hers, others in zip(ours, critic, rest, strict=True):
        a, b, c = (tree["params"] for tree in (mine, hers, others))
        np.testing.assert_allclose(a["critic"]["w"], b["critic"]["w"], rtol=1e-5)
        np.testing.assert_allclose(a["encoder"]["w"], c["encoder"]["w"], rtol=1e-5)


SIZES = {
    "model.categories": 7,
    "model.temperature": 0.3,
    "model.posterior_flows": 3,
    "model.posterior_width": 2,
    "model.posterior_scale": "softplus",
    "model.prior_components": 6,
    "model.prior_flows": 2,
    "model.prior_width": 9,
    "model.levels": 11,
    "model.mixtures": 4,
    "model.init_sigma": 0.2,
    "model.df": "predicted",
    "model.init_df": 7.0,
    "model.masked_features": 6,
    "model.masked_layers": 2,
    "model.columns": ("gaussian", "bernoulli*4"),
    "model.num_tokens": 9,
    "model.token_features": 7,
    "model.decoder_width": 10,
    "model.sequence_layers": 2,
}
IMAGE = (4, 4, 2)
POSTERIORS = {
    "diag_gaussian": posteriors.DiagGaussianHead(3, posteriors.softplus_logvar),
    "full_gaussian": posteriors.FullGaussianHead(3),
    "student_t": posteriors.StudentTHead(3),
    "planar": posteriors.PlanarHead(3, num_flows=3),
    "iaf": posteriors.InverseAutoregressiveHead(3, num_flows=3, width=2),
    "sylvester": posteriors.SylvesterHead(3, num_flows=3, num_vectors=2),
    "gumbel_softmax": posteriors.GumbelSoftmaxHead(3, num_classes=7, temperature=0.3),
    "deterministic": posteriors.DeterministicHead(3),
}
PRIORS = {
    "standard_normal": priors.StandardNormal(3),
    "diag_gaussian": priors.LearnedDiagonal(3),
    "mixture": priors.Mixture(3, num_components=6),
    "vamp": priors.VampPrior(IMAGE, num_components=6, low=0.0, high=1.0),
    "coupling": priors.CouplingPrior(3, num_flows=2, width=9),
    "autoregressive": priors.AutoregressivePrior(3, num_flows=2, width=9),
    "uniform": priors.UniformCategorical(3, num_classes=7),
}
LIKELIHOODS = {
    "bernoulli": likelihoods.Bernoulli(IMAGE),
    "continuous_bernoulli": likelihoods.ContinuousBernoulli(IMAGE),
    "gaussian": likelihoods.Gaussian(IMAGE, sigma=0.2),
    "optimal_gaussian": likelihoods.OptimalGaussian(IMAGE),
    "laplace": likelihoods.Laplace(IMAGE, scale=0.2),
    "student_t": likelihoods.StudentT(IMAGE, df="predicted", init_df=7.0),
    "discretized_logistic": likelihoods.DiscretizedLogistic(IMAGE, levels=11),
    "logistic_mixture": likelihoods.DiscretizedLogisticMixture(IMAGE, levels=11, components=4),
    "categorical": likelihoods.Categorical(IMAGE, levels=11),
    "beta_binomial": likelihoods.BetaBinomial(IMAGE, levels=11),
    "negative_binomial": likelihoods.NegativeBinomial(IMAGE),
    "poisson": likelihoods.Poisson(IMAGE),
    "zero_inflated": likelihoods.ZeroInflatedNegativeBinomial(IMAGE),
    "positive": likelihoods.LogNormal(IMAGE),
    "mixed": likelihoods.Mixed(IMAGE, ("gaussian", "bernoulli*4")),
    "autoregressive": likelihoods.Autoregressive(IMAGE, levels=11, features=6, layers=2),
    "tokens": likelihoods.Tokens(
        IMAGE, nets.CausalGRU(9, features=10, layers=2, embedding=7, dtype=jnp.float32)
    ),
}
SIGMAS = {
    "fixed": ("Gaussian", {"sigma": 0.2}, "Laplace", {"scale": 0.2}),
    "scalar": (
        "LearnedGaussian",
        {"sigma_shape": (), "init_sigma": 0.2},
        "LearnedLaplace",
        {"scale_shape": (), "init_scale": 0.2},
    ),
    "channel": (
        "LearnedGaussian",
        {"sigma_shape": (2,), "init_sigma": 0.2},
        "LearnedLaplace",
        {"scale_shape": (2,), "init_scale": 0.2},
    ),
    "pixel": (
        "LearnedGaussian",
        {"sigma_shape": IMAGE, "init_sigma": 0.2},
        "LearnedLaplace",
        {"scale_shape": IMAGE, "init_scale": 0.2},
    ),
    "predicted": ("PredictedGaussian", {}, "PredictedLaplace", {}),
}


@pytest.mark.parametrize(
    ("field", "by_hand", "table"),
    [
        ("posterior", POSTERIORS, parts.POSTERIORS),
        ("prior", PRIORS, parts.PRIORS),
        ("likelihood", LIKELIHOODS, parts.LIKELIHOODS),
    ],
)
def test_a_part_has_the_sizes_of_its_fields(field, by_hand, table) -> None:
    assert by_hand.keys() == table.keys()
    for name, module in by_hand.items():
        config = config_with({**SIZES, f"model.{field}": name})
        built = getattr(builders.build_model(config, IMAGE), field)
        assert built.clone(parent=None) == module, name


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_scale_has_its_shape_and_first_value(sigma) -> None:
    assert SIGMAS.keys() == parts.GAUSSIANS.keys() == parts.LAPLACES.keys()
    gaussian, options, laplace, laplace_options = SIGMAS[sigma]
    for name, module, fields in (
        ("gaussian", gaussian, options),
        ("laplace", laplace, laplace_options),
    ):
        config = config_with({**SIZES, "model.likelihood": name, "model.sigma": sigma})
        built = builders.build_model(config, IMAGE).likelihood.clone(parent=None)
        assert built == getattr(likelihoods, module)(IMAGE, **fields)


def test_models_of_codes_and_ladders_have_the_sizes_of_their_fields() -> None:
    sizes = {
        **VQ,
        "codes.levels": (3, 4),
        "codes.prior_features": 8,
        "codes.prior_layers": 3,
        "codes.grid": (2, 1),
    }
    quantizers = {
        ("vq", True): VectorQuantizer(5, 3, ema=True),
        ("vq", False): VectorQuantizer(5, 3, ema=False),
        ("fsq", True): FiniteScalarQuantizer((3, 4)),
    }
    assert {name for name, _ in quantizers} == set(QUANTIZERS)
    for (name, ema), module in quantizers.items():
        model = builders.build_model(
            config_with({**sizes, "codes.quantizer": name, "codes.ema": ema}), EVENT
        )
        assert model.quantizer.clone(parent=None) == module
    code_priors = {
        "uniform": priors.UniformCodes((2, 1), 5),
        "pixelcnn": priors.PixelCNNCodes((2, 1), 5, features=8, layers=3),
    }
    assert code_priors.keys() == CODE_PRIORS.keys()
    for name, module in code_priors.items():
        model = builders.build_model(config_with({**sizes, "codes.prior": name}), EVENT)
        assert model.prior.clone(parent=None) == module
    ladder = builders.build_model(
        config_with({**HIERARCHY, "hierarchy.blocks": 3, "hierarchy.remat": True}), EVENT
    )
    assert [level.latent for level in ladder.levels] == [2, 3]
    assert (ladder.blocks, ladder.remat) == (3, True)
    stacked = builders.build_model(config_with(STACKED), EVENT)
    assert stacked.prior.clone(parent=None) == priors.Mixture(2, 4)
    fields = ("layers", "hidden", "gated", "activation", "logvar_fn")
    assert [getattr(stacked, name) for name in fields] == [
        *((2, 3), (7, 6), True, nn.tanh, posteriors.softplus_logvar)
    ]


def test_networks_of_an_objective_have_the_sizes_of_their_fields() -> None:
    critic = builders.build_model(
        config_with({"objective.name": "factor", "objective.critic_hidden": (4, 3)}), EVENT
    ).critic
    assert critic.clone(parent=None) == nets.Critic((4, 3))
    model = builders.build_model(config_with(M2 | {"objective.name": "m2"}), EVENT)
    assert model.conditioning.clone(parent=None) == nets.OneHot(3)
    assert model.classifier.num_classes == 3
