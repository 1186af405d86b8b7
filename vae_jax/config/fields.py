"""The config of a run: dataclasses with every default, and their way to dictionaries and back.

Strings name parts; `build.py` turns them into the parts and is the only place that does. `checks.py` says which values can't
be meant.
"""

import dataclasses
import functools
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vae_jax.errors import InputError, nearest, shortened, shown


@dataclasses.dataclass
class Data:
    """Which examples, and how they are prepared."""

    name: str = "digits"  # sprites, digits, npz, or a name of tensorflow-datasets
    dir: str = ""  # where tensorflow-datasets finds or puts its files
    path: str = ""  # when name is npz: the .npz file, or a folder of .npy files
    binarization: str = "none"  # none, static, dynamic, threshold
    valid_fraction: float = 0.1  # of train, where the source has no validation split
    streaming: bool = False  # whether training images stay on disk or on the host, and come batch by batch; same numbers
    workers: int = 0  # of streaming: processes that read; 0: a thread does


@dataclasses.dataclass
class Model:
    """The parts of the model."""

    network: str = "mlp"  # mlp, conv, burgess: encoder and decoder
    hidden: tuple[int, ...] = (400,)  # dense widths, encoder order; the decoder's are reversed
    channels: tuple[int, ...] = (32, 64)  # of conv, encoder order
    activation: str = "relu"  # relu, gelu, silu, tanh
    dtype: str = "float32"  # float32, bfloat16: of the compute of networks; parameters and densities are float32 in both
    latent_dim: int = 10
    posterior: str = "diag_gaussian"  # diag_gaussian, deterministic
    posterior_scale: str = "bounded"  # bounded, softplus: how the log-variance is kept finite
    prior: str = "standard_normal"
    likelihood: str = "bernoulli"  # bernoulli, gaussian, optimal_gaussian
    sigma: str = "fixed"  # of gaussian: fixed, scalar, channel, pixel (learned), predicted (by the decoder)
    init_sigma: float = 0.5  # the value of a fixed sigma, the first one of a learned one


@dataclasses.dataclass
class Objective:
    """What is minimised."""

    name: str = "elbo"  # elbo, reconstruction
    num_samples: int = 1  # K, draws of z per example
    beta: float = 1.0  # final weight of the rate
    beta_schedule: str = "constant"  # constant, linear, sigmoid, cyclical: from beta_start to beta
    beta_start: float = 0.0
    beta_steps: int = 0  # length of the schedule
    beta_cycles: int = 4  # of cyclical
    free_bits: float = 0.0  # nats per latent dimension, on the batch mean; 0 is off
    capacity: float = 0.0  # final C of beta |R - C|, nats; 0 is off
    capacity_steps: int = 0  # C grows linearly from 0 over these
    corruption: str = "none"  # none, gaussian, masking, salt_and_pepper: of the encoder's input, in training
    corruption_level: float = 0.0  # standard deviation or rate


@dataclasses.dataclass
class Optimizer:
    """How it is minimised."""

    name: str = "adam"  # adam, adamw, adamax
    learning_rate: float = 1e-3
    schedule: str = "constant"  # constant, cosine (to 0), linear (to 0); after the warm-up
    warmup_steps: int = 0
    weight_decay: float = 0.0  # of adamw
    clip_norm: float = 0.0  # global norm of the gradient; 0 is off
    ema_decay: float = 0.0  # of the parameter average that evaluation uses; 0 is off


@dataclasses.dataclass
class Train:
    """For how long, and what is kept."""

    num_steps: int = 2_000
    batch_size: int = 128
    log_every: int = 100  # steps; also the number of steps in one compiled call
    eval_every: int = 1_000  # steps between evaluations on validation, each followed by a checkpoint
    keep_checkpoints: int = 2  # newest ones, beside the best
    max_skipped_in_a_row: int = 50  # non-finite steps after which the run stops


@dataclasses.dataclass
class Evaluation:
    """How the final numbers are made."""

    batch_size: int = 256
    num_samples: int = 1  # K in the final evaluation
    seed: int = 0


