"""Configs of text that cannot be: each is refused by one message, most before any data is read."""

import types

import pytest

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.launch.config_files import read_config
from vae_jax.experiment.run import log_choices
from vae_jax.experiment.validation import validate


def config(**changes):
    result = Config()
    result.data.name = "molecules"
    for path, value in changes.items():
        *groups, leaf = path.split("__")
        group = result
        for name in groups:
            group = getattr(group, name)
        assert hasattr(group, leaf), path
        setattr(group, leaf, value)
    return result


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__likelihood": "gaussian"}, "model.likelihood.*must be 'tokens'"),
        ({"model__likelihood": "autoregressive"}, "model.likelihood.*must be 'tokens'"),
        ({"model__columns": ("gaussian",)}, "lines have no columns"),
        ({"model__kind": "vq", "objective__name": "vq"}, "needs a vector as its context"),
        ({"model__kind": "hierarchical"}, "needs a vector as its context"),
        ({"model__prior": "vamp"}, "pseudo-inputs"),
        ({"model__conditioning": "label"}, "lines have no labels"),
        ({"model__conditioning": "label", "objective__name": "m2"}, "lines have no labels"),
        ({"objective__name": "m2"}, "model.conditioning"),
        ({"objective__corruption": "gaussian", "objective__corruption_level": 0.1}, "no token"),
        ({"objective__corruption": "salt_and_pepper", "objective__corruption_level": 0.1}, "ends"),
        ({"data__leave_out": 1}, "lines have no classes"),
        ({"data__missing": True}, "data.missing"),
        ({"data__hide": 0.1}, "data.hide"),
        ({"data__streaming": True}, "data.streaming"),
        ({"model__mask_input": True}, "model.mask_input"),
        (
            {"model__network": "transformer", "model__heads": 3, "model__encoder_width": 36},
            r"model.decoder_width = 512: must be a multiple of 2 \* config.model.heads, of 6",
        ),
        ({"evaluation__metrics": ("codes",)}, "no codebook"),
        ({"evaluation__metrics": ("quality",)}, "features are of images"),
        ({"evaluation__metrics": ("reconstruction",)}, "right or wrong"),
        ({"evaluation__metrics": ("compression",)}, "depend on each other"),
        ({"evaluation__metrics": ("imputation",)}, "no missing values"),
        ({"evaluation__metrics": ("representation",)}, "no labels"),
        ({"evaluation__metrics": ("disentanglement",)}, "no labels"),
        ({"evaluation__metrics": ("augmentation",)}, "no labels"),
        ({"evaluation__metrics": ("accuracy",)}, "no labels"),
        ({"evaluation__num_beams": 3}, "'sequences' in config.evaluation.metrics"),
        ({"data__name": "digits", "model__likelihood": "tokens"}, "only lines of text"),
        ({"data__name": "digits", "evaluation__metrics": ("sequences",)}, "no sequences of tokens"),
        ({"data__name": "digits", "data__alphabet": "smiles"}, "data.alphabet"),
    ],
)
def test_what_does_not_fit_text_is_refused_before_data_are_read(changes, message):
    with pytest.raises(InputError, match=message):
        validate(config(**changes))


@pytest.fixture(scope="module")
def dataset():
    return builders.build_data(config())


