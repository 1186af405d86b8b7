"""The metric `sequences`, and the bits per token of bound and baseline, on short lines."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_suite import make_context, small

from vae_jax.config import Config
from vae_jax.evaluation import fit_ngrams
from vae_jax.evaluation.sequences import Reconstructions
from vae_jax.evaluation.terms import summarize
from vae_jax.experiment import metrics
from vae_jax.experiment.measurement.columns import summarize_columns
from vae_jax.experiment.measurement.evaluator import summarize_baseline
from vae_jax.experiment.metrics import sequences
from vae_jax.experiment.metrics.latents import rate_weight
from vae_jax.experiment.metrics.likelihood import _bits_per_dim
from vae_jax.experiment.results import describe
from vae_jax.experiment.run import make_run

RNG = np.random.default_rng(0)
LINES = ["a" * RNG.integers(1, 4) + "b" * RNG.integers(0, 2) for _ in range(200)]


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    (folder / "lines.txt").write_text("\n".join(LINES) + "\n")
    config = small(
        "sequences",
        data__name="text",
        data__path=str(folder / "lines.txt"),
        data__binarization="none",
        model__network="gru",
        model__token_features=4,
        model__encoder_width=6,
        model__decoder_width=6,
        evaluation__sequence_examples=25,
        evaluation__num_generated=40,
        objective__beta=0.5,
    )
    return make_context(config, folder)


@pytest.fixture(scope="module")
def rows(context):
    source = context.dataset.test
    return np.asarray(source.take(jnp.arange(source.num_examples), jax.random.key(0))["x"])


def test_the_metric_of_a_run(context, rows):
    numbers = metrics.METRICS["sequences"](context, jax.random.key(1))
    assert numbers["num_examples"] == 25
    assert numbers["rate_weight"] == 0.5
    assert "weight of the rate of 0.5" in numbers["estimator"]
    assert not any("canonical" in name for name in numbers)
    for name in ("exact_greedy", "exact_one_draw", "exact_sampled", "exact_beam"):
        assert 0 <= numbers[name] <= 1
        assert name in numbers["estimator"]
        assert f"{name}_stderr" in numbers
    lengths = (rows > 0).sum(1)
    assert numbers["test"]["length"] == pytest.approx(lengths.mean())
    assert 0 <= numbers["samples"]["unended"] <= 1
    bits = -context.terms.elbo.sum(dtype=np.float64) / lengths.sum() / np.log(2)
    assert numbers["bits_per_token"] == pytest.approx(bits)
    assert "exact_greedy" in metrics.describe("sequences", numbers)


def test_bits_per_token_stand_beside_nats(context, rows):
    terms, shape = context.terms, context.dataset.shape
    numbers = summarize(terms, shape, context.dataset.test.value_range, is_text=True)
    tokens = (rows > 0).sum(1)
    np.testing.assert_array_equal(terms.num_observed, tokens)
    assert numbers["tokens"] == pytest.approx(tokens.mean())
    bits = -terms.elbo.sum(dtype=np.float64) / tokens.sum() / np.log(2)
    assert numbers["bits_per_token"] == pytest.approx(bits)
    residuals = -terms.elbo / np.log(2) - bits * tokens
    stderr = residuals.std(ddof=1) / np.sqrt(len(tokens)) / tokens.mean()
    assert numbers["bits_per_token_stderr"] == pytest.approx(stderr, rel=1e-4)
    assert not {"bits_per_dim", "observed_values", "mse"} & numbers.keys()
    likelihood = _bits_per_dim(context, terms.elbo, {})
    assert likelihood["bits_per_token"] == pytest.approx(bits)
    assert "bits_per_dim" not in likelihood
    assert context.of_observed == ""


def test_the_baseline_is_a_trigram_model(context, rows):
    run = make_run(context.config, context.workdir, context.dataset)
    numbers = summarize_baseline(run, context.terms, "test")
    model = fit_ngrams(context.dataset.train, context.dataset.text.size)
    for name, order in (("baseline", 3), ("unigram_baseline", 1)):
        log_px = model.with_order(order).log_prob(rows)
        assert numbers[name] == pytest.approx(log_px.mean())
        bits = -log_px.sum() / (rows > 0).sum() / np.log(2)
        assert numbers[f"{name}_bits_per_token"] == pytest.approx(bits)
    assert summarize_columns(run, context) == {}  # it is no table
    test = summarize(context.terms, context.dataset.shape, (0.0, 3.0), is_text=True) | numbers
    line = describe(
        {
            "test": test,
            "data": {"name": "lines", "num_test": 40, **context.dataset.preparation},
            "likelihood": "tokens",
            "baseline": context.baseline.name,
            "step": 0,
        }
    )
    assert f"{test['bits_per_token']:.4f} +- " in line
    assert f"(baseline {test['baseline_bits_per_token']:.4f})" in line
    assert "40 lines" in line
    assert "bits/dim" not in line


def test_two_strings_of_one_molecule_match_as_molecules(context):
    pytest.importorskip("rdkit")
    alphabet = dataclasses.replace(context.dataset.text, kind="smiles", tokens=("(", ")", "C", "O"))
    lines = ["CO", "CO", "CC", "C("], ["OC", "CO", "CO", "C("]  # the last is no molecule
    x, greedy = (alphabet.encode_lines(part, 4) for part in lines)
    ones = np.ones(4)
    result = Reconstructions(greedy, x, x, ones, ones, ones, x)
    fake = dataclasses.replace(context, dataset=dataclasses.replace(context.dataset, text=alphabet))
    shares = sequences._canonical(fake, result)
    assert shares["canonical_greedy"].value == 0.75
    assert result.estimates()["exact_greedy"].value == 0.5
    assert shares["canonical_beam"].value == 1


@pytest.mark.parametrize(
    ("kind", "schedule", "steps", "expected"),
    [
        ("vae", "constant", 0, 0.5),
        ("vae", "linear", 100, 0.5),
        ("vae", "linear", 400, 0.125),  # training ends in the warm-up
        ("language_model", "constant", 0, None),
    ],
)
def test_the_weight_of_the_rate_is_that_of_the_end_of_training(kind, schedule, steps, expected):
    config = Config()
    config.model.kind, config.train.num_steps = kind, 100
    objective = config.objective
    objective.beta, objective.beta_schedule, objective.beta_steps = 0.5, schedule, steps
    assert rate_weight(config, (8,)) == expected
