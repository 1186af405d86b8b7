"""The metrics of a config, each on a tiny model: their results, errors, and known effects."""

import dataclasses
import json
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax
from vae_jax import data
from vae_jax.config import Config, Evaluation
from vae_jax.config.metadata import leaf_fields
from vae_jax.data import SpriteSource, sprites
from vae_jax.errors import InputError
from vae_jax.evaluation.anomaly import auroc
from vae_jax.evaluation.disentanglement import udr
from vae_jax.experiment import evaluate, metrics, results
from vae_jax.experiment.builders import build_data
from vae_jax.experiment.measurement import evaluator
from vae_jax.experiment.metrics import anomaly
from vae_jax.experiment.metrics.context import as_batch, choose_examples, subset
from vae_jax.experiment.metrics.feature_network import find_features, split_training
from vae_jax.experiment.run import make_run, make_runs
from vae_jax.experiment.training import loop

LIGHT = {  # the smallest useful counts
    "likelihood_samples": 20,
    "annealed_examples": 4,
    "annealed_chains": 2,
    "annealed_temperatures": 10,
    "decomposition_samples": 200,
    "gap_examples": 4,
    "gap_steps": 5,
    "feature_steps": 5,
    "num_generated": 64,
    "anomaly_examples": 60,
    "augmentation_examples": 100,
    "augmentation_updates": 20,
    "compression_examples": 8,
    "population": 300,
}


def small(*metrics, **changes):
    """Digits, a narrow network, and only the counts that the metrics use."""
    config = Config(name="small", seed=3)
    config.data.binarization = "threshold"
    config.model.hidden, config.model.latent_dim = (16,), 3
    config.train.num_steps, config.train.batch_size = 20, 64
    config.evaluation.metrics = metrics
    for path, value in changes.items():
        group, _, name = path.partition("__")
        setattr(getattr(config, group), name, value)
    for name, value in LIGHT.items():
        setattr(config.evaluation, name, value)
    return config


def make_context(config, tmp_path):
    """Make the context of a model at initialization: no test here depends on its quality."""
    for path, entry in leaf_fields(Config):  # values that nothing uses would be rejected
        used_by = entry.metadata["used_by"]
        group, _, name = path.partition(".")
        if (
            used_by
            and not used_by.holds(config)
            and (group == "evaluation" or name == "latent_dim")
        ):
            setattr(getattr(config, group), name, entry.default)
    run = make_run(config, tmp_path)
    x = jnp.zeros((1, *run.dataset.shape))
    params = jax.jit(run.model.init)(jax.random.key(0), x, jax.random.key(0))
    params = evaluator.evaluation_params(run, params)
    terms = evaluator.make_run_evaluator(run)(params, "test")
    return evaluator.make_context(run, params, terms)


def measure(*arguments):
    return {name: numbers for name, numbers, _ in metrics.measure(make_context(*arguments))}


def numbers_in(tree):
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, dict | list):
            yield from numbers_in(value)
        elif isinstance(value, float):
            yield value