def check(dataset, **changes):
    """The rules of a config once what is 'auto' is chosen by the data."""
    original = config(**changes)
    validate(original)
    validate(builders.resolve(original, dataset.shape, dataset.preparation), dataset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__network": "mlp"}, "know.* their order"),
        ({"model__network": "conv"}, "know.* their order"),
        ({"model__sigma": "scalar"}, "model.sigma"),
        ({"model__init_sigma": 0.3}, "model.init_sigma"),
        ({"model__levels": 4}, "model.levels"),
        ({"model__num_tokens": 7}, "model.num_tokens"),
    ],
)
def test_the_rest_is_refused_once_the_likelihood_is_chosen(dataset, changes, message):
    with pytest.raises(InputError, match=message):
        check(dataset, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"evaluation__metrics": ("sequences", "likelihood", "annealed", "gap", "decomposition")},
        {"objective__corruption": "masking", "objective__corruption_level": 0.1},
        {"objective__token_dropout": 0.2, "objective__name": "iwae"},
        {"model__prior": "mixture"},
        {"model__posterior": "gumbel_softmax", "model__prior": "uniform"},
        {"model__posterior": "deterministic", "objective__name": "wae"},
        {"model__kind": "language_model", "evaluation__metrics": ("sequences", "likelihood")},
    ],
)
def test_what_fits_text_passes(dataset, changes):
    check(dataset, **changes)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"model__encoder_width": 8, "model__decoder_width": 8}, []),
        ({"model__hidden": [400], "model__kind": "language_model"}, []),
        (
            {"model__hidden": (16,), "model__channels": (8, 8)},
            [
                "small: config.model.hidden = (16,): does nothing with config.model.network = "
                "'gru', whose widths are encoder_width and decoder_width",
                "small: config.model.channels = (8, 8): does nothing with config.model.network = "
                "'gru', whose widths are encoder_width and decoder_width",
            ],
        ),
        (
            {"model__network": "transformer", "model__hidden": (16,)},
            [
                "small: config.model.hidden = (16,): does nothing with config.model.network = "
                "'transformer', whose widths are encoder_width and decoder_width",
            ],
        ),
        (
            {"model__kind": "language_model", "model__encoder_width": 8, "model__hidden": (16,)},
            [
                "small: config.model.hidden = (16,): does nothing with config.model.network = "
                "'gru', whose width is decoder_width",
                "small: config.model.encoder_width = 8: does nothing with config.model.kind = "
                "'language_model', which has no encoder",
            ],
        ),
    ],
)
def test_widths_that_do_nothing_are_named(dataset, changes, lines, caplog):
    original = config(name="small", **changes)
    resolved = builders.resolve(original, dataset.shape, dataset.preparation)
    model = types.SimpleNamespace(units=None)
    log_choices(original, types.SimpleNamespace(config=resolved, dataset=dataset, model=model))
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == lines


def test_widths_of_other_networks_are_used():
    images = config(data__name="digits", model__network="mlp", model__hidden=(16,))
    assert not builders.find_unused_widths(images)


@pytest.mark.parametrize("variant", ["molecules", "molecules_control", "text", "text_control"])
def test_the_configs_of_molecules_have_no_such_widths(dataset, variant):
    original = read_config(f"molecule_vae:{variant}", "")
    resolved = builders.resolve(original, dataset.shape, dataset.preparation)
    assert not builders.find_unused_widths(resolved)


@pytest.mark.parametrize("metric", ["annealed", "gap", "decomposition", "search", "udr"])
def test_metrics_of_latents_are_refused_for_the_control(metric):
    changes = {"model__kind": "language_model", "evaluation__metrics": (metric,)}
    with pytest.raises(InputError, match="it has no latents"):
        validate(config(**changes))


@pytest.mark.parametrize("field", ["beta", "free_bits", "capacity"])
def test_weights_of_the_rate_are_refused_for_the_control(field):
    changes = {"model__kind": "language_model", f"objective__{field}": 0.5}
    with pytest.raises(InputError, match=f"objective.{field} = 0.5.*its rate is 0"):
        validate(config(**changes))


def test_images_have_no_control_and_text_has_no_values():
    original = config(data__name="digits", model__kind="language_model")
    values = {"values": "scaled", "binary": True, "levels": 2}
    digits = builders.resolve(original, (8, 8, 1), values)
    with pytest.raises(InputError, match="decoder of tokens alone"):
        validate(digits)
    for field, value in (("binarization", "dynamic"), ("values", "counts")):
        with pytest.raises(InputError, match=f"config.data.{field}.*tokens of an alphabet"):
            builders.build_data(config(**{f"data__{field}": value}))
