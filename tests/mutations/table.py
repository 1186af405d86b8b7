"""Stated mutations: mistakes that one could make, each with the tests that must notice it."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """One mistake: a text of a file of the package, replaced once."""

    name: str
    file: str  # below vae_jax/
    old: str  # occurs exactly once
    new: str
    tests: str  # arguments of pytest, with the paths below tests/


LOSS = "experiment/builders/loss.py"
OPTIMIZER = "experiment/builders/optimizer.py"
PARTS = "experiment/builders/parts.py"
WIRING = "experiment/builders/test_wiring.py"
SIZES = f"{WIRING} -k part_has_the_sizes"
TWO = "objectives/test_two_players.py"
GRADIENTS = "distributions/test_gradients.py"
HEADS = "likelihoods/test_heads.py"
TAILS = "distributions/test_counts_and_tails.py"
NUMPYRO = "distributions/test_numpyro.py"
FLOWS = "flows/test_flows.py"


def case(words: str) -> str:
    """The cases of the test of objectives with these words in their names."""
    return f"{WIRING} -k 'pure_function_by_hand and ({words})'"


BUILDERS = [
    Mutation(
        "the balance of layers rises instead of falling",
        LOSS,
        "schedules.linear(c.kl_balancing, 0.0, c.beta_steps)",
        "schedules.linear(0.0, c.kl_balancing, c.beta_steps)",
        case("balanced"),
    ),
    Mutation(
        "DIP I and II are swapped",
        LOSS,
        "{1: objectives.dip_i, 2: objectives.dip_ii}",
        "{2: objectives.dip_i, 1: objectives.dip_ii}",
        case("dip"),
    ),
    Mutation(
        "alpha of Renyi is read from another field",
        LOSS,
        'fields={"alpha": "renyi_alpha"}',
        'fields={"alpha": "ciwae_weight"}',
        case("renyi"),
    ),
    Mutation(
        "M2 without the weight of its classifier",
        LOSS,
        'fields={"alpha": "classifier_weight"}',
        "fields={}",
        case("m2"),
    ),
    Mutation(
        "beta-TCVAE is told half the number of examples",
        LOSS,
        'values["num_examples"] = num_examples',
        'values["num_examples"] = num_examples // 2',
        case("beta_tc"),
    ),
    Mutation(
        "stratified is negated",
        LOSS,
        "SCHEDULES[field](c) if is_scheduled else value",
        'SCHEDULES[field](c) if is_scheduled else (not value) if field == "stratified" else value',
        case("beta_tc"),
    ),
    Mutation(
        "alpha of InfoVAE is ignored",
        LOSS,
        "if field in fields:",
        'if field in fields and field != "info_alpha":',
        case("info"),
    ),
    Mutation(
        "commitment is ignored",
        LOSS,
        "if field in fields:",
        'if field in fields and field != "commitment":',
        case("vq"),
    ),
    Mutation(
        "the weight of the codebook is ignored",
        LOSS,
        "if field in fields:",
        'if field in fields and field != "codebook_weight":',
        case("vq"),
    ),
    Mutation(
        "the decay of the codebook is ignored",
        LOSS,
        "decay=c.decay,\n",
        "",
        f"{WIRING} -k codebook_is_updated",
    ),
    Mutation(
        "codes are revived below the default",
        LOSS,
        'value_or_none(c, "revive_below")',
        "0.1",
        f"{WIRING} -k codebook_is_updated",
    ),
    Mutation(
        "capacity is constant",
        LOSS,
        "schedules.linear(0.0, c.capacity, c.capacity_steps)",
        "schedules.linear(c.capacity, c.capacity, c.capacity_steps)",
        case("capacity"),
    ),
    Mutation(
        "the number of cycles of beta is ignored",
        LOSS,
        "num_cycles=c.beta_cycles",
        "num_cycles=4",
        case("cyclical"),
    ),
    Mutation(
        "the level of the corruption is ignored",
        LOSS,
        "make_corruption(c.corruption, c.corruption_level, units)",
        "make_corruption(c.corruption, 0.5, units)",
        case("noise or masking or salt"),
    ),
    Mutation(
        "the prior of codes is fitted from another step on",
        OPTIMIZER,
        "config.train.num_steps - config.codes.prior_steps if",
        "config.codes.prior_steps if",
        f"{WIRING} -k prior_of_codes",
    ),
    Mutation(
        "the critic has the b1 of Adam",
        OPTIMIZER,
        "b1=0.5, b2=0.9)",
        "b1=0.9, b2=0.9)",
        f"{WIRING} -k critic",
    ),
    Mutation(
        "the critic has the b2 of Adam",
        OPTIMIZER,
        "b1=0.5, b2=0.9)",
        "b1=0.5, b2=0.999)",
        f"{WIRING} -k critic",
    ),
    Mutation(
        "the gradient is clipped at twice its norm",
        OPTIMIZER,
        "c.clip_norm > 0, c.clip_norm, jnp.inf",
        "c.clip_norm > 0, 2 * c.clip_norm, jnp.inf",
        "experiment/builders/test_build.py -k clip_norm_clips",
    ),
    Mutation(
        "levels are ignored",
        PARTS,
        "likelihoods.DiscretizedLogistic(e, _levels(c))",
        "likelihoods.DiscretizedLogistic(e)",
        SIZES,
    ),
    Mutation(
        "mixtures are ignored",
        PARTS,
        "e, _levels(c), c.mixtures",
        "e, _levels(c)",
        SIZES,
    ),
    Mutation(
        "the temperature of the posterior is ignored",
        PARTS,
        "c.latent_dim, c.categories, c.temperature",
        "c.latent_dim, c.categories",
        SIZES,
    ),
    Mutation(
        "features and layers of masked convolutions are swapped",
        PARTS,
        "c.masked_features, c.masked_layers",
        "c.masked_layers, c.masked_features",
        SIZES,
    ),
    Mutation(
        "flows and width of a prior are swapped",
        PARTS,
        "priors.CouplingPrior(c.latent_dim, c.prior_flows, c.prior_width)",
        "priors.CouplingPrior(c.latent_dim, c.prior_width, c.prior_flows)",
        SIZES,
    ),
]
OBJECTIVES = [
    Mutation(
        "the encoder counts as generative: DReG and PIWAE give it the gradient of IWAE",
        "objectives/players.py",
        'frozenset({"encoder", "posterior"})',
        'frozenset({"posterior"})',
        TWO,
    ),
    Mutation(
        "DReG does not square its weights",
        "objectives/importance.py",
        "squared = jnp.square(jax.lax.stop_gradient(jax.nn.softmax(log_w, axis=0)))",
        "squared = jax.lax.stop_gradient(jax.nn.softmax(log_w, axis=0))",
        TWO,
    ),
    Mutation(
        "PIWAE gives the encoder the gradient of IWAE",
        "objectives/importance.py",
        "surrogate = -_grouped_bound(inference, groups)",
        "surrogate = -_grouped_bound(inference, 1)",
        TWO,
    ),
    Mutation(
        "STL keeps the score",
        "objectives/importance.py",
        "jax.lax.stop_gradient(outputs.posterior).log_prob(outputs.z)",
        "outputs.posterior.log_prob(outputs.z)",
        "objectives/test_importance.py -k stl",
    ),
    Mutation(
        "CIWAE swaps its weights",
        "objectives/importance.py",
        "elbo_weight * log_w.mean(0) + (1 - elbo_weight) * log_mean_exp(log_w)",
        "(1 - elbo_weight) * log_w.mean(0) + elbo_weight * log_mean_exp(log_w)",
        "objectives/test_importance.py -k values_by_hand",
    ),
    Mutation(
        "FactorVAE permutes all dimensions in one order",
        "objectives/factor.py",
        "independent=True",
        "independent=False",
        "objectives/test_factor.py -k orders_of_their_own",
    ),
    Mutation(
        "beta-TCVAE takes the other estimator",
        "objectives/tc.py",
        "stratified_log_weights if stratified else",
        "stratified_log_weights if not stratified else",
        "objectives/test_tc.py -k three_parts",
    ),
    Mutation(
        "the weights of the stratified estimate do not sum to one",
        "objectives/tc.py",
        "(1 - 1 / num_examples) / (batch_size - 1)",
        "(1 - 1 / num_examples) / batch_size",
        "objectives/test_tc.py -k stratified",
    ),
    Mutation(
        "a rate below the capacity costs nothing",
        "objectives/elbo.py",
        "jnp.abs(rate - capacity)",
        "jnp.maximum(rate - capacity, 0)",
        "objectives/test_objectives.py -k by_hand",
    ),
    Mutation(
        "free bits of each example instead of the batch",
        "objectives/elbo.py",
        "jnp.maximum(dimension_rates(outputs).mean(0), free_bits).sum()",
        "jnp.maximum(dimension_rates(outputs), free_bits).mean(0).sum()",
        "objectives/test_objectives.py -k free_bits",
    ),
    Mutation(
        "DIP II without the variance of the posterior",
        "objectives/dip.py",
        "jnp.diag(variances.mean(0)) + _covariance(posterior.mean)",
        "_covariance(posterior.mean)",
        "objectives/test_moments.py -k dip",
    ),
    Mutation(
        "the MMD is biased",
        "objectives/mmd.py",
        "total / (len(x) * (len(x) - 1))",
        "total / (len(x) * len(x))",
        "objectives/test_moments.py -k double_loop",
    ),
    Mutation(
        "the kernel of the MMD has half its width",
        "objectives/mmd.py",
        "width = 2 * a.shape[-1]",
        "width = a.shape[-1]",
        "objectives/test_moments.py -k 'double_loop or width'",
    ),
    Mutation(
        "M2 adds the entropy of its classes",
        "objectives/semi_supervised.py",
        "+ negative_entropy).mean()",
        "- negative_entropy).mean()",
        "objectives/test_semi_supervised.py -k enumeration",
    ),
    Mutation(
        "the averages of a codebook gain the whole batch",
        "objectives/vq.py",
        'sums = decay * book["sums"] + (1 - decay) * statistics["sums"]',
        'sums = decay * book["sums"] + statistics["sums"]',
        "models/test_vq.py -k averages_against",
    ),
    Mutation(
        "layers are balanced by the product with their size",
        "objectives/balance.py",
        "jnp.maximum(rates, MIN_RATE) / sizes",
        "jnp.maximum(rates, MIN_RATE) * sizes",
        "models/test_hierarchical.py -k 'balance or weights_by_hand'",
    ),
    Mutation(
        "a cosine that does not end at zero",
        "schedules.py",
        "start * 0.5 * (1 + jnp.cos(jnp.pi * _fraction(step, num_steps)))",
        "start * 0.5 * (1 + jnp.cos(0.9 * jnp.pi * _fraction(step, num_steps)))",
        "experiment/builders/test_build.py -k learning_rates",
    ),
]
DISTRIBUTIONS = [
    Mutation(
        "the scale of the Laplace head is squared",
        "likelihoods/laplace.py",
        "mean, jnp.log(self.scale), len",
        "mean, 2 * jnp.log(self.scale), len",
        f"{HEADS} -k laplace",
    ),
    Mutation(
        "the learned scale of the Laplace head starts at its square",
        "likelihoods/laplace.py",
        "init = jnp.log(self.init_scale)",
        "init = 2 * jnp.log(self.init_scale)",
        f"{HEADS} -k start_where",
    ),
    Mutation(
        "no gradient of the beta of a beta-binomial",
        "distributions/counts.py",
        "alpha, beta = jnp.exp(self.log_alpha), jnp.exp(self.log_beta)\n        total",
        "alpha = jnp.exp(self.log_alpha)\n"
        "        beta = jax.lax.stop_gradient(jnp.exp(self.log_beta))\n        total",
        f"{GRADIENTS} -k beta",
    ),
    Mutation(
        "no gradient of the dispersion of a negative binomial",
        "distributions/counts.py",
        "mu, r = jnp.exp(self.log_mean), jnp.exp(self.log_inverse_dispersion)",
        "mu = jnp.exp(self.log_mean)\n"
        "        r = jax.lax.stop_gradient(jnp.exp(self.log_inverse_dispersion))",
        f"{GRADIENTS} -k negative",
    ),
    Mutation(
        "no gradient of the location of a logistic at its upper edge",
        "distributions/logistic.py",
        "upper = ((k + 0.5) / (levels - 1) - loc) * inverse_scale",
        "upper = ((k + 0.5) / (levels - 1) - jax.lax.stop_gradient(loc)) * inverse_scale",
        f"{GRADIENTS} -k logistic",
    ),
    Mutation(
        "no gradient of the scale of a logistic inside its bins",
        "distributions/logistic.py",
        "inside = log_one_minus_exp(-math.log(levels - 1) - log_scale)",
        "inside = jax.lax.stop_gradient(log_one_minus_exp(-math.log(levels - 1) - log_scale))",
        f"{GRADIENTS} -k logistic",
    ),
    Mutation(
        "blue follows red twice",
        "distributions/logistic.py",
        "c[..., 2, :] * (before[1] - 0.5)",
        "c[..., 2, :] * (before[0] - 0.5)",
        f"{GRADIENTS} -k colors",
    ),
    Mutation(
        "the first bin of a logistic is closed",
        "distributions/logistic.py",
        "jnp.where(first, 0, above)",
        "above",
        f"{GRADIENTS} -k logistic",
    ),
    Mutation(
        "a Gaussian at a temperature has its variance scaled",
        "distributions/gaussian.py",
        "self.logvar + 2 * jnp.log(temperature)",
        "self.logvar + jnp.log(temperature)",
        "models/test_temperature.py",
    ),
    Mutation(
        "generate ignores its temperature",
        "models/vae.py",
        "z = self.sample_prior(key, num_samples, y=y, temperature=temperature)",
        "z = self.sample_prior(key, num_samples, y=y)",
        "models/test_temperature.py",
    ),
    Mutation(
        "the covariances of a full Gaussian count twice in its divergence",
        "distributions/kl.py",
        "0.5 * below",
        "below",
        f"{NUMPYRO} -k full",
    ),
    Mutation(
        "the divergence of Gaussians by the scale of q",
        "distributions/kl.py",
        "jnp.square(q.mean - p.mean) * jnp.exp(-p.logvar)",
        "jnp.square(q.mean - p.mean) * jnp.exp(-q.logvar)",
        f"{NUMPYRO} -k diverg",
    ),
    Mutation(
        "the log-determinant of a full Gaussian at half its size",
        "distributions/full_gaussian.py",
        "- log_diagonal.sum(-1)",
        "- 0.5 * log_diagonal.sum(-1)",
        f"{NUMPYRO} -k full",
    ),
    Mutation(
        "the weights of a mixture are not normalized",
        "distributions/mixture.py",
        "self.component_log_probs(value) + jax.nn.log_softmax(self.logits)",
        "self.component_log_probs(value) + self.logits",
        f"{NUMPYRO} -k mixture",
    ),
    Mutation(
        "the continuous Bernoulli has another series",
        "distributions/continuous_bernoulli.py",
        "series = -s / 2 + s**2 / 24 - s**4 / 2880",
        "series = -s / 2 + s**2 / 12 - s**4 / 2880",
        "likelihoods/test_likelihoods.py -k continuous_bernoulli",
    ),
    Mutation(
        "a flow is inverted with the determinant of the forward map",
        "distributions/flowed.py",
        "self.base.log_prob(z0) + log_det",
        "self.base.log_prob(z0) - log_det",
        f"{NUMPYRO} -k flow",
    ),
    Mutation(
        "the relaxation has temperature one",
        "distributions/categorical.py",
        "jax.nn.softmax(noisy / self.temperature)",
        "jax.nn.softmax(noisy)",
        "posteriors/test_posteriors.py -k relaxation",
    ),
    Mutation(
        "softplus is the variance instead of the standard deviation",
        "distributions/scale.py",
        "return 2 * jnp.log(jax.nn.softplus(raw) + 1e-3)",
        "return jnp.log(jax.nn.softplus(raw) + 1e-3)",
        "distributions/test_distributions.py -k scales",
    ),
]
FLOW = [
    Mutation(
        "planar flows are bounded in the wrong direction",
        "flows/planar.py",
        "return self.u + step[..., None] * self.w",
        "return self.u - step[..., None] * self.w",
        f"{FLOWS} -k 'planar or inverse_and'",
    ),
    Mutation(
        "the inverse of an autoregressive map has the sign of the forward map",
        "flows/affine.py",
        "return z, -self._affine(z)[1].sum(-1)",
        "return z, self._affine(z)[1].sum(-1)",
        f"{FLOWS} -k inverse_and",
    ),
    Mutation(
        "a coupling layer has the determinant of its inverse",
        "flows/affine.py",
        "shift], -1), log_scale.sum(-1)",
        "shift], -1), -log_scale.sum(-1)",
        f"{FLOWS} -k inverse_and",
    ),
    Mutation(
        "an autoregressive output sees its own input",
        "flows/conditioner.py",
        "degrees = [np.arange(inputs) + 1,",
        "degrees = [np.arange(inputs),",
        f"{FLOWS} -k autoregressive_output",
    ),
    Mutation(
        "Sylvester flows have lower triangles",
        "flows/sylvester.py",
        "jnp.triu(raw, 1)",
        "jnp.tril(raw, -1)",
        f"{FLOWS} -k 'sylvester or inverse_and'",
    ),
    Mutation(
        "the derivative of the root has a wrong sign",
        "flows/root.py",
        "(dy - t * dc) / slope(c, t)",
        "(dy + t * dc) / slope(c, t)",
        f"{FLOWS} -k root",
    ),
    Mutation(
        "no reversals between flows: some dimensions stay as they are",
        "flows/affine.py",
        "return Chain(tuple(parts[:-1]))",
        "return Chain(tuple(flows))",
        f"{FLOWS} -k every_dimension",
    ),
]
EVALUATION = [
    Mutation(
        "sigma is fitted at the mean of the posterior",
        "evaluation/sigma.py",
        'method="encode").sample(key)',
        'method="encode").mean',
        "evaluation/test_sigma.py -k draws",
    ),
    Mutation(
        "the mean of the weights is over a chunk",
        "evaluation/likelihood.py",
        "log_mean = top + jnp.log(total) - math.log(num_samples)",
        "log_mean = top + jnp.log(total) - math.log(chunk)",
        "evaluation/test_likelihood.py -k running_mean",
    ),
    Mutation(
        "the effective sample size without its square",
        "evaluation/likelihood.py",
        "jnp.square(total) / squares",
        "total / squares",
        "evaluation/test_likelihood.py -k running_mean",
    ),
    Mutation(
        "the ladder of temperatures does not begin at zero",
        "evaluation/ais.py",
        "(ladder - ladder[0]) / (ladder[-1] - ladder[0])",
        "ladder / ladder[-1]",
        "evaluation/test_likelihood.py -k ladder_goes",
    ),
    Mutation(
        "marginals of the aggregate posterior are not divided by N",
        "evaluation/decomposition.py",
        "jax.nn.logsumexp(terms, axis=0) - log_n",
        "jax.nn.logsumexp(terms, axis=0)",
        "evaluation/test_decomposition.py -k parts_sum",
    ),
    Mutation(
        "the baseline's frequencies are not smoothed",
        "evaluation/frequencies.py",
        "(total + 1) / (count + 2)",
        "total / count",
        "evaluation/test_baseline.py",
    ),
    Mutation(
        "a model below the baseline is healthy",
        "evaluation/collapse.py",
        "if log_px_z - rate > likelihood:",
        "if log_px_z - rate < likelihood:",
        "evaluation/test_collapse.py",
    ),
    Mutation(
        "the best setting is that of the luckiest seed",
        "experiment/sweeps/settings.py",
        "numbers[key] = float(np.mean(values))",
        "numbers[key] = float(np.max(values))",
        "experiment/training/test_selection.py -k luckiest",
    ),
    Mutation(
        "a latent is used by its variance or its rate",
        "evaluation/collapse.py",
        "np.sum(is_active & (kl >= USED))",
        "np.sum(is_active | (kl >= USED))",
        "evaluation/test_collapse.py",
    ),
    Mutation(
        "the Frechet distance with the overlap once",
        "evaluation/quality.py",
        "distance - 2 * overlap",
        "distance - overlap",
        "evaluation/test_quality.py -k frechet",
    ),
    Mutation(
        "the kernel distance with a square",
        "evaluation/quality.py",
        "(products / size + 1) ** 3",
        "(products / size + 1) ** 2",
        "evaluation/test_quality.py -k kernel",
    ),
    Mutation(
        "density is not divided by the number of neighbors",
        "evaluation/quality.py",
        "float(balls_with_y.mean() / num_neighbors)",
        "float(balls_with_y.mean())",
        "evaluation/test_quality.py -k neighbors",
    ),
    Mutation(
        "repeated samples make a novelty larger",
        "evaluation/molecules/shares.py",
        "distinct = {text for text in canonical(molecules) if text is not None}",
        "distinct = [text for text in canonical(molecules) if text is not None]",
        "evaluation/test_molecules.py -k shares",
    ),
    Mutation(
        "the second diversity has no root",
        "evaluation/molecules/similarity.py",
        "(total / size**2) ** (1 / p)",
        "(total / size**2)",
        "evaluation/test_molecules.py -k diversity",
    ),
    Mutation(
        "tied values are ranked one too low",
        "evaluation/molecules/properties.py",
        'steps[:-1], side="right"',
        'steps[:-1], side="left"',
        "evaluation/test_molecules.py -k wasserstein",
    ),
    Mutation(
        "the PSNR is twice what it is",
        "evaluation/reconstruction.py",
        "return -10 * jnp.log10",
        "return -20 * jnp.log10",
        "evaluation/test_reconstruction.py -k psnr",
    ),
    Mutation(
        "ties count for nothing in the AUROC",
        "evaluation/anomaly.py",
        'np.searchsorted(scores, of, "left") + np.searchsorted(scores, of, "right")',
        '2 * np.searchsorted(scores, of, "left")',
        "evaluation/test_anomaly.py -k auroc",
    ),
    Mutation(
        "the gap of mutual information has no runner-up",
        "evaluation/disentanglement/information.py",
        "(ascending[-1] - ascending[-2]) / entropy",
        "ascending[-1] / entropy",
        "evaluation/test_disentanglement.py -k mig",
    ),
    Mutation(
        "modularity is divided by the number of factors",
        "evaluation/disentanglement/information.py",
        "max(1, squared.shape[1] - 1)",
        "max(1, squared.shape[1])",
        "evaluation/test_disentanglement.py -k golden_information",
    ),
    Mutation(
        "the FactorVAE score does not scale its codes",
        "evaluation/disentanglement/fixed_factor.py",
        "(codes - codes.mean(axis=0))[:, active] / stddev[active]",
        "(codes - codes.mean(axis=0))[:, active]",
        "evaluation/test_disentanglement.py -k 'fixed_factors or factor_vae'",
    ),
    Mutation(
        "probes are scaled by the test codes",
        "evaluation/representation.py",
        "train.mean(axis=0), train.std(axis=0)",
        "train.mean(axis=0), test.std(axis=0)",
        "evaluation/test_representation.py -k ridge",
    ),
    Mutation(
        "the coder counts its clean bits as part of the message",
        "evaluation/coding.py",
        "net = message.information - message.num_clean_bits - before",
        "net = message.information - before",
        "evaluation/test_coding.py -k 'random_bits or rate'",
    ),
]
TABLES = [
    Mutation(
        "the tails of a Student-t are those of one degree of freedom less",
        "distributions/student_t.py",
        "0.5 * (df + 1) * _log1p_square(root)",
        "0.5 * df * _log1p_square(root)",
        f"{NUMPYRO} -k 'densities and student'",
    ),
    Mutation(
        "the constant of a Student-t lacks the remainder of Stirling's formula",
        "distributions/student_t.py",
        "errors = stirling_error(a + 0.5) - stirling_error(a)",
        "errors = stirling_error(a + 0.5) - stirling_error(a + 0.5)",
        f"{GRADIENTS} -k student",
    ),
    Mutation(
        "draws of a Student-t move with half of their degrees of freedom",
        "distributions/student_t.py",
        "0.5 * (jnp.log(half) - log_gamma)",
        "0.5 * (jax.lax.stop_gradient(jnp.log(half)) - log_gamma)",
        f"{TAILS} -k draws_of_student_t_move",
    ),
    Mutation(
        "a log-normal is a density of log x",
        "distributions/log_normal.py",
        "- log_x - 0.5",
        "- 0.5",
        f"{NUMPYRO} -k 'densities and log_normal'",
    ),
    Mutation(
        "a wrong coefficient where rate and count are close",
        "distributions/stirling.py",
        "(1 / 3 + square",
        "(1 / 2 + square",
        f"{TAILS} -k poisson_up_to",
    ),
    Mutation(
        "added zeros have no mass",
        "distributions/counts.py",
        "at_zero = jnp.logaddexp(jax.nn.log_sigmoid(self.gate), counted)",
        "at_zero = counted",
        f"{GRADIENTS} -k zero",
    ),
    Mutation(
        "the thresholds of codes start at 0",
        "distributions/ordinal.py",
        "steps - steps[..., -1:] / 2",
        "steps",
        f"{HEADS} -k equal_masses",
    ),
    Mutation(
        "the scale of positive columns is that of log(1 + x)",
        "nets/units.py",
        "np.where(is_positive, positive_logs[0], 0)",
        "np.where(is_positive, logs[0], 0)",
        "nets/test_units.py -k positive",
    ),
    Mutation(
        "networks see the size factor",
        "models/common.py",
        "return c[..., 1:]",
        "return c",
        "models/test_size_factor.py -k multiplies",
    ),
    Mutation(
        "all zeros of the baseline are added ones",
        "evaluation/column_fits.py",
        "gate = added / (size + 1)",
        "gate = zeros / (size + 1)",
        "evaluation/test_baseline.py -k maximum_likelihood",
    ),
]

FIGURES = [
    Mutation(
        "a prediction that is too bad fools the predictor",
        "visualize/molecules/search.py",
        "excess = sign * (candidates.predicted - candidates.recomputed)",
        "excess = abs(candidates.predicted - candidates.recomputed)",
        "visualize/test_molecule_figures.py -k fooled",
    ),
    Mutation(
        "the characters of one line are marked in the other",
        "visualize/text.py",
        "added |= set(range(other_start, other_stop))",
        "added |= set(range(start, stop))",
        "visualize/test_text_figures.py -k same_in_both",
    ),
    Mutation(
        "neighbors are not as far as they say",
        "visualize/sequence_arrays.py",
        "offsets /= np.linalg.norm(offsets, axis=-1, keepdims=True)",
        "offsets /= np.linalg.norm(offsets, axis=-1, keepdims=True) ** 2",
        "visualize/test_sequence_figures.py -k distances",
    ),
]

TEXT = [
    Mutation(
        "the end of a line is not observed",
        "data/text/dataset.py",
        "observed=jnp.asarray(x > 0)",
        "observed=jnp.asarray(x > 1)",
        "data/text/test_text_dataset.py -k mask_of_the_length",
    ),
    Mutation(
        "chlorine is carbon and a letter",
        "data/text/smiles.py",
        """]*\\]|Br|Cl|""",
        """]*\\]|Br|""",
        "data/text/test_alphabets.py -k tokens_of_smiles",
    ),
]
SEARCH = [
    Mutation(
        "expected improvement without its density term",
        "evaluation/search/acquisition.py",
        "jax.scipy.stats.norm.cdf(u) + jax.scipy.stats.norm.pdf(u))",
        "jax.scipy.stats.norm.cdf(u))",
        "evaluation/search/test_acquisition.py -k mean_over_draws",
    ),
    Mutation(
        "a batch forgets what it has chosen",
        "evaluation/search/acquisition.py",
        "covariance -= np.outer",
        "covariance -= 0 * np.outer",
        "evaluation/search/test_acquisition.py -k batch",
    ),
    Mutation(
        "the kernel has half of its last term",
        "evaluation/search/covariance.py",
        "1 + r + jnp.square(r) / 3",
        "1 + r + jnp.square(r) / 6",
        "evaluation/search/test_gaussian_process.py -k closed_form",
    ),
    Mutation(
        "the gradient of the marginal likelihood lacks the determinant",
        "evaluation/search/covariance.py",
        "jnp.outer(weights, weights) - inverse",
        "jnp.outer(weights, weights)",
        "evaluation/search/test_gaussian_process.py -k scipy_and_sklearn",
    ),
    Mutation(
        "an ascent may leave the ball around its start",
        "evaluation/search/ascent.py",
        "jnp.minimum(1.0, max_distance",
        "jnp.maximum(1.0, max_distance",
        "evaluation/search/test_latent_ascent.py -k distance",
    ),
    Mutation(
        "invalid candidates are added with the best value",
        "evaluation/search/rounds.py",
        "new, values.min()",
        "new, values.max()",
        "evaluation/search/test_search_methods.py -k worthless",
    ),
    Mutation(
        "the error of a property has twice its weight",
        "objectives/property.py",
        "property_weight * error / 2",
        "property_weight * error",
        "objectives/test_property_elbo.py -k by_hand",
    ),
]
SEQUENCES = [
    Mutation(
        "the candidate of a GRU without the bias of its product",
        "nets/gru.py",
        "g_c + params.bias[None]\n",
        "g_c\n",
        "nets/test_gru.py -k numpy",
    ),
    Mutation(
        "the gradient of the reset gate without the slope of the sigmoid",
        "nets/gru.py",
        "d_c * g_c * r * (1 - r)",
        "d_c * g_c",
        "nets/test_gru.py -k plain_scan",
    ),
    Mutation(
        "the gradient of a chunk that is skipped is lost",
        "nets/gru.py",
        "return d + d_states.sum(0), sums,",
        "return d, sums,",
        "nets/test_gru.py -k plain_scan",
    ),
    Mutation(
        "a token is not attended to by itself",
        "nets/attention.py",
        "places <= position[:, None]",
        "places < position[:, None]",
        "nets/test_causal_networks.py -k parallel_pass",
    ),
    Mutation(
        "a window across the end of an epoch is sorted as one",
        "data/order.py",
        "jnp.lexsort((lengths[index], epoch))",
        "jnp.argsort(lengths[index])",
        "data/test_order.py -k per_epoch_by_length",
    ),
]
MUTATIONS = [
    *BUILDERS,
    *OBJECTIVES,
    *DISTRIBUTIONS,
    *FLOW,
    *EVALUATION,
    *TABLES,
    *FIGURES,
    *TEXT,
    *SEARCH,
    *SEQUENCES,
]
