"""The metric `imputation`: errors computed by hand, and its place in runs."""

import jax
import numpy as np
import pytest
from test_suite import make_context, small

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.evaluation.common import ratio_estimate
from vae_jax.experiment import metrics
from vae_jax.experiment.builders import build_data
from vae_jax.experiment.run import make_run

TABLE = {
    "data__name": "breast_cancer",
    "data__binarization": "none",
    "evaluation__imputation_samples": 3,
}


def test_the_ratio_and_its_error_are_those_of_rows():
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=(4_000, 200, 3)) ** 2, rng.random((4_000, 200, 3)) < 0.4
    sums = np.where(mask, values, 0).sum(2)
    estimates = [ratio_estimate(*pair) for pair in zip(sums, mask.sum(2), strict=True)]
    means, errors = np.array(estimates).T
    assert means[0] == pytest.approx(values[0][mask[0]].mean())
    assert errors.mean() == pytest.approx(means.std(), rel=0.05)


def test_entries_hidden_before_training_are_measured_on_test_and_train(tmp_path):
    config = small("imputation", **TABLE, data__hide=0.5)
    context = make_context(config, tmp_path)
    numbers = metrics.METRICS["imputation"](context, jax.random.key(0))
    hidden = context.dataset.hidden
    for split in ("test", "train"):
        part = numbers[split]
        assert part["num_hidden"] == hidden[split].mask.sum()
        train = hidden["train"]
        seen = np.where(train.mask, np.nan, np.float64(train.x))
        mean, stddev = np.nanmean(seen, 0), np.nanstd(seen, 0)
        errors = ((hidden[split].x - mean) / stddev)[hidden[split].mask]
        assert part["numbers"]["mean_rmse_standardized"] == pytest.approx(
            np.sqrt(np.square(errors).mean()), rel=1e-4
        )
        assert np.isfinite(part["numbers"]["rmse_standardized_stderr"])
        assert len(part["columns"]) == 30
    line = metrics.describe("imputation", numbers)
    assert "test/numbers/rmse_standardized" in line
    assert "column" not in line


def test_entries_are_hidden_from_the_test_set_otherwise(tmp_path):
    config = small("imputation", **TABLE, evaluation__imputation_rate=0.2)
    context = make_context(config, tmp_path)
    numbers = metrics.METRICS["imputation"](context, jax.random.key(0))
    size = np.prod(context.dataset.test.images.shape)
    assert numbers["num_hidden"] == pytest.approx(0.2 * size, rel=0.1)
    other = metrics.METRICS["imputation"](context, jax.random.key(0))
    assert numbers == other


def test_dependent_entries_are_refused(tmp_path):
    config = Config(name="dependent")
    config.model.likelihood = "autoregressive"
    config.evaluation.metrics = ("imputation",)
    with pytest.raises(InputError, match=r"'imputation': doesn't fit config.model.likelihood"):
        make_run(config, tmp_path)
    config.evaluation.metrics, config.data.hide = (), 0.5
    with pytest.raises(InputError, match=r"config.data.hide = 0.5: doesn't fit"):
        make_run(config, tmp_path)


def test_streamed_data_cannot_be_hidden():
    config = small(data__hide=0.5, data__binarization="dynamic")
    with pytest.raises(InputError, match=r"config.data.hide = 0.5: needs examples in memory"):
        build_data(config)
