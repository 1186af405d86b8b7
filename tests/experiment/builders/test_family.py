"""Every part and objective from the config: gradients under jit and vmap, samples, refusals."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax import likelihoods, posteriors, priors, train
from vae_jax.config import Config, validation
from vae_jax.config.rules import check_rules
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.builders.choices import check_names
from vae_jax.experiment.builders.compatibility import RULES
from vae_jax.experiment.builders.loss import OBJECTIVES
from vae_jax.experiment.builders.parts import GAUSSIANS, LIKELIHOODS, POSTERIORS, PRIORS

EVENT, B, K = (4, 4, 1), 6, 4
SMALL = {
    "model": {
        "hidden": (6,),
        "channels": (4, 4),
        "latent_dim": 3,
        "categories": 3,
        "levels": 3,
        "mixtures": 2,
        "prior_components": 4,
        "prior_flows": 2,
        "prior_width": 5,
        "posterior_flows": 2,
        "posterior_width": 5,
        "masked_features": 4,
        "masked_layers": 1,
        "num_classes": 4,
        "network": "mlp",
        "likelihood": "bernoulli",
        "num_tokens": 5,
        "token_features": 3,
        "encoder_width": 4,
        "decoder_width": 4,
    },
    "codes": {
        "num_codes": 5,
        "code_dim": 3,
        "levels": (3, 2),
        "grid": (2,),
        "prior_features": 4,
        "prior_layers": 1,
    },
    "hierarchy": {"latents": (2, 3), "widths": (5, 6)},
    "objective": {
        "num_samples": K,
        "num_groups": 2,
        "critic_hidden": (5,),
        "regressor_hidden": (5,),
    },
}
NEEDS = {  # what a part or an objective can't do without
    "objective.name=reconstruction": {"model.posterior": "deterministic"},
    "objective.name=wae": {"model.posterior": "deterministic"},
    "objective.name=m2": {"model.conditioning": "label"},
    "objective.name=vq": {"model.kind": "vq"},
    "model.posterior=deterministic": {"objective.name": "wae"},
    "model.posterior=gumbel_softmax": {"model.prior": "uniform"},
    "model.prior=uniform": {"model.posterior": "gumbel_softmax"},
    "model.likelihood=mixed": {"model.columns": ("gaussian", "bernoulli*14", "categorical:2")},
    "model.likelihood=tokens": {"model.network": "gru"},
}
WHOLE = {  # models beside the flat one
    "codes": {"model.kind": "vq", "objective.name": "vq"},
    "codes by gradient": {"model.kind": "vq", "objective.name": "vq", "codes.ema": False},
    "codes by rounding": {"model.kind": "vq", "objective.name": "vq", "codes.quantizer": "fsq"},
    "codes with a prior": {
        "model.kind": "vq",
        "objective.name": "vq",
        "model.network": "resnet",
        "codes.prior": "pixelcnn",
        "codes.prior_steps": 1_990,
        "model.conditioning": "label",
    },
    "ladder": {"model.kind": "hierarchical", "objective.kl_balancing": 0.5},
    "ladder of maps": {
        "model.kind": "hierarchical",
        "model.network": "conv",
        "hierarchy.stack": "1x1 2x1",
        "hierarchy.latents": (2,),
        "hierarchy.widths": (4,),
        "model.conditioning": "label",
        "objective.name": "iwae",
    },
    "separate networks with a VampPrior": {
        "model.kind": "hierarchical",
        "hierarchy.networks": "separate",
        "model.prior": "vamp",
        "model.gated": True,
        "model.hidden": (6, 5),
        "objective.layer_free_bits": 0.01,
    },
    "separate networks with a conditional prior": {
        "model.kind": "hierarchical",
        "hierarchy.networks": "separate",
        "model.prior": "mixture",
        "model.conditioning": "label",
        "model.condition_prior": True,
        "objective.name": "iwae",
    },
    "a conditional prior": {
        "model.prior": "mixture",
        "model.conditioning": "vector",
        "model.condition_prior": True,
    },
    "counts of any size": {"model.likelihood": "zero_inflated", "model.conditioning": "size"},
    "a conditional VampPrior": {
        "model.prior": "vamp",
        "model.conditioning": "label",
        "model.network": "conv",
    },
}
ROWS = {
    **{
        f"{field}={name}": {field: name}
        for field, table in (
            ("objective.name", OBJECTIVES),
            ("model.posterior", POSTERIORS),
            ("model.prior", PRIORS),
            ("model.likelihood", LIKELIHOODS),
        )
        for name in table
    },
    **{
        f"laplace {sigma}": {"model.likelihood": "laplace", "model.sigma": sigma}
        for sigma in GAUSSIANS
    },
    **WHOLE,
}


def config_of(row: str) -> Config:
    config = Config()
    for group, values in SMALL.items():
        for name, value in values.items():
            setattr(getattr(config, group), name, value)
    for field, value in (ROWS[row] | NEEDS.get(row, {})).items():
        group, name = field.split(".")
        setattr(getattr(config, group), name, value)
    check_names(config)
    check_rules(RULES, config)
    return config


def event_of(config: Config) -> tuple[int, ...]:
    return (16,) if config.model.likelihood in ("mixed", "tokens") else EVENT


def batch_of(config: Config) -> dict[str, jax.Array]:
    rng = np.random.default_rng(0)
    x = np.float32(rng.random((B, *event_of(config))) < 0.5)
    x = x + 0.5 if config.model.likelihood == "positive" else x
    x = 2 + x + x[:, ::-1] if config.model.likelihood == "tokens" else x
    y = rng.normal(size=(B, 4)) if config.model.conditioning == "vector" else np.arange(B) % 4
    y = np.stack([1.0 + y, y], axis=1) if config.model.conditioning == "size" else y
    y = np.where(np.arange(B) < 3, y, -1) if config.objective.name == "m2" else y
    return {"x": jnp.asarray(x), "y": jnp.asarray(y, jnp.float32 if y.ndim == 2 else jnp.int32)}


def parameters(model, x):
    """From numpy: no time to compile, and none is zero."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x[:1], jax.random.key(0))

    def draw(path, leaf):
        if "counts" in jax.tree_util.keystr(path):
            return jnp.full(leaf.shape, 1 / leaf.size)
        return jnp.asarray(
            rng.normal(size=leaf.shape) / np.sqrt(max(leaf.shape[0] if leaf.shape else 1, 1)),
            leaf.dtype,
        )

    return jax.tree_util.tree_map_with_path(draw, shapes)


