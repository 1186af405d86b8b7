"""The config: its bounds, the round trip through JSON, and the files in configs/."""

import dataclasses
import importlib.util
import json
import math
import pathlib

import pytest

from vae_jax.config import Config, check_field, differences, flatten, from_dict
from vae_jax.config.fields import Train
from vae_jax.config.metadata import leaf_fields
from vae_jax.config.validation import check
from vae_jax.data import EMBEDDED
from vae_jax.data.splits import MAX_VALID_FRACTION
from vae_jax.errors import InputError, check_choice, check_range, suggest
from vae_jax.experiment import builders
from vae_jax.experiment.validation import validate

CONFIGS = sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.py"))
NAN = float("nan")


def changed(**fields) -> Config:
    """A config with other values; two underscores stand for the dot."""
    config = Config()
    for name, value in fields.items():
        *groups, leaf = name.split("__")
        holder = getattr(config, groups[0]) if groups else config
        assert hasattr(holder, leaf)
        setattr(holder, leaf, value)
    return config


def refusal(config: Config) -> str:
    with pytest.raises(InputError) as error:
        check(config)
    return str(error.value)


def test_defaults_pass() -> None:
    check(Config())


AT_LEAST_ONE = [
    "model.latent_dim",
    "objective.num_samples",
    "objective.beta_cycles",
    "train.num_steps",
    "train.batch_size",
    "train.log_every",
    "train.eval_every",
    "train.keep_checkpoints",
    "train.max_skipped_in_a_row",
    "evaluation.batch_size",
    "evaluation.num_samples",
]
AT_LEAST_ZERO = [
    "seed",
    "objective.beta_steps",
    "objective.capacity_steps",
    "optimizer.warmup_steps",
    "evaluation.seed",
]
NOT_NEGATIVE = [
    "objective.beta",
    "objective.beta_start",
    "objective.free_bits",
    "objective.capacity",
    "objective.corruption_level",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
]
OUT_OF_BOUNDS = [
    *((field, value, "must be at least 1") for field in AT_LEAST_ONE for value in (0, -1)),
    *((field, -1, "must be at least 0") for field in AT_LEAST_ZERO),
    *(
        (field, value, "must be at least 0")
        for field in NOT_NEGATIVE
        for value in (-1e-6, NAN, math.inf)
    ),
    *(
        ("data.valid_fraction", value, "must be greater than 0 and at most 0.9")
        for value in (7.0, 0.0, -0.1, 0.91, NAN)
    ),
    *((field, 2**31, "at most 2147483647") for field in ("seed", "evaluation.seed")),
    *(
        (field, value, "must be greater than 0")
        for field in ("optimizer.learning_rate", "model.init_sigma")
        for value in (0.0, -1.0, NAN, math.inf)
    ),
    *(
        ("optimizer.ema_decay", value, "must be at least 0 and at most 1")
        for value in (-0.1, 1.0, 2.0, NAN)
    ),
]


@pytest.mark.parametrize(("field", "value", "allowed"), OUT_OF_BOUNDS)
def test_out_of_bounds(field, value, allowed) -> None:
    message = refusal(changed(**{field.replace(".", "__"): value}))
    assert message.startswith(f"config.{field} = {value!r}: ")
    assert allowed in message


def test_every_number_has_a_bound() -> None:
    for field, value in flatten(Config()).items():
        if isinstance(value, int | float):
            bad = {"data.leave_out": -2, "objective.info_alpha": -1e31}.get(
                field, -1
            )  # of these, -1 can be meant
            assert refusal(changed(**{field.replace(".", "__"): bad})).startswith(
                f"config.{field} = {bad}: must be "
            ), field


def test_the_largest_validation_split_is_that_of_the_library() -> None:
    entry = dict(leaf_fields(Config))["data.valid_fraction"]
    assert entry.metadata["at_most"] == MAX_VALID_FRACTION


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (field, 1) for field in AT_LEAST_ONE if field != "objective.beta_cycles"
        ),  # which needs a schedule with cycles
        *((field, 0) for field in AT_LEAST_ZERO),
        *((field, 0) for field in NOT_NEGATIVE),
        ("seed", 2**31 - 1),
        ("optimizer.ema_decay", 0.9999),
        ("optimizer.learning_rate", 1e-9),
        ("model.hidden", ()),
        ("model.hidden", [400, 200]),
    ],
)
def test_within_bounds(field, value) -> None:
    check(changed(**{field.replace(".", "__"): value}))