@dataclasses.dataclass
class Sweep:
    """Values of a hyper-parameter: one lane for every combination, all trained in one program. Empty lists are no sweep."""

    seed: tuple[int, ...] = ()
    beta: tuple[float, ...] = ()  # of objective, and so the next seven
    beta_start: tuple[float, ...] = ()
    beta_steps: tuple[int, ...] = ()
    beta_cycles: tuple[int, ...] = ()
    free_bits: tuple[float, ...] = ()
    capacity: tuple[float, ...] = ()
    capacity_steps: tuple[int, ...] = ()
    corruption_level: tuple[float, ...] = ()
    init_sigma: tuple[float, ...] = ()  # of model
    learning_rate: tuple[float, ...] = ()  # of optimizer, and so the next four
    warmup_steps: tuple[int, ...] = ()
    weight_decay: tuple[float, ...] = ()
    clip_norm: tuple[float, ...] = ()
    ema_decay: tuple[float, ...] = ()
    chunk: int = 0  # lanes under one vmap at a time; 0: one on the CPU, all of a device elsewhere


@dataclasses.dataclass
class Config:
    """A run, or a sweep of runs."""

    name: str = "vae"
    seed: int = 0
    data: Data = dataclasses.field(default_factory=Data)
    model: Model = dataclasses.field(default_factory=Model)
    objective: Objective = dataclasses.field(default_factory=Objective)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    train: Train = dataclasses.field(default_factory=Train)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    sweep: Sweep = dataclasses.field(default_factory=Sweep)


def flatten(config: Config) -> dict[str, Any]:
    """Field paths to values: ``{"seed": 0, "data.name": ...}``."""
    return dict(_leaves(dataclasses.asdict(config), ""))


def check_types(group: Any, prefix: str) -> None:
    """Raises InputError for the first attribute that is no field, or whose value is of another type than the field."""
    kinds = typing.get_type_hints(type(group))
    for name, value in vars(group).items():
        field = prefix + name
        check_field(field)
        kind = kinds[name]
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, kind):
                raise InputError(f"config.{field} = {shown(value)}: must be a {kind.__name__}")
            check_types(value, f"{field}.")
        elif not _is_a(value, kind):
            raise InputError(f"config.{field} = {shown(value)}: must be {_KINDS[kind]}")
        elif any(isinstance(entry, int) and abs(entry) >= 2**63 for entry in _entries(value)):
            raise InputError(f"config.{field} = {shown(value)}: must be below 2^63; no number that is meant has more digits")


_KINDS = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    tuple[int, ...]: "a tuple of integers",
    tuple[float, ...]: "a tuple of numbers",
}


def _entries(value: Any) -> Collection[Any]:
    return value if isinstance(value, tuple | list) else (value,)


def _is_a(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple | list) and all(_is_a(entry, typing.get_args(kind)[0]) for entry in value)
    if isinstance(value, bool) or kind is bool:  # which Python counts among the integers
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def from_dict(values: Mapping[str, Any]) -> Config:
    """The config whose nested fields, as from `dataclasses.asdict` or its JSON, are given; InputError on an unknown one."""
    if not isinstance(values, Mapping):
        raise InputError(f"config: must be a mapping of fields to values, not {values!r}")
    config = Config()
    for path, value in _leaves(values, ""):
        check_field(path)
        *groups, name = path.split(".")
        holder = functools.reduce(getattr, groups, config)
        setattr(holder, name, value)
    check_types(config, "")
    return config


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, tuple(value) if isinstance(value, list) else value


def check_field(path: str) -> None:
    """Raises InputError unless the dotted path is a field of `Config`."""
    cls: Any = Config
    for name in path.split("."):
        types = typing.get_type_hints(cls) if dataclasses.is_dataclass(cls) else {}
        if name not in types:
            known = list(flatten(Config()))
            raise InputError(f"config.{shortened(path, 200)}: no such field{nearest(path[:100], known)}")
        cls = types[name]


def differences(ours: Config, theirs: Config, free: Collection[str] = ()) -> list[str]:
    """One line for each field in which two configs differ, the `free` ones apart."""
    a, b = flatten(ours), flatten(theirs)
    fields = [field for field in a if a[field] != b[field] and field not in free]
    return [f"config.{field}: {a[field]!r} here, {b[field]!r} there" for field in fields]


def check_same(ours: Config, saved: Config, where: str, free: Collection[str] = ()) -> None:
    """InputError with every field in which the config differs from that of the run kept in `where`, `free` ones apart."""
    lines = differences(ours, saved, free)
    if lines:
        raise InputError(
            f"{where}: holds a run of another config; take another workdir, or make these equal:\n  " + "\n  ".join(lines)
        )
