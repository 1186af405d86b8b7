"""Likelihood, network and binarization by the kind of data, for every config."""

import dataclasses
import importlib.util
import pathlib

import numpy as np
import pytest

from vae_jax import data
from vae_jax.config import Config, Evaluation, check_same, flatten, from_dict
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.run import explain_choices, make_run
from vae_jax.experiment.training.trainers import SingleRunTrainer
from vae_jax.experiment.validation import validate

ROOT = pathlib.Path(__file__).parents[3]
TEXT = {"molecule_vae", "text_vae"}  # of lines, not of arrays
CONFIGS = sorted({path.stem for path in (ROOT / "configs").glob("*.py")} - TEXT)
RNG = np.random.default_rng(0)
N = 170
ARRAYS = {
    "grey": RNG.integers(0, 256, (N, 28, 28)).astype(np.uint8),
    "color": RNG.integers(0, 256, (N, 33, 47, 3)).astype(np.uint8),
    "floats": np.float32(RNG.integers(0, 256, (N, 16, 16, 4)) / 255),
    "black and white": (RNG.random((N, 8, 8)) < 0.5).astype(np.uint8) * 255,
    "16 bits": RNG.integers(0, 65536, (N, 9, 9)).astype(np.uint16),
    "maps": RNG.normal(size=(N, 9, 11, 2)) * 300,
    "table": RNG.normal(size=(N, 4)) * [1, 1e4, 1e-6, 1e3] + [0, 5e4, 0, 1.6e7],
    "bits": (RNG.random((N, 7)) < 0.5).astype(int),
    "bytes": RNG.integers(0, 256, (N, 30)).astype(np.uint8),
    "counts": RNG.poisson(300, (N, 6)),
}
LIKELIHOOD = {
    **dict.fromkeys(("grey", "color", "floats", "bytes"), "discretized_logistic"),
    **dict.fromkeys(("black and white", "bits"), "bernoulli"),
    **dict.fromkeys(("16 bits", "maps", "table"), "gaussian"),
    "counts": "negative_binomial",
}
IMAGES = {name for name, x in ARRAYS.items() if x.ndim > 2}
REFUSED = {  # by method: images, counts, values on a grid
    **{("hierarchical_conv", kind): "'conv': needs images" for kind in {*ARRAYS} - IMAGES},
    **{("count_vae", kind): "values that are not counts" for kind in ("floats", "maps", "table")},
    ("pixel_vae", "bits"): "'autoregressive': needs images",
    ("pixel_vae", "bytes"): "'autoregressive': needs images",
    ("pixel_vae", "table"): "'autoregressive': needs images",
    ("pixel_vae", "counts"): "'autoregressive': needs images",
    ("pixel_vae", "maps"): "'autoregressive': needs values from 0 to 1",
    ("pixel_vae", "16 bits"): "values that lie on no grid",
}


def config_of(name: str, kind: str) -> Config:
    spec = importlib.util.spec_from_file_location(name, ROOT / "configs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("npz")
    config.train.batch_size = 16
    config.data.values = "counts" if kind == "counts" else config.data.values
    config.evaluation = Evaluation()  # some metrics read files again
    return config


@pytest.fixture(scope="module")
def datasets():
    """Each kind of data, by the `values` of a config."""
    made = {}

    def dataset(kind: str, values: str) -> data.Dataset:
        if (kind, values) not in made:
            x, y = ARRAYS[kind], np.arange(N) % 10
            made[kind, values] = data.from_arrays(
                {"train_images": x[:130], "test_images": x[130:]}
                | {"train_labels": y[:130], "test_labels": y[130:]},
                values=values,
            )
        return made[kind, values]

    return dataset


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_fits_every_kind_of_data_that_its_method_allows(name, datasets, tmp_path):
    for kind in ARRAYS:
        config = config_of(name, kind)
        before = dataclasses.asdict(config)
        if (name, kind) in REFUSED:
            with pytest.raises(InputError, match=REFUSED[name, kind]):
                make_run(config, tmp_path, datasets(kind, config.data.values))
            continue
        run = make_run(config, tmp_path, datasets(kind, config.data.values))
        expected = config.model.likelihood
        if expected == "auto":
            expected = "negative_binomial" if name == "count_vae" else LIKELIHOOD[kind]
        assert run.config.model.likelihood == expected
        assert (run.config.model.network == "mlp") <= (
            kind not in IMAGES or name in ("ladder_vae", "linear_vae")
        )
        assert "auto" not in {
            value
            for path, value in flatten(run.config).items()
            if path in ("data.binarization", "model.likelihood", "model.network")
        }
        has_units = kind in ("maps", "table", "counts") or name == "count_vae"
        assert (run.model.units is not None) == has_units, kind
        assert dataclasses.asdict(config) == before  # the caller's config is not changed


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "data.binarization 'dynamic' (the literature binarizes digits), model.likelihood"),
        ({}, "model.likelihood 'bernoulli' (all values are 0 or 1), model.network 'mlp' (the lit"),
        (
            {"data.binarization": "none"},
            "model.likelihood 'discretized_logistic' (values have 17 levels)",
        ),
        ({"data.values": "counts"}, "model.likelihood 'negative_binomial' (values are counts)"),
        ({"data.values": "counts"}, "networks see log(1 + x) standardized"),
        ({"model.network": "conv"}, "(all values are 0 or 1)"),
    ],
)
def test_choices_and_reasons_are_one_line(changes, line, tmp_path):
    config = config_with(changes)
    text = explain_choices(config, make_run(config, tmp_path))
    assert line in text
    assert "\n" not in text