NO_GRADIENT = {  # parameters that this row's loss leaves alone, and why
    "codebook": "averages, which follow the optimizer",
    "['prior']": "codes are coded first, their prior is fitted later",
}


@pytest.mark.parametrize("row", ROWS)
def test_gradients_of_two_trials(row):
    """Under jit and vmap, every term is finite, every parameter has a gradient, trials differ."""
    config = config_of(row)
    batch, model = batch_of(config), builders.build_model(config, event_of(config))
    params = parameters(model, batch["x"])
    if config.codes.prior_steps:
        config.train.num_steps = config.codes.prior_steps + 10
    trials = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), params)

    def loss(params, rate):
        trial = dataclasses.replace(
            config, optimizer=dataclasses.replace(config.optimizer, learning_rate=rate)
        )
        loss_fn = builders.build_loss(trial, model, 100)
        (value, metrics), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
            params, batch, jax.random.key(2), jnp.int32(3)
        )
        return (
            value,
            {name: metric for name, metric in metrics.items() if name != "statistics"},
            gradient,
        )

    compiled = jax.jit(jax.vmap(loss), compiler_options={"xla_backend_optimization_level": 0})
    values, metrics, gradient = compiled(trials, jnp.float32([1e-3, 1e-2]))
    assert np.all(np.isfinite(values))
    assert values[0] != values[1]
    point = config.model.posterior == "deterministic"
    for name, metric in metrics.items():
        assert metric.shape == (2,), name
        assert np.all(np.isfinite(metric)) or (point and name in ("rate", "elbo")), name
    assert {"loss", "elbo", "distortion", "rate"} <= metrics.keys()
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        assert np.all(np.isfinite(leaf)), name
        if not any(part in name for part in NO_GRADIENT) or (
            config.model.kind != "vq" and "prior" in name
        ):
            assert np.any(leaf != 0), name


