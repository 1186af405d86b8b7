"""Train on a table, compare with independent columns on the last fifth of its rows, and save."""

import argparse
import os
import sys
from collections.abc import Sequence

import jax
import numpy as np
from scipy import stats

import vae_jax
from river_flow import table
from river_flow.gamma import GammaLikelihood
from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.errors import InputError, RunDiverged

FIELDS = {
    "train.eval_every": 100,
    "train.patience": 5,
    "optimizer.learning_rate": 3e-3,
}


def make_model(likelihood: GammaLikelihood, rows: np.ndarray) -> VAE:
    """A VAE of two latents in the units of a training set [N, C]."""
    return VAE(
        encoder=nets.MLP((32,)),
        decoder=nets.MLP((32,)),
        posterior=posteriors.DiagGaussianHead(2),
        prior=priors.StandardNormal(2),
        likelihood=likelihood,
        units=likelihoods.fit_units(likelihood, rows),
    )


def independent_log_prob(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The log-density [N] of test rows under a gamma distribution fitted to each column of train.

    It is of the observed values. In nats, as the ELBO.
    """
    total = np.zeros(len(test))
    for column, values in zip(train.T, test.T, strict=True):
        shape, _, scale = stats.gamma.fit(column[~np.isnan(column)], floc=0)
        terms = stats.gamma.logpdf(values, shape, scale=scale)
        total += np.where(np.isnan(values), 0, terms)
    return total


def run(flows: np.ndarray, folder: str, num_steps: int) -> tuple[float, float]:
    """Train, save and print; returns the mean ELBO and log-density of the baseline, nats a row."""
    if os.path.exists(folder):
        raise InputError(f"folder = {folder!r}: exists; name a new one")
    table.check(flows)
    likelihood = GammaLikelihood((flows.shape[1],))
    likelihoods.check_support(likelihood, flows, ~np.isnan(flows))
    train, test = np.split(flows, [len(flows) * 4 // 5])
    batch_size = min(64, len(train) // 2)
    fields = FIELDS | {"train.num_steps": num_steps, "train.batch_size": batch_size}
    fields["data.missing"] = bool(np.isnan(flows).any())
    model = vae_jax.fit(train, make_model(likelihood, train), fields)
    elbo = float(np.mean(model.elbo(jax.random.key(0), test, num_samples=16)))
    baseline = float(np.mean(independent_log_prob(train, test)))
    vae_jax.save(model, folder)
    print(f"{len(train)} days for training, {len(test)} for testing, {flows.shape[1]} rivers")
    print(f"test ELBO {elbo:.2f} nats a day, independent gammas {baseline:.2f}")
    print(f"saved in {folder}: {model}")
    return elbo, baseline


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="river-flow", description=__doc__)
    parser.add_argument("--folder", required=True, help="new folder of the model")
    parser.add_argument("--table", help="CSV file of numbers above 0; a simulated table by default")
    parser.add_argument("--num_steps", type=int, default=1_000)
    options = parser.parse_args(arguments)
    try:
        flows = table.read(options.table) if options.table else table.simulate(500, seed=0)
        run(flows, options.folder, options.num_steps)
    except (InputError, RunDiverged) as error:
        print(f"river-flow: {error}", file=sys.stderr)
        return 2
    return 0