def test_zeros_and_ones_of_a_table_are_bernoulli_columns(tmp_path):
    x = ARRAYS["table"].copy()
    x[:, 2] = np.arange(N) % 2
    dataset = data.from_arrays({"train_images": x, "test_images": x[:40]})
    config = config_of("vae", "table")
    run = make_run(config, tmp_path, dataset)
    assert run.config.model.likelihood == "mixed"
    assert run.config.model.columns == ("gaussian*2", "bernoulli", "gaussian")
    assert "'mixed' (some columns are 0 or 1)" in explain_choices(config, run)
    check_same(config, run.config, "the same run, resumed")
    config.model.columns = ("gaussian*4",)
    with pytest.raises(InputError, match=r"config\.model\.columns: \('gaussian\*4',\) here"):
        check_same(config, run.config, "another run")
    config.model.columns = ()
    config.model.likelihood = "gaussian"  # what is given stays
    assert make_run(config, tmp_path, dataset).config.model.columns == ()


def config_with(changes: dict) -> Config:
    config = Config()
    for path, value in changes.items():
        group, field = path.split(".")
        setattr(getattr(config, group), field, value)
    return config


GIVEN = {
    "data.binarization": "threshold",
    "model.likelihood": "continuous_bernoulli",
    "model.network": "conv",
}


def test_given_values_win(tmp_path):
    config = config_with(GIVEN)
    run = make_run(config, tmp_path)
    assert {path: flatten(run.config)[path] for path in GIVEN} == GIVEN
    assert explain_choices(config, run) == ""


@pytest.mark.parametrize(
    ("changes", "sigma", "binarization"),
    [
        ({"model.likelihood": "gaussian"}, "fixed", "none"),
        ({"model.likelihood": "laplace", "model.sigma": "pixel"}, "pixel", "none"),
        ({"model.likelihood": "autoregressive"}, "auto", "dynamic"),
        ({"model.likelihood": "autoregressive", "model.levels": 17}, "auto", "none"),
        ({"model.likelihood": "categorical"}, "auto", "none"),
    ],
)
def test_what_is_given_decides_the_rest(changes, sigma, binarization, tmp_path):
    config = make_run(config_with(changes), tmp_path).config
    assert config.data.binarization == binarization
    assert config.model.sigma == sigma
    if config.model.likelihood not in ("gaussian", "laplace"):
        assert config.model.levels == (2 if binarization == "dynamic" else 17)


def test_a_gaussian_that_is_chosen_learns_its_sigma(datasets, tmp_path):
    for kind, size in (("table", (4,)), ("maps", (2,)), ("16 bits", (1,))):
        config = make_run(config_of("vae", kind), tmp_path, datasets(kind, "scaled")).config
        assert (config.model.likelihood, config.model.sigma) == ("gaussian", "channel"), size


def test_a_grid_of_codes_that_is_given_needs_dense_layers(datasets, tmp_path):
    config = config_of("vq_vae", "grey")
    run = make_run(config, tmp_path, datasets("grey", "scaled"))
    assert run.config.model.network == "resnet"
    config.codes.grid = (3, 2)
    run = make_run(config, tmp_path, datasets("grey", "scaled"))
    assert (run.config.model.network, run.config.codes.grid) == ("mlp", (3, 2))


def test_columns_make_a_mixed_likelihood(datasets, tmp_path):
    config = config_of("vae", "table")
    config.model.columns = ("gaussian*4",)
    run = make_run(config, tmp_path, datasets("table", "scaled"))
    assert run.config.model.likelihood == "mixed"
    assert run.model.units.density.scale == tuple(datasets("table", "scaled").moments.stddev)


def test_what_a_choice_leaves_without_effect_is_refused(datasets, tmp_path):
    config = config_of("vae", "bits")
    config.model.init_sigma = 0.1
    with pytest.raises(InputError, match=r"init_sigma = 0\.1: does nothing without"):
        make_run(config, tmp_path, datasets("bits", "scaled"))


def test_bernoulli_on_color_images_keeps_its_warning(tmp_path, caplog):
    path = tmp_path / "color.npz"
    np.savez(path, train_images=ARRAYS["color"])
    config = config_of("vae", "color")
    config.data.path = str(path)
    config.model.likelihood = "bernoulli"
    make_run(config, tmp_path)
    assert "a bernoulli likelihood of values between 0 and 1 is not a" in caplog.text


def test_without_data_only_names_tell_their_kind():
    config = config_with({"data.name": "npz"})
    with pytest.raises(InputError, match="likelihood = 'auto': depends on the data; name one"):
        builders.build_model(config, (8, 8, 1))
    assert builders.build_model(Config(), (8, 8, 1)).likelihood.binary


def test_a_resolved_config_is_that_of_its_run_and_of_earlier_versions(tmp_path):
    resolved = make_run(Config(), tmp_path).config
    check_same(Config(), resolved, "here")
    earlier = dataclasses.asdict(resolved)
    earlier["model"] |= {"sigma": "fixed", "levels": 256}  # defaults of earlier versions
    validate(from_dict(earlier))
    check_same(resolved, from_dict(earlier), "here")
    earlier["model"]["likelihood"] = "gaussian"
    with pytest.raises(InputError, match="likelihood: 'bernoulli' here, 'gaussian' there"):
        check_same(resolved, from_dict(earlier), "here")


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_one_step_of_every_config_is_finite_on_every_kind_of_data(name, datasets, tmp_path):
    for kind in ("grey", "color", "table", "bits", "counts"):
        if (name, kind) in REFUSED:
            continue
        config = config_of(name, kind)
        config.train.log_every = config.train.eval_every = 1
        run = make_run(config, tmp_path, datasets(kind, config.data.values))
        trainer = SingleRunTrainer(run)
        state, metrics = trainer.epoch(1)(trainer.initial(), trainer.source)
        assert int(state.skipped) == 0, kind
        assert np.isfinite(metrics["loss"]).all(), kind