@pytest.mark.parametrize("row", WHOLE)
def test_what_is_drawn_and_decoded(row):
    config = config_of(row)
    batch, model = batch_of(config), builders.build_model(config, event_of(config))
    y = {} if config.model.conditioning == "none" else {"y": batch["y"]}
    params, x = parameters(model, batch["x"]), batch["x"]

    def shapes(params):
        q = model.apply(params, x, **y, method="encode")
        images = model.apply(params, q.center, **y, method="decode")
        return (
            q.center,
            images.mean,
            model.apply(params, jax.random.key(0), B, **y, method="generate").mean,
        )

    code, mean, drawn = jax.eval_shape(shapes, params)
    assert code.shape[0] == B
    assert code.ndim == 2
    assert mean.shape == drawn.shape == (B, *EVENT)


KINDS = {
    "posterior": {
        "diag_gaussian": posteriors.DiagGaussianHead,
        "full_gaussian": posteriors.FullGaussianHead,
        "student_t": posteriors.StudentTHead,
        "planar": posteriors.PlanarHead,
        "iaf": posteriors.InverseAutoregressiveHead,
        "sylvester": posteriors.SylvesterHead,
        "gumbel_softmax": posteriors.GumbelSoftmaxHead,
        "deterministic": posteriors.DeterministicHead,
    },
    "prior": {
        "standard_normal": priors.StandardNormal,
        "diag_gaussian": priors.LearnedDiagonal,
        "mixture": priors.Mixture,
        "vamp": priors.VampPrior,
        "coupling": priors.CouplingPrior,
        "autoregressive": priors.AutoregressivePrior,
        "uniform": priors.UniformCategorical,
    },
    "likelihood": {
        "bernoulli": likelihoods.Bernoulli,
        "continuous_bernoulli": likelihoods.ContinuousBernoulli,
        "gaussian": likelihoods.Gaussian,
        "optimal_gaussian": likelihoods.OptimalGaussian,
        "laplace": likelihoods.Laplace,
        "student_t": likelihoods.StudentT,
        "discretized_logistic": likelihoods.DiscretizedLogistic,
        "logistic_mixture": likelihoods.DiscretizedLogisticMixture,
        "categorical": likelihoods.Categorical,
        "beta_binomial": likelihoods.BetaBinomial,
        "negative_binomial": likelihoods.NegativeBinomial,
        "poisson": likelihoods.Poisson,
        "zero_inflated": likelihoods.ZeroInflatedNegativeBinomial,
        "positive": likelihoods.LogNormal,
        "mixed": likelihoods.Mixed,
        "autoregressive": likelihoods.Autoregressive,
        "tokens": likelihoods.Tokens,
    },
}


@pytest.mark.parametrize("role", KINDS)
def test_a_name_is_the_part_that_it_says(role):
    assert (
        KINDS[role].keys()
        == {"posterior": POSTERIORS, "prior": PRIORS, "likelihood": LIKELIHOODS}[role].keys()
    )
    for name, kind in KINDS[role].items():
        config = config_of(f"model.{role}={name}")
        assert type(getattr(builders.build_model(config, event_of(config)), role)) is kind, name
    softplus = dataclasses.replace(Config().model, posterior_scale="softplus")
    assert POSTERIORS["diag_gaussian"](softplus).logvar_fn is posteriors.softplus_logvar


def test_every_objective_and_part_has_a_row():
    assert {row.split("=")[1] for row in ROWS if row.startswith("objective.name=")} == set(
        OBJECTIVES
    )
    assert len(ROWS) == len(OBJECTIVES) + len(POSTERIORS) + len(PRIORS) + len(LIKELIHOODS) + len(
        GAUSSIANS
    ) + len(WHOLE)


