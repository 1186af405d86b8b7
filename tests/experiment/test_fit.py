"""`vae_jax.fit` trains what the command line trains, on arrays, data frames and texts."""

import dataclasses
import logging
import re

import jax
import numpy as np
import pandas as pd
import pytest

import vae_jax
from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.config import Config
from vae_jax.errors import InputError, Interrupted, RunDiverged
from vae_jax.experiment import fit as fit_module
from vae_jax.experiment import train_and_evaluate
from vae_jax.experiment.launch.config_files import read_config
from vae_jax.nets import Units

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.random((60, 3))
TINY = {
    "train.num_steps": 12,
    "train.batch_size": 16,
    "train.eval_every": 4,
    "train.log_every": 4,
    "model.hidden": (8,),
    "model.latent_dim": 2,
    "evaluation.batch_size": 16,
}


def equal(a, b):
    """True if two trees of parameters are the same, bit for bit."""
    leaves, others = jax.tree.leaves(a), jax.tree.leaves(b)
    return len(leaves) == len(others) and all(map(np.array_equal, leaves, others))


@pytest.fixture(scope="module")
def trained():
    return vae_jax.fit(X, "vae", TINY, seed=3)


def config_of(path, form="npz"):
    config = read_config("vae", form)
    config.data.path, config.seed = str(path), 3
    for name, value in TINY.items():
        group, field = name.split(".")
        setattr(getattr(config, group), field, value)
    return config


def test_the_command_line_trains_the_same_bits(trained, tmp_path):
    """On a file of the same training and validation examples, with any test set in their range."""
    np.savez(tmp_path / "x.npz", train_images=X, test_images=X[:7])
    train_and_evaluate(config_of(tmp_path / "x.npz"), tmp_path / "run")
    loaded = vae_jax.load(tmp_path / "run")
    assert equal(trained.params, loaded.params)
    names = ("step", "last_step", "selection_score", "score_name")
    assert [getattr(trained, n) for n in names] == [getattr(loaded, n) for n in names]
    assert dataclasses.asdict(trained.inputs) == dataclasses.asdict(loaded.inputs)
    np.testing.assert_array_equal(trained.elbo(KEY, X), loaded.elbo(KEY, X))


def test_the_seed_decides(trained):
    assert not equal(trained.params, vae_jax.fit(X, "vae", TINY, seed=4).params)


def test_a_workdir_is_that_of_a_run(trained, tmp_path):
    model = vae_jax.fit(X, "vae", TINY, seed=3, workdir=tmp_path / "run")
    assert equal(trained.params, model.params)
    assert equal(trained.params, vae_jax.load(tmp_path / "run").params)
    again = vae_jax.fit(X, "vae", TINY, seed=3, workdir=tmp_path / "run")  # trained already
    assert equal(trained.params, again.params)
    with pytest.raises(InputError, match="was trained on other data"):
        vae_jax.fit(X + 1, "vae", TINY, seed=3, workdir=tmp_path / "run")


def test_all_examples_are_trained_on_or_validated(monkeypatch):
    """No test set is cut, and given validation examples leave x whole."""
    sizes = []

    def stop(run):
        splits = (run.dataset.train, run.dataset.valid)
        sizes.append(tuple(split.num_examples for split in splits))
        raise InterruptedError

    monkeypatch.setattr(fit_module, "_train", stop)
    texts = ["ab", "ba", "aab", "b", "a", "bba"] * 5
    frame = pd.DataFrame({"a": X[:30, 0], "b": ["u", "v", "w"] * 10})
    fields = {"train.batch_size": 2, "data.valid_fraction": 0.1}
    for x, config in ((X[:30], "vae"), (frame, "table_vae"), (texts, "text_vae")):
        for valid in (None, 0.5, x[:20]):
            with pytest.raises(InterruptedError):
                vae_jax.fit(x, config, fields, valid=valid)
    assert sizes == [(27, 3), (15, 15), (30, 20)] * 3