@pytest.mark.parametrize("field", ["model.hidden", "model.channels"])
@pytest.mark.parametrize("value", [0, -3])
def test_widths(field, value) -> None:
    message = refusal(changed(**{field.replace(".", "__"): (32, value)}))
    assert message == f"config.{field} = {value}: must be at least 1"


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        (
            {"objective__beta_schedule": "linear"},
            ["config.objective.beta_steps = 0", "at least 1", "beta_schedule 'linear'"],
        ),
        (
            {"optimizer__warmup_steps": 50, "train__num_steps": 50},
            ["config.optimizer.warmup_steps = 50", "below config.train.num_steps = 50"],
        ),
        (
            {"objective__corruption": "masking", "objective__corruption_level": 1.5},
            ["config.objective.corruption_level = 1.5", "at most 1"],
        ),
        (
            {"objective__corruption": "salt_and_pepper", "objective__corruption_level": 1.5},
            ["config.objective.corruption_level = 1.5", "at most 1"],
        ),
        (
            {"model__network": "conv", "model__channels": ()},
            ["config.model.channels = ()", "at least one", "'conv'"],
        ),
    ],
)
def test_fields_that_do_not_fit_each_other(fields, parts) -> None:
    message = refusal(changed(**fields))
    for part in parts:
        assert part in message


def test_fields_that_fit_each_other() -> None:
    check(changed(objective__beta_schedule="linear", objective__beta_steps=1))
    check(changed(optimizer__warmup_steps=49, train__num_steps=50))
    check(changed(objective__corruption="gaussian", objective__corruption_level=1.5))


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("train.num_steps", 1e4, "an integer"),
        ("train.batch_size", "128", "an integer"),
        ("seed", True, "an integer"),
        ("seed", None, "an integer"),
        ("objective.beta", "4", "a number"),
        ("objective.beta", None, "a number"),
        ("data.name", 3, "a string"),
        ("model.hidden", 400, "a tuple of integers"),
        ("model.hidden", (400.0,), "a tuple of integers"),
        ("model.hidden", "400", "a tuple of integers"),
        ("model.channels", ("a",), "a tuple of integers"),
    ],
)
def test_wrong_type(field, value, kind) -> None:
    assert (
        refusal(changed(**{field.replace(".", "__"): value}))
        == f"config.{field} = {value!r}: must be {kind}"
    )


def test_a_group_that_is_no_group() -> None:
    assert refusal(changed(model=3)) == "config.model = 3: must be a ModelConfig"


def test_a_misspelt_field_in_a_config_file_is_found() -> None:
    config = Config()
    config.model.latnet_dim = 3
    assert (
        refusal(config)
        == "config.model.latnet_dim: no such field; did you mean 'model.latent_dim'?"
    )


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("objective.beat", "objective.beta"),
        ("model.laten_dim", "model.latent_dim"),
        ("optimiser.learning_rate", "optimizer.learning_rate"),
        ("sed", "seed"),
        ("model.hidden.first", None),
        ("qqqq", None),
        ("model.", None),
        ("", None),
    ],
)
def test_unknown_field(path, hint) -> None:
    with pytest.raises(InputError) as error:
        check_field(path)
    assert str(error.value).startswith(f"config.{path}: no such field")
    if hint:
        assert str(error.value).endswith(f"did you mean {hint!r}?")


def test_every_field_is_known() -> None:
    for field in flatten(Config()):
        check_field(field)


def unlike_the_default(field, value):
    """Another value of the same type."""
    if isinstance(value, str):
        return f"{value}?"
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value, "7" if field in ("model.columns", "evaluation.metrics") else 7)
    return value + 1


@pytest.mark.parametrize("as_json", [False, True])
def test_round_trip(as_json) -> None:
    config = from_dict(
        {field: unlike_the_default(field, value) for field, value in flatten(Config()).items()}
    )
    assert all(
        a != b for a, b in zip(flatten(config).values(), flatten(Config()).values(), strict=True)
    )
    values = dataclasses.asdict(config)
    again = from_dict(json.loads(json.dumps(values)) if as_json else values)
    assert again == config
    assert again.model.hidden == (400, 7)
    assert isinstance(again.model, type(config.model))
    assert differences(config, again) == []


def test_lists_of_a_config_file_equal_the_tuples_read_back() -> None:
    config = changed(model__hidden=[400, 200])
    again = from_dict(json.loads(json.dumps(dataclasses.asdict(config))))
    assert again.model.hidden == (400, 200)
    assert differences(config, again) == []


def test_fields_that_are_left_out_have_their_defaults() -> None:
    assert from_dict({}) == Config()
    assert from_dict({"model": {"latent_dim": 3}}) == changed(model__latent_dim=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": {"latnet_dim": 3}},
            "config.model.latnet_dim: no such field; did you mean 'model.latent_dim'?",
        ),
        ({"sed": 3}, "config.sed: no such field; did you mean 'seed'?"),
        ({"seed": {"a": 1}}, "config.seed.a: no such field"),
        ([1, 2], "config: must be a mapping of fields to values, not [1, 2]"),
    ],
)
def test_from_dict_refuses(values, message) -> None:
    with pytest.raises(InputError) as error:
        from_dict(values)
    assert str(error.value).startswith(message)