SEPARATE = {"model.kind": "hierarchical", "hierarchy.networks": "separate"}
REFUSED = {
    "an ELBO of points": ({"model.posterior": "deterministic"}, "an infinite rate"),
    "DIP of a flow": ({"objective.name": "dip", "model.posterior": "iaf"}, "mean and variance"),
    "TC of a ladder": ({"objective.name": "beta_tc", "model.kind": "hierarchical"}, "one layer"),
    "DReG of a VampPrior": (
        {"objective.name": "dreg", "model.prior": "vamp"},
        "made of the encoder",
    ),
    "STL of one-hot codes": (
        {"objective.name": "stl", "model.posterior": "gumbel_softmax", "model.prior": "uniform"},
        "move",
    ),
    "M2 without classes": ({"objective.name": "m2"}, "sums over the classes"),
    "a codebook's loss alone": ({"objective.name": "vq"}, "codebook"),
    "codes by the ELBO": ({"model.kind": "vq"}, "does not sample"),
    "one-hot codes, normal prior": ({"model.posterior": "gumbel_softmax"}, "categorical prior"),
    "a VampPrior of flows": (
        {"model.prior": "vamp", "model.posterior": "planar"},
        "Gaussian posteriors",
    ),
    "a prior that takes no y": (
        {"model.conditioning": "label", "model.condition_prior": True},
        "nothing that y could change",
    ),
    "free bits of a flow": (
        {"model.posterior": "iaf", "objective.free_bits": 0.1},
        "KL of each latent",
    ),
    "a critic of one-hot codes": (
        {"objective.name": "factor", "model.posterior": "gumbel_softmax", "model.prior": "uniform"},
        "would not stay one-hot",
    ),
    "weighted draws, one optimal sigma": (
        {"objective.name": "iwae", "model.likelihood": "optimal_gaussian"},
        "all of them equally",
    ),
    "codes and convolutions": (
        {"model.kind": "vq", "objective.name": "vq", "model.network": "conv"},
        "codes on a grid",
    ),
    "two other rates": (
        {
            "model.kind": "hierarchical",
            "objective.free_bits": 0.1,
            "objective.layer_free_bits": 0.1,
        },
        "use one of them",
    ),
    "a prior of a ladder": (
        {"model.kind": "hierarchical", "model.prior": "vamp"},
        "'separate' has one for the top layer",
    ),
    "a ladder's prior without y": (
        {
            "model.kind": "hierarchical",
            "model.conditioning": "label",
            "model.condition_prior": True,
        },
        "always depends on y",
    ),
    "separate networks of maps": (
        SEPARATE | {"model.network": "conv"},
        "has dense layers",
    ),
    "a top prior that takes no y": (
        SEPARATE
        | {
            "model.prior": "vamp",
            "model.conditioning": "label",
            "model.condition_prior": True,
        },
        "nothing that y could change",
    ),
    "free bits of a VampPrior": (
        SEPARATE | {"model.prior": "vamp", "objective.free_bits": 0.1},
        "KL of each latent",
    ),
    "a network of codes": ({"model.network": "resnet"}, "codes on a grid"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    changes, words = REFUSED[case]
    config = Config()
    for field, value in changes.items():
        group, name = field.split(".")
        setattr(getattr(config, group), name, value)
    check_names(config)
    with pytest.raises(InputError, match=words) as error:
        check_rules(RULES, config)
    assert str(error.value).startswith("config.")


UNUSED = {
    "objective.tc_weight": 2.0,
    "objective.renyi_alpha": 0.1,
    "objective.num_groups": 3,
    "model.temperature": 0.1,
    "model.columns": ("gaussian",),
    "model.prior_components": 7,
    "codes.num_codes": 7,
    "hierarchy.stack": "1x1",
    "data.num_labels": 10,
    "objective.beta_cycles": 2,
    "objective.codebook_weight": 2.0,
    "hierarchy.widths": (3,),
    "hierarchy.networks": "separate",
}
TOO_SMALL = {
    "channels": {
        "model.kind": "vq",
        "objective.name": "vq",
        "model.network": "resnet",
        "model.channels": (1,),
    },
    "grid": {
        "model.kind": "vq",
        "model.network": "mlp",
        "objective.name": "vq",
        "codes.prior": "pixelcnn",
        "codes.prior_steps": 9,
    },
    "batch_size": {"objective.name": "beta_tc", "train.batch_size": 1},
}


@pytest.mark.parametrize("field", TOO_SMALL)
def test_sizes_that_a_part_cannot_work_with_are_refused(field):
    config = Config()
    for path, value in TOO_SMALL[field].items():
        group, name = path.split(".")
        setattr(getattr(config, group), name, value)
    with pytest.raises(InputError, match=rf"^config\.\w+\.{field} = "):
        validation.check(config)


def test_a_prior_that_waits_begins_as_a_new_optimizer_would():
    config = config_of("codes with a prior")
    config.train.num_steps, config.codes.prior_steps = 30, 10
    tx, params = (
        builders.build_optimizer(config),
        {"params": {"prior": {"w": jnp.ones(2)}, "encoder": {"w": jnp.ones(2)}}},
    )
    state = tx.init(params)
    first = {"params": {"prior": {"w": jnp.zeros(2)}, "encoder": {"w": jnp.ones(2)}}}
    for _ in range(20):
        _, state = tx.update(first, state, params)
    second = {"params": {"prior": {"w": jnp.ones(2)}, "encoder": {"w": jnp.zeros(2)}}}
    for _ in range(3):  # Adam under a constant gradient moves by the learning rate
        updates, state = tx.update(second, state, params)
        np.testing.assert_allclose(
            updates["params"]["prior"]["w"], -config.optimizer.learning_rate, rtol=1e-3
        )
        np.testing.assert_array_equal(updates["params"]["encoder"]["w"], 0)


@pytest.mark.parametrize("field", UNUSED)
def test_a_field_that_nothing_uses_is_refused(field):
    config, (group, name) = Config(), field.split(".")
    config.model.likelihood = "bernoulli"
    setattr(getattr(config, group), name, UNUSED[field])
    with pytest.raises(InputError, match=f"config.{field} = .* does nothing without"):
        validation.check(config)


def test_a_critic_has_an_optimizer_of_its_own():
    config = config_of("objective.name=factor")
    config.optimizer.learning_rate, config.optimizer.critic_rate = 1e-3, 1e-2
    tx = builders.build_optimizer(config)
    params = {"params": {"critic": {"w": jnp.ones(2)}, "encoder": {"w": jnp.ones(2)}}}
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    np.testing.assert_allclose(updates["params"]["critic"]["w"], -1e-2, rtol=1e-3)
    np.testing.assert_allclose(updates["params"]["encoder"]["w"], -1e-3, rtol=1e-3)


@pytest.mark.slow
def test_the_last_steps_fit_the_prior_and_hold_all_else():
    config = config_of("codes with a prior")
    config.model.network, config.codes.grid = "mlp", (2, 2)
    config.optimizer.name, config.optimizer.weight_decay = "adamw", 0.1
    config.train.num_steps, config.codes.prior_steps, config.objective.num_samples = 6, 3, 1
    batch, model = batch_of(config), builders.build_model(config, EVENT)
    tx, loss_fn, update = (
        builders.build_optimizer(config),
        builders.build_loss(config, model, 100),
        builders.build_post_update(config),
    )
    state = train.init_state(jax.random.key(0), model, batch["x"], tx)
    step = jax.jit(
        functools.partial(train.train_step, loss_fn=loss_fn, tx=tx, post_update=update),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    moved = []
    for _ in range(6):
        before = state.params
        state, metrics = step(state, batch)
        assert np.isfinite(metrics["loss"])
        modules = before["params"] | {"codebook": before["codebook"]}
        after = state.params["params"] | {"codebook": state.params["codebook"]}
        moved.append(
            {
                name: float(optax.tree.norm(optax.tree.sub(after[name], modules[name]))) > 0
                for name in modules
            }
        )
    for number, names in enumerate(moved):
        assert names["prior"] == (number >= 3), number
        for name, is_moved in names.items():
            assert name == "prior" or is_moved == (number < 3), (number, name)