@pytest.mark.slow
def test_early_stopping():
    fields = TINY | {"train.num_steps": 4_000, "optimizer.learning_rate": 0.3}
    model = vae_jax.fit(X, "vae", fields | {"train.patience": 2})
    assert model.last_step < 4_000
    assert model.last_step == model.step + 8  # the second validation without a better score


def test_a_data_frame_with_holes():
    frame = pd.DataFrame(
        {
            "weight": RNG.normal(70, 10, 60),
            "siblings": RNG.poisson(1.5, 60),
            "city": RNG.choice(["Rome", "Oslo", "Bern"], 60),
        }
    )
    frame.loc[3, "weight"], frame.loc[5, "city"] = np.nan, None
    fields = TINY | {"data.missing": True}
    model = vae_jax.fit(frame, "table_vae", fields)
    assert model.inputs.table.names == ("weight", "siblings", "city")
    filled = np.asarray(model.impute(KEY, frame, num_samples=5).values)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled[0, 0], frame.loc[0, "weight"], rtol=1e-6)
    with pytest.raises(InputError, match=r"x: column 'weight', row 3.*missing = True"):
        vae_jax.fit(frame, "vae", TINY)


@pytest.mark.slow
def test_texts():
    texts = ["ab", "ba", "aab", "b", "a", "bba"] * 5
    fields = {"train.num_steps": 3, "train.batch_size": 8, "model.latent_dim": 2}
    fields |= {"model.encoder_width": 4, "model.decoder_width": 4, "model.token_features": 3}
    model = vae_jax.fit(texts, "text_vae", fields)
    assert model.inputs.text.tokens == ("a", "b")
    assert set("".join(model.text(model.sample(KEY, 4)))) <= {"a", "b"}
    assert model.elbo(KEY, ["ab", "b"]).shape == (2,)


@pytest.mark.slow
def test_labels():
    y = np.array(["cat", "dog"] * 30)
    fields = TINY | {"model.num_classes": 2}
    model = vae_jax.fit(X, "cvae", fields, y=y, valid=(X[:20], y[:20]))
    assert model.sample(KEY, 2, y=np.array(["dog", "cat"])).shape == (2, 3)


def hand_made(**parts):
    parts = {"likelihood": likelihoods.Gaussian((3,))} | parts
    return VAE(
        encoder=nets.MLP((8,)),
        decoder=nets.MLP((8,)),
        posterior=posteriors.DiagGaussianHead(2),
        prior=priors.StandardNormal(2),
        **parts,
    )


BY_HAND = {name: value for name, value in TINY.items() if not name.startswith("model.")}


def test_a_model_composed_by_hand(tmp_path):
    module = hand_made()
    model = vae_jax.fit(X, module, BY_HAND | {"objective.beta": 2.0})
    assert model.model is module
    assert model.config is None
    assert "negative loss of 'elbo'" in model.score_name
    assert model.inputs.value_range == (np.float32(X).min(), np.float32(X).max())
    vae_jax.save(model, tmp_path / "saved")
    np.testing.assert_array_equal(vae_jax.load(tmp_path / "saved").elbo(KEY, X), model.elbo(KEY, X))
    conditional = hand_made(conditioning=nets.OneHot(3))
    model = vae_jax.fit(X, conditional, BY_HAND, y=np.arange(60) % 3)
    assert model.is_conditional


