"""Each head against scipy: its last layer by numpy, at scales that are not the default."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vae_jax import distributions, likelihoods
from vae_jax.errors import InputError
from vae_jax.likelihoods.kinds import KINDS

RNG = np.random.default_rng(4)
N, F, D = 9, 3, 4
LOGVARS, LOG_COUNTS, LOG_MEANS, LOG_RS = (-14, 8), (-7, 7), (-10, 17), (-7, 10)
LOG_SCALES, LOGISTIC_SCALES = (-7, 4), (-8, 3)
LOG_DFS, LOGS, LOG_SIGMAS = (math.log(2), math.log(1000)), (-60, 60), (-7, 2)
LOG_GAPS = (-7, 4)


def clipped(x, low, high):
    """`soft_clip` in float64: up from `low`, then down from `high`."""
    x = low + np.logaddexp(0, x - low)
    return high - (high - low) / np.logaddexp(0, high - low) * np.logaddexp(0, high - x)


def gaussian(x, mean, stddev):
    return stats.norm.logpdf(x, mean, stddev)


def logistic(x, loc, log_scale, levels=6):
    """The log-mass of the grid value x, with open ends."""

    def side(edge, sign):
        return special.expit(sign * (edge / (levels - 1) - loc) / np.exp(log_scale))

    k = np.round(x * (levels - 1))
    last, first = k == levels - 1, k == 0
    below = np.where(last, 1.0, side(k + 0.5, 1)) - np.where(first, 0.0, side(k - 0.5, 1))
    above = np.where(first, 1.0, side(k - 0.5, -1)) - np.where(last, 0.0, side(k + 0.5, -1))
    return np.log(np.where(k / (levels - 1) < loc, below, above))  # in the tail that is near


def mixture(x, numbers):
    loc, scale, logits = np.split(numbers, 3, axis=-1)
    loc = loc + (np.arange(2) + 0.5) / 2
    mass = np.exp(logistic(x[..., None], loc, clipped(scale - 2, *LOGISTIC_SCALES)))
    return np.log((special.softmax(logits, -1) * mass).sum(-1))


def beta_binomial(x, a, b):
    a, b = (np.exp(clipped(number, *LOG_COUNTS)) for number in (a, b))
    return stats.betabinom.logpmf(np.round(x * 5), 5, a, b)


def negative_binomial(x, raw, log_r):
    mu, r = np.exp(clipped(raw, *LOG_MEANS)), np.exp(clipped(log_r, *LOG_RS))
    return stats.nbinom.logpmf(x, r, r / (r + mu))


def student_t(x, loc, log_scale, df):
    return stats.t.logpdf(x, df, loc, np.exp(clipped(log_scale, *LOG_SCALES)))


def predicted_df(raw, start=4.0):
    """Degrees of freedom that are `start` at an output of 0."""
    offset = float(distributions.inverse_soft_clip(math.log(start), *LOG_DFS))
    return np.exp(clipped(offset + raw, *LOG_DFS))


def poisson(x, raw):
    return stats.poisson.logpmf(x, np.exp(clipped(raw, *LOG_MEANS)))


def zero_inflated(x, raw, gate, log_r):
    counted = special.log_expit(-gate) + negative_binomial(x, raw, log_r)
    return np.where(x == 0, np.logaddexp(special.log_expit(gate), counted), counted)


def log_normal(x, raw, log_sigma):
    sigma = np.exp(clipped(log_sigma, *LOG_SIGMAS))
    return stats.lognorm.logpdf(x, sigma, 0, np.exp(clipped(raw, *LOGS)))


def ordinal(x, loc, log_gaps):
    """Log-masses of codes [N, n] with thresholds around 0, log_gaps [n, K - 2]."""
    gaps = np.exp(clipped(log_gaps, *LOG_GAPS))
    steps = np.cumsum(np.concatenate([0 * gaps[:, :1], gaps], -1), -1)
    below = special.expit(steps - steps[:, -1:] / 2 - loc[..., None])
    ends = np.zeros_like(below[..., :1])
    masses = np.diff(np.concatenate([ends, below, ends + 1], -1))
    return np.log(np.take_along_axis(masses, np.int64(x)[..., None], -1)[..., 0])


def categorical(x, logits):
    return np.take_along_axis(special.log_softmax(logits, -1), np.int64(x)[..., None], -1)[..., 0]


def continuous_bernoulli(x, logits):
    return x * logits + np.log(logits / np.expm1(logits))


HEADS = {  # head, its parameter moved by hand, value, log-density of (x, raw, parameter)
    "bernoulli": (
        likelihoods.Bernoulli((D,)),
        "bits",
        lambda x, raw, _: (
            x * special.log_expit(raw[..., 0]) + (1 - x) * special.log_expit(-raw[..., 0])
        ),
    ),
    "continuous bernoulli": (
        likelihoods.ContinuousBernoulli((D,)),
        "units",
        lambda x, raw, _: continuous_bernoulli(x, raw[..., 0]),
    ),
    "gaussian": (
        likelihoods.Gaussian((D,), 0.3),
        "reals",
        lambda x, raw, _: gaussian(x, raw[..., 0], 0.3),
    ),
    "learned gaussian": (
        likelihoods.LearnedGaussian((D,), (D,), 0.3),
        "reals",
        lambda x, raw, logvar: gaussian(x, raw[..., 0], np.exp(clipped(logvar, *LOGVARS) / 2)),
    ),
    "predicted gaussian": (
        likelihoods.PredictedGaussian((D,)),
        "reals",
        lambda x, raw, _: gaussian(x, raw[..., 0], np.exp(clipped(raw[..., 1], *LOGVARS) / 2)),
    ),
    "laplace": (
        likelihoods.Laplace((D,), 0.3),
        "reals",
        lambda x, raw, _: stats.laplace.logpdf(x, raw[..., 0], 0.3),
    ),
    "learned laplace": (
        likelihoods.LearnedLaplace((D,), (D,), 0.3),
        "reals",
        lambda x, raw, s: stats.laplace.logpdf(x, raw[..., 0], np.exp(clipped(s, *LOG_SCALES))),
    ),
    "predicted laplace": (
        likelihoods.PredictedLaplace((D,)),
        "reals",
        lambda x, raw, _: stats.laplace.logpdf(
            x, raw[..., 0], np.exp(clipped(raw[..., 1], *LOG_SCALES))
        ),
    ),
    "discretized logistic": (
        likelihoods.DiscretizedLogistic((D,), 6),
        "grid",
        lambda x, raw, _: logistic(
            x, 0.5 + raw[..., 0], clipped(raw[..., 1] - 2, *LOGISTIC_SCALES)
        ),
    ),
    "logistic mixture": (
        likelihoods.DiscretizedLogisticMixture((D,), 6, components=2),
        "grid",
        lambda x, raw, _: mixture(x, raw),
    ),
    "categorical": (
        likelihoods.Categorical((D,), 6),
        "grid",
        lambda x, raw, _: np.take_along_axis(
            special.log_softmax(raw, -1), np.int64(np.round(5 * x))[..., None], -1
        )[..., 0],
    ),
    "beta-binomial": (
        likelihoods.BetaBinomial((D,), 6),
        "grid",
        lambda x, raw, _: beta_binomial(x, raw[..., 0], raw[..., 1]),
    ),
    "negative binomial": (
        likelihoods.NegativeBinomial((D,)),
        "counts",
        lambda x, raw, log_r: negative_binomial(x, raw[..., 0], log_r),
    ),
    "student t": (
        likelihoods.StudentT((D,)),
        "reals",
        lambda x, raw, log_df: student_t(
            x, raw[..., 0], raw[..., 1], np.exp(clipped(log_df, *LOG_DFS))
        ),
    ),
    "student t of fixed df": (
        likelihoods.StudentT((D,), "fixed", 1.5),
        "reals",
        lambda x, raw, _: student_t(x, raw[..., 0], raw[..., 1], 1.5),
    ),
    "student t of predicted df": (
        likelihoods.StudentT((D,), "predicted", 4.0),
        "reals",
        lambda x, raw, _: student_t(x, raw[..., 0], raw[..., 1], predicted_df(raw[..., 2])),
    ),
    "poisson": (
        likelihoods.Poisson((D,)),
        "counts",
        lambda x, raw, _: poisson(x, raw[..., 0]),
    ),
    "zero-inflated": (
        likelihoods.ZeroInflatedNegativeBinomial((D,)),
        "counts",
        lambda x, raw, log_r: zero_inflated(x, raw[..., 0], raw[..., 1], log_r),
    ),
    "positive": (
        likelihoods.LogNormal((D,)),
        "positive",
        lambda x, raw, log_sigma: log_normal(x, raw[..., 0], log_sigma),
    ),
}
VALUES = {
    "bits": np.float64(RNG.random((N, D)) < 0.5),
    "units": np.float64(np.float32(RNG.random((N, D)))),
    "reals": np.float64(np.float32(RNG.normal(size=(N, D)))),
    "positive": np.float64(np.float32(np.exp(RNG.normal(size=(N, D))))),
    "grid": RNG.integers(0, 6, (N, D)) / 5,
    "counts": np.float64(RNG.integers(0, 9, (N, D))),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_scipys(name) -> None:
    head, values, log_density = HEADS[name]
    x, h = VALUES[values], np.float32(RNG.normal(size=(N, F)))
    shapes = jax.eval_shape(head.init, jax.random.key(0), h)
    params = jax.tree.map(lambda leaf: np.float32(0.6 * RNG.normal(size=leaf.shape)), shapes)
    layer = params["params"]["EventLayer_0"]["out"]
    raw = (np.float64(h) @ np.float64(layer["kernel"]) + layer["bias"]).reshape(N, D, -1)
    own = [np.float64(v) for k, v in params["params"].items() if k != "EventLayer_0"]
    expected = log_density(x, raw, own[0] if own else None)
    terms = jax.jit(lambda x: head.apply(params, h).log_prob_terms(x))(jnp.float32(x))
    np.testing.assert_allclose(terms, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected).max() > 0.3


COLUMNS = (  # two of each kind, apart from each other
    *("counts", "ordinal:4", "gaussian", "student_t", "zero_inflated", "categorical:3", "positive"),
    *("bernoulli", "poisson", "poisson", "bernoulli", "positive", "categorical:3"),
    *("zero_inflated", "student_t", "gaussian", "ordinal:4", "counts", "ordinal:2"),
)


def column(name, x, raw, own):
    """The log-density of the columns of a kind: x [N, n], outputs [N, n, P], own parameters."""
    first, logs = raw[..., 0], {key: np.float64(value) for key, value in own.items()}
    return {
        "gaussian": lambda: gaussian(x, first, np.exp(clipped(logs["logvar"], *LOGVARS) / 2)),
        "student_t": lambda: student_t(
            x,
            first,
            logs["student_t_log_scale"],
            np.exp(clipped(logs["student_t_log_df"], *LOG_DFS)),
        ),
        "positive": lambda: log_normal(x, first, logs["log_sigma"]),
        "bernoulli": lambda: stats.bernoulli.logpmf(x, special.expit(first)),
        "categorical:3": lambda: categorical(x, raw),
        "ordinal:4": lambda: ordinal(x, first, logs["ordinal_4_log_gaps"]),
        "ordinal:2": lambda: stats.bernoulli.logpmf(x, special.expit(first)),
        "counts": lambda: negative_binomial(x, first, logs["log_inverse_dispersion"]),
        "poisson": lambda: poisson(x, first),
        "zero_inflated": lambda: zero_inflated(
            x, first, raw[..., 1], logs["zero_inflated_log_inverse_dispersion"]
        ),
    }[name]()


def test_columns_of_every_kind_are_scipys() -> None:
    assert {name.partition(":")[0] for name in COLUMNS} == KINDS.keys()
    head, h = likelihoods.Mixed((len(COLUMNS),), COLUMNS), np.float32(RNG.normal(size=(N, F)))
    values = {"reals": "reals", "positive": "positive", "counts": "counts", "codes": "bits"}
    x = np.empty((N, len(COLUMNS)))
    sizes = []
    for place, one in enumerate(likelihoods.parse_columns(COLUMNS)):
        x[:, place] = VALUES[values[one.values]][:, place % D]
        sizes.append(one.num_params)
    x[:, [1, 16]] = RNG.integers(0, 4, (N, 2))
    shapes = jax.eval_shape(head.init, jax.random.key(0), h)
    params = jax.tree.map(lambda leaf: np.float32(0.6 * RNG.normal(size=leaf.shape)), shapes)
    own = dict(params["params"])
    layer = own.pop("EventLayer_0")["out"]
    raw = np.float64(h) @ np.float64(layer["kernel"]) + layer["bias"]
    outputs = np.split(raw, np.cumsum(sizes)[:-1], axis=-1)
    expected = np.empty_like(x)
    for name in set(COLUMNS):
        places = [place for place, other in enumerate(COLUMNS) if other == name]
        of_kind = np.stack([outputs[place] for place in places], axis=1)
        expected[:, places] = column(name, x[:, places], of_kind, own)
    terms = jax.jit(lambda x: head.apply(params, h).log_prob_terms(x))(jnp.float32(x))
    np.testing.assert_allclose(terms, expected, rtol=1e-4, atol=1e-4)


def test_ordinal_codes_start_with_equal_masses() -> None:
    for codes in (2, 3, 7):
        head = likelihoods.Mixed((1,), f"ordinal:{codes}")
        p, _ = head.init_with_output(jax.random.key(0), np.zeros((1, F), np.float32))
        x = np.arange(codes, dtype=np.float32)[:, None]
        np.testing.assert_allclose(np.exp(p.log_prob(x)), 1 / codes, rtol=1e-3)


@pytest.mark.parametrize("scale", [0.05, 0.3, 4.0])
def test_learned_scales_start_where_they_are_told(scale) -> None:
    x, h = VALUES["reals"], np.zeros((N, F), np.float32)
    for head, density in (
        (likelihoods.LearnedGaussian((D,), (), scale), stats.norm),
        (likelihoods.LearnedLaplace((D,), (), scale), stats.laplace),
        (likelihoods.Gaussian((D,), scale), stats.norm),
        (likelihoods.Laplace((D,), scale), stats.laplace),
    ):
        p, _ = head.init_with_output(jax.random.key(0), h)
        np.testing.assert_allclose(
            p.log_prob(jnp.float32(x)), density.logpdf(x, 0, scale).sum(-1), rtol=1e-4
        )


def test_the_dispersion_starts_where_it_is_told() -> None:
    head = likelihoods.NegativeBinomial((D,), init_inverse_dispersion=3.0)
    p, _ = head.init_with_output(jax.random.key(0), np.zeros((N, F), np.float32))
    np.testing.assert_allclose(p.log_inverse_dispersion, math.log(3.0), rtol=1e-4)
    p, _ = likelihoods.LogNormal((D,), (), 0.3).init_with_output(
        jax.random.key(0), np.zeros((N, F), np.float32)
    )
    np.testing.assert_allclose(p.log_scale, math.log(0.3), rtol=1e-4)


@pytest.mark.parametrize("df", likelihoods.DF_SOURCES)
def test_degrees_of_freedom_start_where_they_are_told(df) -> None:
    head = likelihoods.StudentT((D,), df, 3.0)
    p, _ = head.init_with_output(jax.random.key(0), np.zeros((N, F), np.float32))
    np.testing.assert_allclose(p.df, 3.0, rtol=1e-4)


def test_an_unknown_source_of_df_is_refused() -> None:
    with pytest.raises(InputError, match=r"df = 'predict'.*did you mean 'predicted'"):
        likelihoods.StudentT((D,), "predict")