def test_each_metric_says_how_it_was_made_and_is_finite(tmp_path):
    asked = (
        "likelihood",
        "gap",
        "decomposition",
        "reconstruction",
        "representation",
        "compression",
    )
    context = make_context(small(*asked), tmp_path)
    result = {name: numbers for name, numbers, _ in metrics.measure(context)}
    assert set(result) == {"collapse", *asked}
    for name, numbers in result.items():
        assert len(numbers["estimator"]) > 40, name
        assert numbers["data"] == "digits, binarization threshold"
        assert np.isfinite(list(numbers_in(numbers))).all(), (name, numbers)
        assert metrics.describe(name, numbers).startswith(name)
    assert result["likelihood"]["num_examples"] == 359
    assert result["likelihood"]["num_samples"] == 20
    assert result["likelihood"]["bits_per_dim"] == pytest.approx(
        -result["likelihood"]["log_likelihood"] / 64 / math.log(2)
    )
    for name, number in (
        ("likelihood", "log_likelihood"),
        ("likelihood", "bits_per_dim"),
        ("gap", "amortization_gap"),
        ("decomposition", "mutual_information"),
        ("reconstruction", "ssim"),
        ("representation", "linear_probe"),
        ("compression", "promised"),
    ):
        assert result[name][f"{number}_stderr"] > 0, (name, number)
    parts = result["decomposition"]
    assert parts["rate"] == pytest.approx(sum(parts["kl_per_unit"]), rel=1e-4)
    assert parts["kl_per_layer"] == [pytest.approx(parts["rate"], rel=1e-4)]
    assert parts["rate_of_draws"] == pytest.approx(
        parts["mutual_information"] + parts["aggregate_kl"], rel=1e-3
    )
    assert "test set, in closed form" in parts["estimator"]
    assert "window of 7x7 pixels" in result["reconstruction"]["estimator"]
    assert "gaps are too small" in result["gap"]["estimator"]
    assert result["compression"]["num_draws"] == 100
    assert result["compression"]["lossless"] is True
    assert result["compression"]["reached"] == pytest.approx(
        result["compression"]["promised"], rel=0.1
    )
    # The message has one draw of z for each example, the promise a hundred.
    difference = result["compression"]["reached"] - result["compression"]["promised"]
    assert abs(difference) < 4 * result["compression"]["reached_stderr"]
    assert result["collapse"]["verdict"] == "worse than the baseline"  # it is not trained
    for name in ("likelihood", "gap", "decomposition"):  # alone the same: keys depend on the name
        key = jax.random.fold_in(jax.random.key(0), zlib.crc32(name.encode()) >> 1)
        again = metrics.METRICS[name](context, key)
        assert {number: result[name][number] for number in again} == again


@pytest.mark.slow
def test_the_importance_weighted_bound_is_above_the_elbo_and_agrees_with_annealing(tmp_path):
    config = small("likelihood", "annealed")
    context = make_context(config, tmp_path)
    config.evaluation.likelihood_samples, config.evaluation.annealed_temperatures = 2_000, 60
    config.evaluation.annealed_examples, config.evaluation.annealed_chains = 16, 8
    result = metrics.METRICS["annealed"](context, jax.random.key(1))
    for name in ("test", "simulated"):
        part = result[name]
        assert (
            abs(part["annealed_less_importance"])
            < 4 * part["annealed_less_importance_stderr"] + 0.02
        ), part
    above = result["simulated"]
    assert abs(above["bidirectional_gap"]) < 4 * above["bidirectional_gap_stderr"] + 0.02


@pytest.mark.slow
def test_codes_of_a_codebook_and_what_it_can_do_without_a_density(tmp_path):
    vq = {"model__kind": "vq", "codes__num_codes": 8, "codes__code_dim": 2, "objective__name": "vq"}
    result = measure(small("anomaly", "reconstruction", data__leave_out=7, **vq), tmp_path)
    assert set(result) == {"codes", "reconstruction", "anomaly"}
    codes = result["codes"]
    assert 1 <= codes["perplexity"] <= 8 * codes["codes_in_use"]
    assert codes["num_codes"] == 8
    assert set(result["anomaly"]["scores"]) == {"reconstruction", "elbo", "elbo_less_[png]"}


@pytest.mark.slow
def test_a_hierarchy_has_a_rate_for_each_layer(tmp_path):
    ladder = {
        "model__kind": "hierarchical",
        "hierarchy__latents": (2, 3),
        "hierarchy__widths": (8, 8),
    }
    result = measure(small("likelihood", "decomposition", **ladder), tmp_path)
    parts = result["decomposition"]
    assert len(parts["kl_per_layer"]) == 2
    assert len(parts["kl_per_unit"]) == 5
    assert sum(parts["kl_per_layer"]) == pytest.approx(parts["rate"], rel=1e-3)
    assert "mutual_information" not in parts
    assert "given the layers above it, by 1 draw for each example" in parts["estimator"]
    assert result["likelihood"]["log_likelihood"] > result["likelihood"]["elbo"]


