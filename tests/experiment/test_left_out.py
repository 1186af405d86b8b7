"""Nothing is left out without a word: skipped steps, and examples without a finite bound."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from logs import logged_lines

from vae_jax import visualize
from vae_jax.config import Config
from vae_jax.experiment import report, run
from vae_jax.experiment.measurement import baselines
from vae_jax.experiment.results import describe
from vae_jax.experiment.training import loop

SKIPPED = (3, 4, 11)  # steps whose loss is not finite


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The workdir, results and log of a table with a test row that has no finite bound."""
    workdir = tmp_path_factory.mktemp("runs") / "table"
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(150, 3)) * [1, 20, 0.1]).astype(np.float32)
    np.savez(workdir.parent / "table.npz", train_images=table[:100], test_images=table[100:])
    config = Config(name="table", seed=3)
    config.data.name, config.data.path = "npz", str(workdir.parent / "table.npz")
    config.model.likelihood, config.model.sigma = "gaussian", "pixel"
    config.model.hidden, config.model.latent_dim = (8,), 2
    config.train.num_steps, config.train.batch_size = 20, 16
    config.train.log_every = config.train.eval_every = 10

    def prepare_runs(config, workdir):
        (made,), config = run.prepare_runs(config, workdir)

        def loss_fn(params, batch, key, step):
            loss, metrics = made.loss_fn(params, batch, key, step)
            return jnp.where(jnp.isin(step, jnp.array(SKIPPED)), jnp.nan, loss), metrics

        images = made.dataset.test.images.at[7, 1].set(jnp.inf)
        test = dataclasses.replace(made.dataset.test, images=images)
        dataset = dataclasses.replace(made.dataset, test=test)
        return [dataclasses.replace(made, loss_fn=loss_fn, dataset=dataset)], config

    with pytest.MonkeyPatch.context() as patch, logged_lines() as lines:
        patch.setattr(loop, "prepare_runs", prepare_runs)
        patch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
        numbers = loop.train_and_evaluate(config, workdir)
    return workdir, numbers, lines


def test_skipped_steps_are_told_when_they_begin_at_the_end_and_in_the_results(told):
    workdir, numbers, lines = told
    written = json.loads((workdir / "results.json").read_text())
    assert (written["skipped_steps"], written["num_steps"]) == (3, 20)
    begun = [line for line in lines if "step 4 skipped" in line]  # counted from 1
    assert len(begun) == 1
    assert "2 of the 10 steps up to step 10 are skipped" in begun[0]
    ended = "3 of 20 steps were skipped: the loss or gradient was not finite"
    assert [line for line in lines if ended in line]
    assert ended in describe(numbers)
    curve = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["skipped"] for line in curve if line["split"] == "train"] == [2, 3]


def test_a_test_row_without_a_bound_is_named_and_the_rest_reported(told):
    workdir, numbers, lines = told
    text = "1 of 50 examples has no finite bound (row 7) of test"
    assert numbers["not_finite"] == {"test": {"count": 1, "rows": [7], "text": text}}
    assert [line for line in lines if line.endswith(text)]
    test = numbers["test"]
    assert np.isfinite([test["elbo"], test["elbo_stderr"], test["baseline"], test["mse"]]).all()
    assert test["num_not_finite"] == 1
    assert "num_not_finite" not in numbers["valid"]
    collapse = numbers["metrics"]["collapse"]
    assert collapse["verdict"] == "not finite"
    assert "1 of 50 examples has no finite bound (row 7)" in collapse["evidence"]
    assert text in describe(numbers)
    page = report.write_report(workdir).read_text()
    assert f"{text}; the means are over the other examples." in page
    assert "3 of 20 steps were skipped" in page


def test_a_table_has_errors_by_column_and_no_psnr(told):
    workdir, numbers, lines = told
    assert not any("images" in line for line in lines)
    assert any("50 test rows" in line for line in lines)
    assert "psnr" not in numbers["test"]
    columns = numbers["columns"]["numbers"]
    assert list(columns) == ["column 0", "column 1", "column 2"]
    for column, scale in zip(columns.values(), (1, 20, 0.1), strict=True):
        assert column["train_std"] == pytest.approx(scale, rel=0.3)
        assert 0 < column["mae"] < column["rmse"]
        assert 0 < column["rmse_stderr"] < column["rmse"]
    association = numbers["columns"]["association"]
    assert (association["num_pairs"], association["num_rows"]) == (3, 50)
    assert 0 < association["training_rows"] < 1
    text = describe(numbers)
    assert "RMSE by column: column 0 " in text
    assert "associations of columns differ by" in text
    assert "50 rows" in text
    for word in ("PSNR", "images", "bits/dim"):
        assert word not in text
    page = report.write_report(workdir).read_text()
    assert "Errors of the columns" in page
    assert "Associations of columns" in page
    assert "PSNR" not in page
    assert "Test images" not in page


def test_the_baseline_is_fitted_once_for_a_data_set(told, monkeypatch):
    workdir, numbers, _ = told
    assert numbers["baseline"] == "independent columns (Gaussians)"
    config = Config(name="digits")
    config.data.binarization = "threshold"
    made = run.make_run(config, workdir)
    calls = []
    fit = baselines.fit_baseline
    monkeypatch.setattr(baselines, "fit_baseline", lambda *given: calls.append(1) or fit(*given))
    likelihood = made.model.likelihood
    first = baselines.score_baseline(made.dataset, likelihood, "test")
    assert baselines.score_baseline(made.dataset, likelihood, "test") is first
    assert len(baselines.score_baseline(made.dataset, likelihood, "valid").log_px) != len(
        first.log_px
    )
    assert len(calls) == 1
    other = dataclasses.replace(made.dataset)
    baselines.score_baseline(other, likelihood, "test")
    assert len(calls) == 2
