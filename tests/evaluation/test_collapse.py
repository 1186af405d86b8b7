"""The verdict on models of known health."""

import dataclasses

import numpy as np
import pytest

from vae_jax.evaluation.collapse import verdict
from vae_jax.evaluation.terms import Terms

N, D = 400, 10


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


def test_an_active_latent_has_both_variance_and_rate():
    healthy = terms(10)
    kl = healthy.kl * np.where(np.arange(D) < 4, 1, 1e-3)  # six vary at no rate
    code = healthy.code * np.where(np.arange(D) < 3, 1, 1e-3)  # one has a rate and is constant
    for changed, active in (({"kl": kl}, 4), ({"code": code}, 3), ({"kl": kl, "code": code}, 3)):
        found = verdict(dataclasses.replace(healthy, **changed))
        assert f"{active} of {D} latents are active" in found.text


def test_codes_that_vary_at_no_rate_are_collapsed_all_the_same():
    assert verdict(terms(10, rate=0.02, kl=False)).name == "collapsed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Warm up beta"),
        ({"warm_up": True}, "Lower beta"),
        ({"fixed_sigma": True}, "sigma"),
        ({"expressive_decoder": True, "fixed_sigma": True}, "receptive field"),
    ],
)
def test_the_remedy_goes_by_what_the_model_is(options, words):
    assert words in verdict(terms(0), **options).remedy


def test_points_and_divergence_have_verdicts_of_their_own():
    assert verdict(terms(10, rate=np.inf)).name == "no rate"
    diverged = terms(10)
    diverged.distortion[3] = np.nan
    assert verdict(diverged).name == "diverged"