@pytest.mark.slow
def test_a_hierarchy_without_a_closed_form_has_a_rate_for_each_layer_by_draws(tmp_path):
    stacked = {
        "model__kind": "hierarchical",
        "model__prior": "vamp",
        "model__prior_components": 5,
        "hierarchy__networks": "separate",
        "hierarchy__latents": (2, 3),
    }
    result = measure(small("likelihood", "decomposition", **stacked), tmp_path)
    parts = result["decomposition"]
    assert len(parts["kl_per_layer"]) == 2
    assert sum(parts["kl_per_layer"]) == pytest.approx(parts["rate"], rel=1e-3)
    assert "kl_per_unit" not in parts
    assert "each layer by 1 draw of z for each example, log q - log p" in parts["estimator"]
    assert result["likelihood"]["log_likelihood"] > result["likelihood"]["elbo"]


def test_a_rate_without_a_closed_form_names_its_draws(tmp_path):
    config = small("decomposition", model__prior="mixture", evaluation__num_samples=4)
    parts = measure(config, tmp_path)["decomposition"]
    assert "test set, the rate by 4 draws of z for each example" in parts["estimator"]
    assert parts["total_correlation_stderr"] > 0
    assert "aggregate_kl_per_unit" not in parts


def test_a_part_of_a_source_is_that_of_the_examples_chosen():
    digits = build_data(Config()).test
    stretch = SpriteSource(start=1000, num_examples=50)
    for source in (digits, stretch):
        parts = as_batch(subset(source, 7), jax.random.key(0))
        np.testing.assert_array_equal(
            parts["x"], source.take(jnp.asarray(choose_examples(source, 7)), jax.random.key(0))["x"]
        )


def test_features_learn_from_labeled_examples_alone(tmp_path):
    m2 = {"objective__name": "m2", "model__conditioning": "label", "data__num_labels": 50}
    context = make_context(small("quality", **m2), tmp_path)
    train = context.dataset.train
    floor, rest = split_training(train, 359)
    labels = np.asarray(train.labels)
    assert (labels[floor] < 0).all()
    assert not set(floor) & set(rest)
    assert len(floor) + len(rest) == train.num_examples
    result = metrics.METRICS["quality"](context, jax.random.key(0))
    assert result["features"].startswith("conv8-digits-threshold-50-labels-n50-steps5-seed0-")
    assert "which the feature network has not seen" in result["estimator"]


def test_kept_features_are_used_for_the_same_images_alone(tmp_path):
    context = make_context(small("quality"), tmp_path)
    train = context.dataset.train
    first = find_features(context, np.arange(600))
    assert find_features(context, np.arange(600)).fingerprint == first.fingerprint
    assert len(list(tmp_path.glob("features-*.npz"))) == 1
    changed = dataclasses.replace(
        train, images=train.images.at[5, 3, 3].set(1 - train.images[5, 3, 3])
    )
    other = dataclasses.replace(
        context, dataset=dataclasses.replace(context.dataset, train=changed)
    )
    again = find_features(other, np.arange(600))
    assert again.name != first.name
    assert again.fingerprint != first.fingerprint


def test_examples_of_sorted_data_are_chosen_at_random():
    """Rows of a grid: at equal distances, all would have the same column."""
    columns = np.tile(np.arange(10), 100)
    source = data.ArraySource(jnp.zeros((1000, 4)), jnp.asarray(columns))
    chosen = np.asarray(subset(source, 100).labels)
    counts = np.bincount(chosen, minlength=10)
    assert counts.min() > 2
    assert counts.max() < 25
    np.testing.assert_array_equal(subset(source, 100).labels, chosen)
    np.testing.assert_array_equal(choose_examples(source, 1000), np.arange(1000))


