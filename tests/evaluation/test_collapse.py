"""The verdict on models of known health."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, posteriors, priors
from vae_jax.data import ArraySource
from vae_jax.evaluation import collapse
from vae_jax.evaluation.baseline_scores import BaselineScores
from vae_jax.evaluation.code_use import make_code_gain
from vae_jax.evaluation.terms import (
    Terms,
    describe_rows,
    find_extreme,
    has_diverged,
    summarize,
)
from vae_jax.nets import MLP

N, D = 400, 10


def verdict(terms, *, baseline=None, **setting):
    return collapse.verdict(terms, baseline=baseline, setting=collapse.Setting(**setting))


def terms(active, *, rate=None, kl=True):
    """Codes of which the first `active` follow the data and the others are the prior's mean."""
    rng = np.random.default_rng(0)
    code = np.concatenate(
        [rng.normal(size=(N, active)), 0.01 * rng.normal(size=(N, D - active))], axis=1
    )
    kls = np.where(np.arange(D) < active, 1.5, 1e-3) * np.ones((N, 1))
    total = kls.sum(1) if rate is None else np.full(N, rate)
    return Terms(
        distortion=np.full(N, 90.0),
        rate=total,
        code=code,
        mse=None,
        kl=kls if kl else None,
        y=None,
        denoising_mse=None,
    )


@pytest.mark.parametrize("kl", [True, False])
@pytest.mark.parametrize(
    ("active", "name"), [(10, "healthy"), (6, "healthy"), (3, "partly collapsed"), (0, "collapsed")]
)
def test_the_verdict_goes_by_the_active_latents(active, name, kl):
    found = verdict(terms(active, kl=kl))
    assert found.name == name
    assert f"{active} of {D} latents are active" in found.text
    assert bool(found.remedy) == (name != "healthy")


def test_an_active_latent_has_variance_and_a_used_one_a_rate_too():
    healthy = terms(10)
    kl = healthy.kl * np.where(np.arange(D) < 4, 1, 1e-3)  # six vary at no rate
    code = healthy.code * np.where(np.arange(D) < 3, 1, 1e-3)  # one has a rate and is constant
    for changed, active, used in (
        ({"kl": kl}, D, 4),
        ({"code": code}, 3, 3),
        ({"kl": kl[:, ::-1], "code": code}, 3, 0),
    ):
        found = verdict(dataclasses.replace(healthy, **changed))
        assert f"{active} of {D} latents are active, {used} of them" in found.text


def test_codes_that_vary_at_no_rate_are_collapsed_all_the_same():
    assert verdict(terms(10, rate=0.02, kl=False)).name == "collapsed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Warm up beta"),
        ({"warm_up": True}, "Lower beta"),
        ({"fixed_sigma": True}, "sigma"),
        ({"expressive_decoder": True, "fixed_sigma": True}, "receptive field"),
        ({"expressive_decoder": True, "reads_tokens": True, "beta": 0.5}, "dropout.*below 0.5"),
    ],
)
def test_the_remedy_goes_by_what_the_model_is(options, words):
    assert re.search(words, verdict(terms(0), **options).remedy)


def test_the_weight_of_the_rate_stands_beside_it():
    assert "at beta" not in verdict(terms(10)).text
    found = verdict(terms(10), beta=0.05, weight_name="config.objective.beta")
    assert "(1.500 a latent) at beta = 0.05." in found.text
    found = verdict(terms(10), current_weight=0.012345, weight_name="config.objective.beta")
    assert "(1.500 a latent) at beta = 0.0123, whose schedule ends at 1." in found.text


def test_codes_that_a_decoder_of_tokens_ignores_have_a_remedy():
    found = verdict(terms(10), reads_tokens=True, beta=0.5, code_gain=0.1)
    assert found.name == "unused rate"
    assert "token dropout" in found.remedy
    assert "below" not in found.remedy


def test_a_control_without_latents_is_compared_with_the_baseline_alone():
    control = dataclasses.replace(
        terms(0, rate=0.0), code=np.zeros((N, 1)), kl=np.zeros((N, 1)), rate=np.zeros(N)
    )
    bound = float(control.elbo.mean())
    found = verdict(control, has_latents=False, reads_tokens=True, baseline=baseline(bound - 1))
    assert found.name == "no latents"
    assert "by construction" in found.text
    assert found.remedy == ""
    found = verdict(control, has_latents=False, reads_tokens=True, baseline=baseline(bound))
    assert found.name == "worse than the baseline"
    assert found.remedy == "Train longer, or raise the learning rate."


