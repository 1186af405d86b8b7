"""Imputation of the breast-cancer data: MIWAE, compared with scikit-learn.

python -m benchmarks.imputation --masks=20

The table inside scikit-learn, 569 x 30 and standardized, loses half of its values completely at
random. The model sees what is observed, and imputes the rest of the same rows by their conditional
mean, as in the notebook of Mattei and Frellsen, 2019 (arXiv:1812.02633), who report a mean squared
error of 0.287. Here it is 0.285, the median of 20 masks, from 0.254 to 0.312, in 5 minutes on two
cores (0.284 on an H200). Column means have 1.004, and scikit-learn's IterativeImputer 0.316. All
masks are trained in one program.

The criterion of the width and of the length of training is log p of observed values that are hidden
from training in addition, `--held-out=0.1`: -0.230, -0.209 and -0.232 nats for each value after
300, 400 and 600 epochs. The errors of the values to impute are no criterion.
"""

import argparse
import functools
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from vae_jax import VAE, likelihoods, make_loss_fn, nets, posteriors, priors, train
from vae_jax.data import ArraySource
from vae_jax.data.order import batch_index
from vae_jax.evaluation.imputation import Imputation, impute
from vae_jax.evaluation.likelihood import log_likelihood
from vae_jax.objectives import iwae
from vae_jax.types import Params

LATENT, HIDDEN, RATE = 10, 64, 0.5


def main() -> None:
    """Print the errors of all methods."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--masks", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--train-samples", type=int, default=20, help="K of the bound")
    parser.add_argument("--samples", type=int, default=10_000, help="of each imputation")
    parser.add_argument("--held-out", type=float, default=0.0, help="share of observed values")
    options = parser.parse_args()
    x = read_table()
    masks = np.stack([draw_mask(seed, x.shape) for seed in range(options.masks)])
    seen = masks & (np.random.default_rng(0).random(masks.shape) >= options.held_out)
    model = make_model(x.shape[1])
    start = time.perf_counter()
    params = fit(model, x, seen, options)
    middle = time.perf_counter()
    result = impute_all(model, params, x, seen, options.samples)
    print(f"training {middle - start:.0f} s, imputation {time.perf_counter() - middle:.0f} s")
    report("MIWAE", [error(*pair, x) for pair in zip(result.values, masks, strict=True)])
    print(f"effective sample size, median {np.median(result.ess):.0f} of {options.samples}")
    if options.held_out:
        print(f"log p of held-out values {held_out_score(model, params, x, masks, seen):.4f} nats")
    report("column means", [error(column_means(x, mask), mask, x) for mask in masks])
    report("IterativeImputer", [error(iterative(x, mask), mask, x) for mask in masks])


def report(name: str, errors: list[float]) -> None:
    """Print the mean squared error over masks."""
    low, median, high = np.quantile(errors, [0, 0.5, 1])
    print(f"{name}: MSE {median:.4f}, the median of {len(errors)} masks ({low:.4f} to {high:.4f})")


def error(imputed: np.ndarray, observed: np.ndarray, x: np.ndarray) -> float:
    """The mean squared error of the missing entries."""
    return float(np.square(np.asarray(imputed, np.float64) - x)[~observed].mean())


def read_table() -> np.ndarray:
    """The standardized table, [569, 30]."""
    from sklearn.datasets import load_breast_cancer

    x = load_breast_cancer().data
    return np.float32((x - x.mean(0)) / x.std(0))


def draw_mask(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The observed entries: exactly half of all."""
    order = np.random.default_rng(seed).permutation(int(np.prod(shape)))
    return order.reshape(shape) >= int(RATE * order.size)


def column_means(x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Each missing entry by the mean of what is observed in its column."""
    means = np.where(observed, x, 0).sum(0) / observed.sum(0)
    return np.where(observed, x, means)


def iterative(x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Scikit-learn's IterativeImputer with its defaults, Bayesian ridge regression."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ten rounds don't converge
        return IterativeImputer(random_state=0).fit_transform(np.where(observed, x, np.nan))


def make_model(num_columns: int) -> VAE:
    """Two hidden layers with tanh, as in the notebook, of half its width."""
    mlp = functools.partial(nets.MLP, (HIDDEN, HIDDEN), activation=nn.tanh)
    return VAE(
        encoder=mlp(),
        decoder=mlp(),
        posterior=posteriors.DiagGaussianHead(LATENT),
        prior=priors.StandardNormal(LATENT),
        likelihood=likelihoods.StudentT((num_columns,)),
    )


def fit(model: VAE, x: np.ndarray, masks: np.ndarray, options: argparse.Namespace) -> Params:
    """Parameters of one model for each mask [M, N, C], trained by the bound of MIWAE."""
    tx = optax.adam(options.learning_rate)
    loss_fn = make_loss_fn(model, iwae, num_samples=options.train_samples)
    order = functools.partial(
        batch_index, num_examples=len(x), batch_size=options.batch_size, seed=0
    )
    num_steps = options.epochs * len(x) // options.batch_size

    def one(key: jax.Array, observed: jax.Array) -> Params:
        source = ArraySource(jnp.asarray(x), observed=observed)
        state = train.init_state(key, model, jnp.asarray(x[:1]), tx)
        state, _ = train.train_epoch(
            state, source, loss_fn=loss_fn, tx=tx, order=order, num_steps=num_steps
        )
        return state.params

    keys = jax.random.split(jax.random.key(0), len(masks))
    return jax.block_until_ready(jax.jit(jax.vmap(one))(keys, masks))


def impute_all(
    model: VAE, params: Params, x: np.ndarray, masks: np.ndarray, num_samples: int
) -> Imputation:
    """The imputation of the missing entries under each mask."""

    def one(pair: tuple[Params, jax.Array]) -> Imputation:
        params, observed = pair
        batch = {"x": jnp.where(observed, x, 0), "observed": observed}
        return impute(model, params, batch, jax.random.key(1), num_samples=num_samples, chunk=20)

    return jax.tree.map(np.asarray, jax.jit(lambda pair: jax.lax.map(one, pair))((params, masks)))


def held_out_score(
    model: VAE, params: Params, x: np.ndarray, masks: np.ndarray, seen: np.ndarray
) -> float:
    """Log p(held-out | seen), nats for each value: the median over masks."""

    def log_p(params: Params, observed: jax.Array) -> jax.Array:
        batch = {"x": jnp.where(observed, x, 0), "observed": observed}
        return log_likelihood(model, params, batch, jax.random.key(2), num_samples=2_000)[0].sum()

    both = jax.jit(lambda p, full, part: jax.lax.map(
        lambda a: log_p(a[0], a[1]) - log_p(a[0], a[2]), (p, full, part)
    ))  # fmt: skip
    scores = np.asarray(both(params, masks, seen)) / (masks & ~seen).sum((1, 2))
    return float(np.median(scores))


if __name__ == "__main__":
    main()