def test_labels_of_the_test_split_alone_are_too_few(tmp_path):
    images = np.zeros((100, 8, 8), np.uint8)
    np.savez(
        tmp_path / "some.npz",
        train_images=images,
        test_images=images,
        test_labels=np.arange(100) % 4,
    )
    npz = {
        "data__name": "npz",
        "data__path": str(tmp_path / "some.npz"),
        "data__binarization": "none",
    }
    with pytest.raises(InputError, match="the training and the test examples need labels"):
        make_context(small("representation", **npz), tmp_path / "run")


def test_a_metric_that_fails_leaves_the_others(tmp_path, monkeypatch, caplog):
    def fails(context, key):
        raise InputError("x: has no such thing")

    context = make_context(small("likelihood", "reconstruction"), tmp_path)
    monkeypatch.setitem(metrics.METRICS, "likelihood", fails)
    result = {name: numbers for name, numbers, _ in metrics.measure(context)}
    assert result["likelihood"] == {"failed": "x: has no such thing"}
    assert (
        metrics.describe("likelihood", result["likelihood"])
        == "likelihood: failed: x: has no such thing"
    )
    assert "likelihood failed: x: has no such thing" in caplog.text
    assert result["reconstruction"]["mse"] > 0


@pytest.mark.slow
def test_a_conditional_model_is_given_y(tmp_path):
    config = small("quality", "likelihood", "gap", model__conditioning="label")
    context = make_context(config, tmp_path)
    result = {name: numbers for name, numbers, _ in metrics.measure(context)}
    assert "log p(x | y)" in result["likelihood"]["estimator"]
    assert np.isfinite(list(numbers_in(result))).all()
    quality, name = result["quality"], result["quality"]["features"]
    assert name.startswith("conv8-digits-threshold-n1230-steps5-seed0-")
    assert set(quality) >= {"train", "draws", "means"}
    assert f"draws/kernel[{name}] " in metrics.describe("quality", quality)
    config.evaluation.features = str(
        (tmp_path / f"features-{name}.npz").rename(tmp_path / "kept.npz")
    )
    key = jax.random.fold_in(jax.random.key(0), zlib.crc32(b"quality") >> 1)
    again = metrics.METRICS["quality"](context, key)  # from the features that were kept
    different = {number for number in again if again[number] != quality[number]}
    assert different == {"estimator"}  # it cannot know what a saved network has seen


def test_anomalies_are_of_the_class_left_out(tmp_path):
    context = make_context(small("anomaly", data__leave_out=7), tmp_path)
    for split in ("train", "valid", "test"):
        assert 7 not in np.asarray(getattr(context.dataset, split).labels)
    (_, _, _), (name, result, _) = metrics.measure(context)
    assert name == "anomaly"
    assert result["num_anomalous"] == 41 < result["num_normal"]  # all sevens of the test set
    assert result["data"].endswith("without class 7")
    assert set(result["scores"]) == {
        "reconstruction",
        "elbo",
        "likelihood",
        "likelihood_less_[png]",
    }
    saved = np.load(tmp_path / "anomaly.npz")
    for score, numbers in result["scores"].items():
        value, stderr = auroc(saved[f"{score}/normal"], saved[f"{score}/anomalous"])
        assert (numbers["auroc"], numbers["auroc_stderr"]) == (value, stderr)
        assert np.mean(saved[f"{score}/valid"] > numbers["threshold"]) <= 0.05
        assert numbers["true_positive"] == np.mean(
            saved[f"{score}/anomalous"] > numbers["threshold"]
        )


def test_the_draws_of_the_anomaly_scores(tmp_path):
    context = make_context(small("anomaly", data__leave_out=7), tmp_path)
    run = anomaly._draw_terms(context.model, 64, None)
    terms = run(context.params, context.dataset.test, jax.random.key(1))
    assert terms["log_px_z"].shape == (context.dataset.test.num_examples, anomaly.DRAWS)
    assert (np.ptp(terms["log_px_z"], axis=1) > 0).all()  # each draw is another one
    kl = context.terms.kl.sum(1)  # in closed form
    np.testing.assert_allclose(terms["elbo"], terms["log_px_z"].mean(1) - kl, rtol=1e-5)
    spread = terms["log_px_z"].std(1).mean() / np.sqrt(anomaly.DRAWS)
    assert abs(np.mean(terms["elbo"] - context.terms.elbo)) < 5 * spread