def test_a_model_without_units_is_warned_of_values_far_from_one(monkeypatch, caplog):
    def stop(_):
        raise InterruptedError

    def messages(x, **parts):
        caplog.clear()
        with pytest.raises(InterruptedError):
            vae_jax.fit(x, hand_made(**parts), BY_HAND)
        return caplog.text

    caplog.set_level(logging.WARNING, "vae_jax")
    monkeypatch.setattr(fit_module, "_train", stop)
    for scale, size in ((1e3, r"6\..e.02"), (1e-4, r"6\..e-05")):
        x = X * [1, scale, 1]
        assert re.search(f"x: column 1 has values of about {size}, .*fit_units", messages(x))
        units = likelihoods.fit_units(likelihoods.Gaussian((3,)), x)
        assert not messages(x, units=units)
    assert not messages(X)
    rare = np.tile(X, (10, 1))
    rare[:, 2] = np.arange(600) % 120 == 0
    assert not messages(rare, likelihood=likelihoods.Mixed((3,), ("gaussian*2", "bernoulli")))
    assert "x: column 2 has values of about 0.09" in messages(rare)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:1], "x has 1 example: at least 5 are needed"),
        (X[:0], "x has 0 examples: at least 5"),
        (np.full((30, 2), 7.5), "x: all values are 7.5; there is nothing to learn"),
        (np.where(X > 0.9, np.nan, X), r"x: train_images.*NaN.*config\.data\.missing = True"),
        (X + 1j, "x: train_images has dtype complex128"),
        (np.array([{}] * 30), "x: train_images holds objects"),
        ([[1, 2], [3]] * 9, "x: images holds"),
        (RNG.integers(0, 5000, (30, 3)), "config.data.values = 'counts'"),
        (3.0, "x = 3.0: must be an array, a data frame or a list of texts"),
        ("text", "x = 'text': must be a list of texts"),
        (None, "x = None: must be an array"),
        (["a", 3], r"x\[1\] = 3: all of x must be texts"),
        (["a", " ", "b", "c", "d", "e"], r"x\[1\] is blank"),
    ],
)
def test_examples_that_cannot_be_trained_on(x, message):
    with pytest.raises(InputError, match=message):
        vae_jax.fit(x, "text_vae" if isinstance(x, list) and "a" in x else "vae", TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": "vea"}, "config = 'vea': no such file or name.*did you mean 'vae'"),
        ({"config": 3}, "config = 3: must be the name of a config"),
        ({"overrides": {"train.num_stepz": 3}}, r"config\.train\.num_stepz: no such field; did"),
        ({"overrides": {"train.num_steps": "3"}}, "config.train.num_steps = '3': must be an int"),
        ({"overrides": {"train": 3}}, r"overrides: config\.train is a group"),
        ({"overrides": {"data.path": "x"}}, r"overrides: config\.data\.path names other data"),
        ({"overrides": {"sweep.beta": (1.0, 2.0)}}, r"config\.sweep: fit trains one model"),
        ({"overrides": ["train.num_steps"]}, "overrides = .* must be a mapping"),
        ({"overrides": {"train.batch_size": 99}}, "batch_size = 99: larger than the data"),
        ({"y": np.zeros(3)}, r"y: labels have shape \(3,\) for 60 examples"),
        ({"y": np.zeros(60), "valid": X}, "valid: with y, must be a share, or a pair"),
        ({"valid": ["a"]}, "valid: must be in the form of x, an array"),
        (
            {"x": pd.DataFrame(X), "valid": pd.DataFrame(X[:9, :2]), "config": "table_vae"},
            r"valid: must have the columns of x; missing \[2\]|missing \['2'\]",
        ),
        (
            {"x": [*"abcdef"], "valid": ["a", " "], "config": "text_vae"},
            r"valid\[1\] is blank",
        ),
        ({"valid": 0.99}, "config.data.valid_fraction = 0.99: must be"),
        ({"valid": X[:, :2]}, "image shapes differ between the splits"),
        ({"config": nets.MLP((3,))}, "config: a MLP is no model"),
        ({"config": hand_made(), "workdir": "run"}, "workdir = 'run': a run builds its model"),
        ({"config": hand_made(), "overrides": {"model.hidden": (3,)}}, "of a model that was given"),
        (
            {"config": hand_made(likelihood=likelihoods.Gaussian((4,))), "overrides": {}},
            r"x has examples of shape \(3,\), .* event_shape \(4,\)",
        ),
        (
            {"config": hand_made(likelihood=likelihoods.LogNormal((3,))), "overrides": {}, "x": -X},
            "x has values of|x has values from",
        ),
        (  # standardized numbers are not positive
            {
                "config": hand_made(likelihood=likelihoods.LogNormal((3,)), units=Units.fit(X + 1)),
                "overrides": {},
                "x": X + 1,
            },
            "units: in the units of the model x has values from .* allows 0 to inf; use units=",
        ),
    ],
)
def test_options_that_do_not_fit(options, message):
    options = {"x": X, "overrides": TINY} | options
    with pytest.raises(InputError, match=message):
        vae_jax.fit(**options)


