"""Values that are hidden on purpose."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import from_arrays
from vae_jax.data.hidden import choose_hidden, hide_entries
from vae_jax.errors import InputError
from vae_jax.experiment.metrics import imputation

X = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)


def make_dataset(**options):
    return from_arrays({"train_images": X[:300], "test_images": X[300:]}, **options)


def test_hidden_values_are_kept_and_the_model_sees_zeros():
    dataset = hide_entries(make_dataset(), 0.5, seed=3)
    for split in ("train", "valid", "test"):
        source, hidden = getattr(dataset, split), dataset.hidden[split]
        batch = source.take(jnp.arange(source.num_examples), jax.random.key(0))
        assert (np.asarray(batch["observed"]) == ~hidden.mask).all()
        assert not np.asarray(source.images)[hidden.mask].any()
        assert (np.asarray(batch["x"])[~hidden.mask] == hidden.x[~hidden.mask]).all()
        assert 0.4 < hidden.mask.mean() < 0.6
        assert not hidden.mask.all(1).any()
    assert (dataset.hidden["test"].x == X[300:]).all()
    missing = dataset.preparation["missing"]["test"]
    assert missing == pytest.approx(dataset.hidden["test"].mask.mean())
    again = hide_entries(make_dataset(), 0.5, seed=3)
    assert (again.hidden["train"].mask == dataset.hidden["train"].mask).all()
    other = hide_entries(make_dataset(), 0.5, seed=4)
    assert (other.hidden["train"].mask != dataset.hidden["train"].mask).any()
    assert other.preparation["test_sha256"] != dataset.preparation["test_sha256"]


def test_truly_missing_values_are_not_hidden():
    x = X.copy()
    x[::2, 1] = np.nan
    arrays = {"train_images": x[:300], "test_images": x[300:]}
    dataset = hide_entries(from_arrays(arrays, missing=True), 0.9)
    hidden = dataset.hidden["test"]
    assert not hidden.mask[np.isnan(x[300:])].any()
    assert np.isfinite(hidden.x).all()


@pytest.mark.parametrize("in_numpy", [True, False])
def test_a_row_keeps_one_of_its_observed_values(in_numpy):
    observed = np.random.default_rng(1).random((2_000, 3)) < 0.6
    if in_numpy:
        mask = choose_hidden(np.random.default_rng(2), observed, 0.9)
    else:
        mask = imputation.choose_hidden(jax.random.key(2), jnp.asarray(observed), 0.9)
    mask = np.asarray(mask)
    assert not mask[~observed].any()
    assert ((observed & ~mask).any(1) == observed.any(1)).all()
    full = observed.all(1)
    # One entry of a row stays with probability .9^3 (all drawn) + 3 * .1 * .9^2.
    assert (~mask[full]).sum(1).mean() == pytest.approx(0.3 + 0.9**3, abs=0.08)


def test_what_is_read_anew_cannot_be_hidden():
    dataset = make_dataset()
    dynamic = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, dynamic=True))
    with pytest.raises(InputError, match=r"hide = 0.5: needs examples in memory"):
        hide_entries(dynamic, 0.5)