def test_the_memory_of_the_anomaly_scores_does_not_grow_with_the_draws(tmp_path, monkeypatch):
    context = make_context(small("anomaly", data__leave_out=7), tmp_path)
    sizes = []
    for draws in (2, 64):
        monkeypatch.setattr(anomaly, "DRAWS", draws)
        run = anomaly._draw_terms.__wrapped__(context.model, 256, None)
        program = run.lower(context.params, context.dataset.test, jax.random.key(0)).compile()
        sizes.append(program.memory_analysis().temp_size_in_bytes)
    # The draws themselves are [N, K] floats; one more decoded batch would be 64 times as many.
    assert sizes[1] - sizes[0] < 3 * 4 * 512 * 64


def test_an_autoencoder_finds_anomalies_by_reconstruction_alone(tmp_path):
    other = tmp_path / "noise.npz"
    noise = np.random.default_rng(0).random((80, 8, 8)).astype(np.float32)
    np.savez(other, train_images=noise, test_images=noise)
    point = {
        "model__posterior": "deterministic",
        "objective__name": "reconstruction",
        "evaluation__anomaly": str(other),
    }
    result = measure(small("anomaly", **point), tmp_path)
    assert set(result["anomaly"]["scores"]) == {"reconstruction"}
    assert result["anomaly"]["anomalies"] == "noise, binarization threshold"
    assert result["collapse"]["verdict"] == "worse than the baseline"  # it is not trained
    assert "codes are points" in result["collapse"]["evidence"]


@pytest.mark.slow
def test_the_classifier_of_a_semi_supervised_model(tmp_path):
    m2 = {"objective__name": "m2", "model__conditioning": "label", "data__num_labels": 50}
    context = make_context(small("accuracy", "augmentation", **m2), tmp_path)
    result = {name: numbers for name, numbers, _ in metrics.measure(context)}
    test = context.dataset.test.take(jnp.arange(359), jax.random.key(0))
    logits = context.model.apply(context.params, test["x"], method="classify")
    share = float(np.mean(np.argmax(logits, -1) == np.asarray(test["y"])))
    assert result["accuracy"]["accuracy"] == pytest.approx(share)
    assert result["accuracy"]["accuracy_stderr"] == pytest.approx(
        math.sqrt(share * (1 - share) / 359)
    )
    gain = result["augmentation"]
    # Those with a label.
    assert gain["num_real"] == gain["num_generated"] == gain["num_labeled_for_generator"] == 50
    assert "trained with the labels of 50 of " in gain["estimator"]
    assert 0 < gain["without"] < 1
    assert gain["gain"] == pytest.approx(gain["augmented"] - gain["without"])


@pytest.mark.slow
def test_factors_of_a_grid_and_of_a_part_of_it(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(3), np.arange(4), indexing="ij"), -1).reshape(-1, 2)
    factors = np.tile(
        np.column_stack([grid, np.zeros(12, int)]), (50, 1)
    )  # and a factor that is constant
    images = (
        rng.random((600, 8, 8))
        < np.linspace(0.1, 0.9, 12)[factors[:, :1] * 4 + factors[:, 1:2], None]
    ).astype(np.uint8)
    path = tmp_path / "grid.npz"
    np.savez(
        path,
        train_images=images[:480],
        train_labels=factors[:480],
        test_images=images[480:],
        test_labels=factors[480:],
    )
    changes = {"data__name": "npz", "data__path": str(path), "data__binarization": "none"}
    config = small("disentanglement", **changes)
    context = make_context(config, tmp_path)
    config.evaluation.population = 600
    whole = metrics.METRICS["disentanglement"](context, jax.random.key(0))
    assert whole["num_examples"] == 600
    assert whole["factors"] == ["column 0", "column 1"]
    scores = (
        "beta_vae",
        "factor_vae",
        "mig_locatello",
        "mig_chen",
        "dci_forest_disentanglement",
        "sap",
        "irs",
        "explicitness",
    )
    assert all(np.isfinite(whole[score]) for score in scores)
    assert "mig_chen over column 0, column 1;" in whole["estimator"]
    assert "DCI by a random forest" in whole["estimator"]
    with monkeypatch.context() as patch:  # factors with the sizes of sprites, first the shape
        patch.setattr(sprites, "FACTOR_SIZES", (3, 4))
        patch.setattr(sprites, "FACTOR_NAMES", ("shape", "scale"))
        named = metrics.METRICS["disentanglement"](context, jax.random.key(0))
    assert named["factors"] == ["shape", "scale"]
    assert "mig_chen over scale;" in named["estimator"]
    assert named["mig_chen"] != whole["mig_chen"]
    assert named["sap"] == whole["sap"]
    config.evaluation.population = 300
    part = metrics.METRICS["disentanglement"](context, jax.random.key(0))
    assert part["num_examples"] == 300
    assert "mig_chen" not in part
    assert "do not form a full grid" in part["estimator"]