def test_labels_that_nothing_reads_are_warned_of(trained, caplog):
    model = vae_jax.fit(X, "vae", TINY, y=np.arange(60) % 2, seed=3)
    assert "y is not used by this model: set model.conditioning = 'label'" in caplog.text
    assert equal(model.params, trained.params)


def test_scalars_of_numpy_are_numbers(trained):
    options = TINY | {"train.num_steps": np.int64(12), "model.hidden": (np.int32(8),)}
    assert equal(vae_jax.fit(X, "vae", options, seed=np.int64(3)).params, trained.params)


def test_a_run_that_diverges_says_so(caplog):
    fields = TINY | {"optimizer.learning_rate": 1e30, "train.max_skipped_in_a_row": 4}
    with pytest.raises(RunDiverged, match=r"4 steps in a row .* not finite") as error:
        vae_jax.fit(X, "vae", fields)
    assert "/" not in str(error.value).partition("(")[0]  # no path of the temporary folder
    assert "vae_jax_fit_" not in str(error.value) + caplog.text


@pytest.mark.slow
def test_it_is_quiet_unless_asked(capfd, caplog):
    caplog.set_level(logging.WARNING, "vae_jax")
    vae_jax.fit(X, "vae", TINY)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    vae_jax.fit(X, "vae", TINY, verbose=True)
    assert "training on x (55 rows of 3 columns" in capfd.readouterr().err


def test_the_kinds_of_columns_are_shown_on_request(monkeypatch, capfd, caplog):
    caplog.set_level(logging.WARNING, "vae_jax")
    monkeypatch.setattr(fit_module, "_train", lambda run: run)
    frame = pd.DataFrame({"size": X[:, 0], "color": ["red", "blue", "green"] * 20})
    vae_jax.fit(frame, "table_vae", TINY)
    assert "categorical" not in capfd.readouterr().err
    vae_jax.fit(frame, "table_vae", TINY, verbose=True)
    lines = capfd.readouterr().err.splitlines()
    assert "x: 60 rows" in lines
    assert any(line.split()[:2] == ["size", "gaussian"] for line in lines)
    assert any(line.split()[:2] == ["color", "categorical:3"] for line in lines)
    assert "config.data.schema overrides the kinds" in lines


def test_an_interruption_says_what_is_kept(monkeypatch, tmp_path):
    def interrupt(*_):
        raise Interrupted("run the same command", 143)

    monkeypatch.setattr(fit_module, "train_to_end", interrupt)
    with pytest.raises(Interrupted, match="nothing is kept without a workdir") as error:
        vae_jax.fit(X, "vae", TINY)
    assert error.value.status == 143
    with pytest.raises(Interrupted, match=r"the same call resumes from .*run"):
        vae_jax.fit(X, "vae", TINY, workdir=tmp_path / "run")


def test_the_config_is_not_changed(monkeypatch):
    monkeypatch.setattr(fit_module, "_train", lambda run: run)
    config = Config()
    config.data.name, config.data.path = "table", "elsewhere.csv"
    before = dataclasses.asdict(config)
    vae_jax.fit(X, config, TINY)
    assert dataclasses.asdict(config) == before