def test_points_and_divergence_have_verdicts_of_their_own():
    assert verdict(terms(10, rate=np.inf)).name == "no rate"
    diverged = terms(10)
    diverged.distortion[3:] = np.nan
    assert verdict(diverged).name == "diverged"


def baseline(elbo, *, mse=0.1, is_constant=False):
    """A baseline with this log-likelihood for every example."""
    return BaselineScores(
        np.full(N, float(elbo)), np.full(N, mse), "independent pixels", np.ones(1), is_constant
    )


def reconstructing(mse=0.05, **changes):
    """A healthy model, with an ELBO of -(90 + 15) nats."""
    return dataclasses.replace(terms(10), mse=np.full(N, mse), **changes)


def test_no_model_below_the_baseline_is_healthy():
    found = verdict(reconstructing(), baseline=baseline(-106))
    assert found.name == "healthy"
    assert "The ELBO of -105.00 nats is above the -106.00 nats of independent pixels" in found.text
    for elbo in (-105, -50):
        found = verdict(reconstructing(), baseline=baseline(elbo))
        assert found.name == "worse than the baseline"
        assert "10 of 10 latents are active" in found.text
        assert "is not above" in found.text
        assert found.remedy
    partly = dataclasses.replace(terms(3), mse=np.full(N, 0.05))
    assert verdict(partly, baseline=baseline(-50)).name == "worse than the baseline"
    collapsed = verdict(terms(0), baseline=baseline(-80))
    assert collapsed.name == "collapsed"
    assert "-80.00 nats" in collapsed.text


def test_a_bound_of_several_draws_is_not_judged_by_the_elbo():
    found = verdict(reconstructing(), baseline=baseline(-50), importance_samples=20)
    assert found.name == "unknown"
    assert "a bound of 20 draws" in found.text
    assert "is not above" in found.text
    assert verdict(terms(0), baseline=baseline(-80), importance_samples=20).name == "collapsed"
    above = verdict(reconstructing(), baseline=baseline(-106), importance_samples=20)
    assert above.name == "healthy"


def test_a_rate_that_buys_nothing_is_named():
    found = verdict(reconstructing(mse=0.1), baseline=baseline(-89))
    assert found.name == "unused rate"
    assert "The rate of 15.00 nats buys nothing" in found.text
    assert verdict(terms(10), baseline=baseline(-89)).name == "unused rate"  # without a mean
    # Better by p(x | z), but not by as much as the rate costs.
    costly = verdict(reconstructing(mse=0.1), baseline=baseline(-91), beta=0.5)
    assert costly.name == "worse than the baseline"
    assert costly.remedy == "Raise beta, which is 0.5."


def test_a_rate_is_unused_if_another_code_does_as_well():
    for gain, name in ((1.4, "unused rate"), (1.6, "healthy"), (None, "healthy")):
        found = verdict(terms(10), expressive_decoder=True, code_gain=gain)  # 15 nats of rate
        assert found.name == name
    found = verdict(terms(10), expressive_decoder=True, code_gain=0.0, baseline=baseline(-110))
    assert found.name == "unused rate"
    assert "It buys nothing" in found.text
    assert "above the -110.00 nats" in found.text
    assert "receptive field" in found.remedy
    assert verdict(terms(0), expressive_decoder=True, code_gain=0.0).name == "collapsed"