def test_one_seed_agrees_with_no_other(tmp_path):
    config = Config()
    config.evaluation.metrics, config.sweep.seed = ("udr",), (1,)
    with pytest.raises(InputError, match="several seeds"):
        make_runs(config, tmp_path)


@pytest.mark.slow
def test_seeds_of_a_sweep_are_compared(tmp_path):
    config = small("udr")
    config.evaluation = Evaluation(metrics=("udr",))
    config.train.log_every = config.train.eval_every = 20
    config.sweep.seed = (0, 1, 2)
    written = loop.train_and_evaluate(config, tmp_path / "run")
    result, runs = written["metrics"]["udr"], make_runs(config, tmp_path / "run")
    models = [
        evaluator.make_run_evaluator(run)(vae_jax.load(run.workdir).params, "valid") for run in runs
    ]
    expected = udr([terms.code for terms in models], [terms.kl.mean(0) for terms in models])
    assert result["all"]["models"] == pytest.approx(expected.tolist())
    assert result["all"]["mean"] == pytest.approx(expected.mean())
    assert "udr: all/mean" in results.describe(written)


POINT = {"model__posterior": "deterministic", "objective__name": "reconstruction"}
VQ = {"model__kind": "vq", "objective__name": "vq"}
LABEL = {"model__conditioning": "label"}