def test_differences_lists_the_fields_in_both() -> None:
    ours = changed(seed=3, model__hidden=(5,), data__dir="here", evaluation__batch_size=7)
    expected = [
        "config.seed: 3 here, 0 there",
        "config.data.dir: 'here' here, '' there",
        "config.model.hidden: (5,) here, (400,) there",
        "config.evaluation.batch_size: 7 here, 256 there",
    ]
    assert differences(ours, Config()) == expected
    assert differences(ours, Config(), ["data.dir", "evaluation.batch_size"]) == [
        expected[0],
        expected[2],
    ]
    assert differences(ours, ours) == []


def get_config(path: pathlib.Path, *args: str) -> Config:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*args)


def test_there_are_configs() -> None:
    assert {"vae", "beta_vae"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_config_file(path) -> None:
    config = get_config(path)
    validate(config)
    assert config.data.name in EMBEDDED  # a run with nothing but the repository
    dataset = builders.build_data(config)
    validate(config, dataset)
    other_data = "mnist" if dataset.text is None else "text"
    if dataset.table is not None or dataset.text is not None:  # of which the model is made
        config = builders.resolve(config, dataset.shape, dataset.preparation)
    model = builders.build_model(config, dataset.shape)
    builders.build_loss(config, model, dataset.train.num_examples)
    builders.build_optimizer(config)
    text = path.read_text()
    assert f"python -m vae_jax.main --config=configs/{path.name}" in text
    assert "RESULT" not in text  # the number that it reached
    # Runs on two data sets have two names, and so two workdirs.
    other = get_config(path, other_data)
    check(other)
    assert other.data.name == other_data
    assert other.name != config.name


def test_nearest() -> None:
    assert suggest("mpl", ["mlp", "conv"]) == "; did you mean 'mlp'?"
    assert suggest("xyz", ["mlp", "conv"]) == ""
    assert suggest("mlp", []) == ""


def test_check_choice_returns_the_value() -> None:
    assert check_choice("f", "b", iter("abc")) == "b"
    with pytest.raises(InputError, match=r"f = 'x': unknown; allowed are a, b"):
        check_choice("f", "x", iter("ab"))


@pytest.mark.parametrize(
    ("value", "low", "high", "open_low", "inside"),
    [
        (1, 1, 2, False, True),
        (2, 1, 2, False, True),
        (0.999, 1, 2, False, False),
        (2.001, 1, 2, False, False),
        (1, 1, 2, True, False),
        (1.001, 1, 2, True, True),
        (NAN, 1, 2, False, False),
        (NAN, 1, math.inf, True, False),
        (1e300, 1, math.inf, False, True),
    ],
)
def test_check_range(value, low, high, open_low, inside) -> None:
    if inside:
        check_range("f", value, low, high, open_low=open_low)
    else:
        with pytest.raises(InputError, match=rf"^f = {value!r}: must be (at least|greater than) 1"):
            check_range("f", value, low, high, open_low=open_low)


@pytest.mark.parametrize(
    "changes",
    [
        {"objective__corruption_level": 0.3},
        {"objective__beta_steps": 100},
        {"objective__capacity_steps": 10},
        {"objective__name": "reconstruction", "objective__free_bits": 0.1},
        {"objective__name": "reconstruction", "objective__capacity": 2.0},
        {"data__path": "x.npz"},
        {"model__sigma": "scalar", "model__likelihood": "bernoulli"},
    ],
)
def test_an_option_that_would_do_nothing_is_an_error(changes) -> None:
    with pytest.raises(InputError, match="does nothing without"):
        check(changed(**changes))


@pytest.mark.parametrize("name", ["../x", "", "a b", "a/b", ".."])
def test_a_name_that_is_no_folder_is_refused(name) -> None:
    with pytest.raises(InputError, match=r"config\.name = "):
        check(changed(name=name))


def test_a_corruption_needs_a_level() -> None:
    with pytest.raises(
        InputError, match=r"corruption_level = 0\.0: corruption 'masking' needs one above 0"
    ):
        check(changed(objective__corruption="masking"))


@pytest.mark.parametrize(
    ("num_steps", "log_every", "eval_every", "expected"),
    [
        (2_000, 100, 1_000, 200),
        (1_999, 100, 1_000, 100),
        (200, 100, 1_000, 20),
        (300, 100, 1_000, 25),  # a divisor of 100: one length of call
        (50_000, 100, 1_000, 1_000),
        (99, 10, 1_000, 1_000),  # too short for a curve
        (1_200, 50, 400, 400),  # as given
    ],
)
def test_a_run_has_ten_validations_by_default(num_steps, log_every, eval_every, expected) -> None:
    train = Train(num_steps=num_steps, log_every=log_every, eval_every=eval_every)
    assert train.validate_every == expected