@pytest.mark.parametrize("listens", [True, False])
def test_the_gain_of_a_code_over_that_of_another_example(listens):
    model = VAE(
        MLP((4,)),
        MLP((4,)),
        posteriors.DiagGaussianHead(1),
        priors.StandardNormal(1),
        likelihoods.Gaussian((1,)),
    )
    x = jnp.arange(5.0)[:, None]
    params = model.init(jax.random.key(0), x, jax.random.key(1))
    if not listens:
        decoder = jax.tree.map(jnp.zeros_like, params["params"]["decoder"])
        params = {"params": params["params"] | {"decoder": decoder}}
    gains = make_code_gain(model, batch_size=5)(params, ArraySource(x), jax.random.key(2))
    key = jax.random.split(jax.random.fold_in(jax.random.key(2), 0))[1]
    z = model.apply(params, x, method="encode").sample(key)
    mean = model.apply(params, z, method="decode").mean
    expected = (jnp.square(x - mean[jnp.array([4, 0, 1, 2, 3])]) - jnp.square(x - mean)) / 2
    np.testing.assert_allclose(gains, expected[:, 0], rtol=1e-4, atol=1e-5)
    assert bool(np.abs(gains).max() > 1e-3) == listens


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fixed_sigma": True, "shared_sigma": True}, "learn the sigma"),
        ({"shared_sigma": True}, "a sigma for each dimension"),
        ({"beta": 4.0, "weight_name": "config.objective.beta"}, "Lower config.objective.beta"),
        ({}, "Train longer"),
    ],
)
def test_the_remedy_of_a_model_below_the_baseline(options, words):
    assert words in verdict(reconstructing(), baseline=baseline(-80), **options).remedy


def test_a_large_beta_is_named_as_the_cause():
    for options in ({}, {"warm_up": True}, {"fixed_sigma": True}, {"expressive_decoder": True}):
        assert "Lower beta, which is 50." in verdict(terms(0), beta=50.0, **options).remedy
    assert "50" not in verdict(terms(10), beta=50.0).remedy


def test_a_decoder_that_is_not_trained_is_no_collapse():
    for mse, name in ((0.11, "collapsed"), (0.13, "worse than the baseline")):
        untrained = dataclasses.replace(terms(0), mse=np.full(N, mse))
        assert verdict(untrained, baseline=baseline(-50)).name == name
        heavy = verdict(untrained, baseline=baseline(-50), beta=4.0)
        assert heavy.name == name
        assert "Lower beta, which is 4" in heavy.remedy
    assert verdict(terms(0), baseline=baseline(-76)).name == "collapsed"
    found = verdict(terms(0), baseline=baseline(-74))
    assert found.name == "worse than the baseline"
    assert found.remedy.startswith("Train longer")


@pytest.mark.parametrize("num", [1, 2, 9])
@pytest.mark.parametrize("active", [0, 10])
def test_a_few_examples_have_no_verdict(num, active):
    found = verdict(terms(active).select(np.arange(num)))
    assert found.name == "unknown"
    assert f"{num} example" in found.text
    assert not found.remedy
    assert verdict(terms(active).select(np.arange(10))).name != "unknown"


def test_latents_of_little_rate_are_counted_apart():
    weak = terms(10)
    weak = dataclasses.replace(weak, kl=0.02 * np.ones((N, D)), rate=np.full(N, 0.2))
    found = verdict(weak)
    assert found.name == "collapsed"
    assert "10 of 10 latents are active, 0 of them with at least 0.1 nats" in found.text
    kl = np.where(np.arange(D) < 6, 1.5, 0.02) * np.ones((N, 1))
    found = verdict(dataclasses.replace(weak, kl=kl))
    assert found.name == "healthy"
    assert "10 of 10 latents are active, 6 of them" in found.text
    # Without a KL of each latent, 0.35 nats are enough for three at most.
    assert verdict(terms(10, rate=0.35, kl=False)).name == "partly collapsed"
    assert verdict(terms(10, rate=0.05, kl=False)).name == "collapsed"


def test_data_that_the_network_cannot_see():
    constant = verdict(terms(10), baseline=baseline(-1, is_constant=True))
    assert constant.name == "constant data"
    blind = dataclasses.replace(terms(10), code=np.ones((N, D)) + 1e-7 * terms(10).code)
    assert verdict(blind).name == "blind"
    assert "same code" in verdict(blind).text
    # Codes without variance do not hide the cause, a large beta.
    assert verdict(dataclasses.replace(blind, rate=np.full(N, np.inf))).name == "blind"
    assert verdict(dataclasses.replace(blind, rate=np.zeros(N)), beta=20.0).name == "collapsed"