@pytest.mark.parametrize(
    ("metric", "changes", "message"),
    [
        ("likelyhood", {}, "did you mean 'likelihood'"),
        ("codes", {}, "model.kind = 'vae', which must be 'vq'; there is no codebook"),
        ("likelihood", POINT, "deterministic posterior has no density"),
        ("annealed", VQ, "encoder selects codes"),
        (
            "annealed",
            {"model__posterior": "gumbel_softmax", "model__prior": "uniform"},
            "continuous latents",
        ),
        ("gap", {"model__posterior": "full_gaussian"}, "diagonal Gaussian"),
        ("gap", {"model__kind": "hierarchical"}, "one layer"),
        ("compression", {"model__prior": "mixture"}, r"bins of N\(0, 1\)"),
        ("compression", {"model__likelihood": "gaussian"}, "mass on a few values"),
        (
            "compression",
            {"data__binarization": "none"},
            "has no mass on some of these values",
        ),
        ("representation", LABEL, "given the label of every example"),
        ("disentanglement", {}, "the factors of each example"),
        ("augmentation", {}, "samples of a class"),
        ("quality", POINT, "nothing to sample from"),
        ("accuracy", LABEL, "no classifier"),
        ("anomaly", {}, "name other data, or leave a class out"),
        (
            "anomaly",
            {"evaluation__anomaly": "sprites", "data__binarization": "none"},
            "they must be alike",
        ),
        (
            "anomaly",
            {"evaluation__anomaly": "no/such.npz"},
            "config.evaluation.anomaly = 'no/such.npz'",
        ),
        ("anomaly", {"data__leave_out": 12}, "config.data.leave_out = 12"),
        ("quality", {"evaluation__features": "none.npz"}, "config.evaluation.features"),
        (
            "collapse",
            {"evaluation__gap_steps": 7},
            "does nothing without 'gap' in config.evaluation.metrics",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(metric, changes, message, tmp_path):
    config = Config()
    config.data.binarization = "threshold"
    config.model.likelihood = "bernoulli"
    config.evaluation.metrics = (metric,)
    for path, value in changes.items():
        group, _, name = path.partition("__")
        setattr(getattr(config, group), name, value)
    with pytest.raises(InputError, match=message):
        make_run(config, tmp_path)


@pytest.mark.slow
def test_a_digit_left_out_is_found_and_evaluation_asks_anew(tmp_path):
    def config(*metrics):
        c = small(*metrics, data__leave_out=0)
        c.model.hidden, c.train.num_steps = (64,), 400
        c.train.log_every = c.train.eval_every = 400
        for name in LIGHT:
            setattr(c.evaluation, name, getattr(Config().evaluation, name))
        c.evaluation.likelihood_samples = 50 if metrics else 1_000
        return c

    result = loop.train_and_evaluate(config("anomaly"), tmp_path / "run")
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert written["metrics"] == json.loads(json.dumps(result["metrics"]))
    assert written["seconds"].keys() == result["metrics"].keys() == {"collapse", "anomaly"}
    assert "collapse: " in results.describe(result)
    for name in ("reconstruction", "elbo", "likelihood"):
        score = result["metrics"]["anomaly"]["scores"][name]
        assert score["auroc"] - 4 * score["auroc_stderr"] > 0.5, (name, score)
    again = evaluate.evaluate_workdir(tmp_path / "run", config("likelihood,reconstruction"))
    assert again["test"] == result["test"]
    assert (
        again["metrics"].keys()
        == again["seconds"].keys()
        == {"collapse", "anomaly", "likelihood", "reconstruction"}
    )
    assert again["metrics"]["anomaly"] == written["metrics"]["anomaly"]
    assert again["training_command"] == written["training_command"]
    assert again["evaluation"]["likelihood_samples"] == 50
    assert again["evaluation_of"] == {"anomaly": written["evaluation"]}
    bare = evaluate.evaluate_workdir(tmp_path / "run", config())
    assert bare["metrics"].keys() == again["metrics"].keys()
    assert bare["evaluation_of"].keys() == {"anomaly", "likelihood", "reconstruction"}
    assert bare["evaluation_of"]["anomaly"] == written["evaluation"]
    assert "likelihood: " in results.describe(bare)


@pytest.mark.slow
def test_mnist_is_likelier_than_the_clothes_a_model_was_trained_on(real_data, tmp_path):
    c = _config("fashion")
    c.data.path = str(real_data / "raw" / "fashion_mnist" / "fashion_mnist.npz")
    c.data.dir = str(real_data / "tfds")
    scores = loop.train_and_evaluate(c, tmp_path)["metrics"]["anomaly"]["scores"]
    likelihood, corrected = scores["likelihood"], scores["likelihood_less_[png]"]
    assert likelihood["auroc"] + 4 * likelihood["auroc_stderr"] < 0.5  # it misleads
    assert corrected["auroc"] > likelihood["auroc"]


@pytest.mark.slow
def test_a_digit_of_mnist_left_out_is_found(real_data, tmp_path):
    c = _config("mnist")
    c.data.dir, c.train.num_steps = str(real_data / "tfds"), 2_000
    c.data.leave_out, c.evaluation.likelihood_samples = 2, 100
    scores = loop.train_and_evaluate(c, tmp_path)["metrics"]["anomaly"]["scores"]
    assert scores["likelihood"]["auroc"] - 4 * scores["likelihood"]["auroc_stderr"] > 0.8


def _config(data):
    import importlib.util
    import pathlib

    path = pathlib.Path(__file__).parents[3] / "configs" / "anomaly.py"
    spec = importlib.util.spec_from_file_location("anomaly", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(data)
