"""What a field says of itself: documentation, bounds, users, and whether a sweep varies it."""

import dataclasses
import pickle

import pytest

from vae_jax.config import Config, Sweep, describe_fields, flatten, value_of
from vae_jax.config.metadata import MAX_FLOAT, MAX_INT, check_bounds, field, leaf_fields
from vae_jax.config.model import DISCRETE
from vae_jax.config.rules import check_rules, metric, needs, none_of, one_of
from vae_jax.config.sweep import by_name
from vae_jax.errors import InputError
from vae_jax.experiment.builders.choices import TABLES
from vae_jax.experiment.builders.parts import LIKELIHOODS, POSTERIORS, PRIORS, likelihood_names


def test_every_field_is_described() -> None:
    descriptions = describe_fields()
    assert [d.path for d in descriptions] == list(flatten(Config()))
    assert {d.path: d.default for d in descriptions} == flatten(Config())
    for description in descriptions:
        assert description.doc.strip(), description.path
        assert "\n" not in description.doc, description.path
    by_path = {d.path: d for d in descriptions}
    assert by_path["optimizer.learning_rate"] == (
        "optimizer.learning_rate",
        "number",
        1e-3,
        "above 0",
        "peak learning rate",
    )
    assert by_path["objective.ciwae_weight"].allowed == "at least 0, at most 1"
    assert by_path["optimizer.clip_norm"].doc == "maximum global norm of the gradient; 0: off"
    assert by_path["model.hidden"].type == "tuple of integers"
    assert by_path["data.name"].allowed == ""


@pytest.mark.parametrize("path", TABLES)
def test_documentation_lists_the_names(path) -> None:
    description = {d.path: d for d in describe_fields(TABLES)}[path]
    assert description.allowed == ", ".join(TABLES[path])
    assert description.allowed not in description.doc  # no second list


class Reads:
    """A group of the config that remembers which of its fields were read."""

    def __init__(self, group: object) -> None:
        self.group = group
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.names.add(name)
        return getattr(self.group, name)


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("model.posterior", {k: lambda c, e, f=f: f(c) for k, f in POSTERIORS.items()}),
        ("model.prior", PRIORS),
        ("model.likelihood", LIKELIHOODS),
    ],
)
def test_a_field_is_used_by_the_parts_that_read_it(path, table) -> None:
    model = Config().model
    model.columns, model.levels, model.sigma = ("gaussian",), 4, "fixed"
    model.likelihood = "bernoulli"
    reads = {}
    for name, make in table.items():
        group = Reads(model)
        make(group, (2,))
        reads[name] = group.names
    fields = {
        name: entry.metadata["used_by"]
        for name, entry in leaf_fields(type(model))
        if entry.metadata["used_by"] and entry.metadata["used_by"].path == path
    }
    assert fields
    for name, used_by in fields.items():
        users = {part for part, names in reads.items() if name in names}
        assert set(used_by.values) - {"auto"} == users, name


def test_likelihoods_have_their_properties() -> None:
    assert likelihood_names(lambda p: p.autoregressive) == ("autoregressive", "tokens")
    assert set(likelihood_names(lambda p: bool(p.levels))) == set(DISCRETE.values) - {"auto"}


def test_two_swept_fields_of_one_name_are_an_error() -> None:
    assert by_name(["a.x", "y"]) == {"x": "a.x", "y": "y"}
    with pytest.raises(ValueError, match=r"fields a\.x and b\.x can't be swept under one name"):
        by_name(["a.x", "b.x"])


def test_a_sweep_has_the_fields_that_are_marked() -> None:
    swept = {path for path, entry in leaf_fields(Config) if entry.metadata["sweep"]}
    assert {path.split(".")[-1] for path in swept} == {
        entry.name for entry in dataclasses.fields(Sweep)
    } - {"chunk"}
    kinds = {entry.name: entry.type for entry in dataclasses.fields(Sweep)}
    for path in swept:
        assert kinds[path.split(".")[-1]] == tuple[type(value_of(Config(), path)), ...]


def test_a_config_can_be_pickled() -> None:
    config = Config(seed=3)
    config.sweep.beta = (1.0, 2.0)
    assert pickle.loads(pickle.dumps(config)) == config


@dataclasses.dataclass
class Group:
    size: int = field(1, at_least=1, doc="an integer")
    rate: float = field(0.5, above=0, doc="a number")
    share: float = field(0.5, at_least=0, at_most=1, doc="a fraction")
    widths: tuple[int, ...] = field((2,), at_least=2, doc="integers")
    free: float = field(0.0, doc="anything")


BOUNDS = dict(leaf_fields(Group))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("size", 0, "must be at least 1"),
        ("size", MAX_INT + 1, f"must be at least 1 and at most {MAX_INT}"),
        ("rate", 0.0, f"must be greater than 0 and at most {MAX_FLOAT:g}"),
        ("rate", float("nan"), "must be greater than 0"),
        ("rate", float("inf"), f"at most {MAX_FLOAT:g}"),
        ("share", 1.5, "must be at least 0 and at most 1"),
        ("widths", (5, 1), "widths = 1: must be at least 2"),
    ],
)
def test_bounds(name, value, message) -> None:
    with pytest.raises(InputError) as error:
        check_bounds(name, value, BOUNDS[name])
    assert str(error.value).startswith(f"config.{name} = ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", MAX_INT), ("rate", 1e-9), ("share", 1), ("widths", [2, 3]), ("free", -1e40)],
)
def test_in_bounds(name, value) -> None:
    check_bounds(name, value, BOUNDS[name])


def test_conditions() -> None:
    config = Config()
    both = one_of("model.kind", "vae", "vq") & none_of("model.prior", "vamp")
    assert both.text == "model.kind 'vae' or 'vq' and model.prior other than 'vamp'"
    assert both.holds(config)
    config.model.prior = "vamp"
    assert not both.holds(config)


def test_rules() -> None:
    rule = needs(metric("gap", "codes"), one_of("model.kind", "vq"), "no codebook")
    config = Config()
    check_rules([rule], config)
    config.evaluation.metrics = ("likelihood,codes",)
    with pytest.raises(
        InputError,
        match=r"^config\.evaluation\.metrics = 'codes': doesn't fit config\.model\.kind = 'vae', "
        "which must be 'vq'; no codebook$",
    ):
        check_rules([rule], config)
    config.model.kind = "vq"
    check_rules([rule], config)

    def less(low: int, high: int) -> str | None:
        return None if low < high else f"{low} is not below {high}"

    check_rules([less, less], 1, 2)
    with pytest.raises(InputError, match=r"^3 is not below 2$"):
        check_rules([less], 3, 2)