def test_points_whose_reconstructions_are_those_of_no_code():
    points = reconstructing(rate=np.full(N, np.inf))
    assert verdict(points, baseline=baseline(-50)).name == "no rate"  # better by MSE
    points = reconstructing(mse=0.2, rate=np.full(N, np.inf))
    assert verdict(points, baseline=baseline(-91)).name == "no rate"  # better by p(x | z)
    assert verdict(points, baseline=baseline(-50)).name == "worse than the baseline"


def test_examples_without_a_finite_bound_are_named_and_the_rest_judged():
    broken = reconstructing()
    for row, value in ((3, np.inf), (17, np.nan)):
        broken.distortion[row] = value
    found = verdict(broken, baseline=baseline(-106))
    assert found.name == "not finite"
    assert "2 of 400 examples have no finite bound (rows 3, 17)" in found.text
    assert "healthy: 10 of 10" in found.text
    assert "-105.00 nats" in found.text
    infinite_rate = reconstructing()
    infinite_rate.rate[5] = np.inf
    assert "1 of 400 examples has no finite bound (row 5)" in verdict(infinite_rate).text


def test_an_example_that_decides_the_mean_is_named_and_the_rest_judged():
    odd = reconstructing()
    odd.distortion[:] += np.linspace(-5, 5, N)
    assert verdict(odd, baseline=baseline(-106)).name == "healthy"
    odd.distortion[7] = 3e31
    found = verdict(odd, baseline=baseline(-106))
    assert found.name == "extreme row"
    assert "mean bound of all 400 examples is that of row 7 (-3e+31 nats)" in found.text
    assert "healthy: 10 of 10" in found.text
    assert "0000" not in found.text
    odd.distortion[3] = np.nan  # rows keep their numbers
    found = verdict(odd, baseline=baseline(-106))
    assert found.name == "not finite"
    assert "no finite bound (row 3). The mean bound of all 400" in found.text
    assert "row 7 (" in found.text


def test_extreme_rows_are_extreme_against_the_others():
    bound = np.sin(np.arange(40.0)) - 50
    everywhere = np.ones(40, bool)
    assert find_extreme(bound, everywhere) == []
    bound[[4, 30]] = -1e20, 1e6
    assert find_extreme(bound, everywhere) == [4, 30]
    assert find_extreme(bound, np.arange(40) != 4) == [30]
    assert find_extreme(bound, np.arange(40) < 15) == []  # too few to tell
    heavy = np.random.default_rng(0).standard_t(2, size=400)
    assert find_extreme(heavy, np.ones(400, bool)) == []


def test_a_run_has_diverged_if_many_examples_have_no_bound():
    finite = np.ones(20, bool)
    for num, diverged in ((1, False), (2, False), (3, True), (20, True)):
        assert has_diverged(np.arange(20) >= num) == diverged
    assert not has_diverged(finite)
    assert not has_diverged(np.array([True, False]))
    assert has_diverged(np.array([False]))
    assert describe_rows(np.arange(20) >= 7).endswith("(rows 0, 1, 2, 3, 4, ...)")


def test_means_are_over_the_examples_with_a_bound_and_say_so():
    broken = reconstructing()
    broken.distortion[3] = np.inf
    broken.mse[3] = np.inf
    numbers = summarize(broken, (2, 2, 1), (0.0, 1.0))
    assert numbers["num_not_finite"] == 1
    assert (numbers["elbo"], numbers["mse"]) == pytest.approx((-105, 0.05))
    assert (numbers["active_units"], numbers["used_units"]) == (10, 10)
    whole = summarize(reconstructing(), (2, 2, 1), (0.0, 1.0))
    assert "num_not_finite" not in whole
    assert "psnr" in whole
    assert "psnr" not in summarize(reconstructing(), (4,), (0.0, 1.0))
    assert "psnr" not in summarize(reconstructing(), (2, 2, 1), (1.0, 1.0))  # constant data
    assert summarize(reconstructing(0), (2, 2, 1), (0.0, 1.0))["psnr"] == 120  # exact


def test_used_latents_are_active_ones():
    constant = terms(10)
    code = constant.code * np.where(np.arange(D) < 7, 1, 1e-3)  # a rate, and one code for all
    numbers = summarize(dataclasses.replace(constant, code=code), (8, 8, 1), (0.0, 1.0))
    assert (numbers["active_units"], numbers["used_units"]) == (7, 7)
