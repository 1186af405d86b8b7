"""What a config can't mean, whatever the data are."""

import re

from vae_jax.config import Config, check_types, flatten
from vae_jax.errors import InputError, check_range, shown

LARGEST_INT, LARGEST = 2**31 - 1, 1e30  # steps, sizes and seeds are int32 on the device, everything else float32
AT_LEAST_ONE = (
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
)
AT_LEAST_ZERO = (
    "seed",
    "data.workers",
    "objective.beta",
    "objective.beta_start",
    "objective.beta_steps",
    "objective.free_bits",
    "objective.capacity",
    "objective.capacity_steps",
    "objective.corruption_level",
    "optimizer.warmup_steps",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
    "evaluation.seed",
)
ABOVE_ZERO = ("optimizer.learning_rate", "model.init_sigma")


def check(config: Config) -> None:
    """Raises InputError with the first field whose value can't be meant, whatever the data are."""
    check_types(config, "")
    values = flatten(config)
    if not re.fullmatch(r"(?=.*\w)[\w.+=,-]{1,100}", config.name):
        raise InputError(
            f"config.name = {shown(config.name)}: must be letters, digits and any of _.+=,- (it names a folder), at most 100"
        )
    defaults = flatten(Config())
    for field in AT_LEAST_ONE:
        check_range(f"config.{field}", values[field], 1)
    for field in AT_LEAST_ZERO:
        check_range(f"config.{field}", values[field], 0, LARGEST_INT if isinstance(defaults[field], int) else LARGEST)
    for field in ABOVE_ZERO:
        check_range(f"config.{field}", values[field], 0, LARGEST, open_low=True)
    for field in ("model.hidden", "model.channels"):
        for size in values[field]:
            check_range(f"config.{field}", size, 1)
    for field, value in values.items():
        for entry in value if isinstance(value, tuple | list) else (value,):
            if isinstance(entry, int) and entry > LARGEST_INT and not isinstance(defaults[field], float):
                raise InputError(f"config.{field} = {shown(entry)}: must be at most {LARGEST_INT}")
    check_range("config.optimizer.ema_decay", config.optimizer.ema_decay, 0, 1 - 1e-7)
    if config.model.sigma in ("scalar", "channel", "pixel"):
        check_range("config.model.init_sigma", config.model.init_sigma, 1e-3, 50)  # a learned sigma is bounded there
    objective = config.objective
    has_sigma = config.model.likelihood == "gaussian" and config.model.sigma != "predicted"
    for field, used_by, used in (
        ("objective.corruption_level", "a corruption", objective.corruption != "none"),
        ("objective.beta_steps", "a beta_schedule that is not constant", objective.beta_schedule != "constant"),
        ("objective.capacity_steps", "a capacity above 0", objective.capacity > 0),
        ("objective.beta", "objective 'elbo'", objective.name == "elbo"),
        ("objective.beta_start", "a beta_schedule that is not constant", objective.beta_schedule != "constant"),
        ("objective.free_bits", "objective 'elbo'", objective.name == "elbo"),
        ("objective.capacity", "objective 'elbo'", objective.name == "elbo"),
        ("model.init_sigma", "a gaussian with a sigma of its own", has_sigma),
        ("optimizer.weight_decay", "optimizer 'adamw'", config.optimizer.name == "adamw"),
        ("data.path", "the data set 'npz'", config.data.name == "npz"),
        ("data.workers", "data.streaming", config.data.streaming),
    ):
        if values[field] != defaults[field] and not used:
            raise InputError(f"config.{field} = {values[field]!r}: does nothing without {used_by}; leave it out")
    if config.model.sigma != "fixed" and config.model.likelihood != "gaussian":
        raise InputError(f"config.model.sigma = {config.model.sigma!r}: does nothing without likelihood 'gaussian'")
    if objective.corruption != "none" and not objective.corruption_level:
        raise InputError(f"config.objective.corruption_level = 0.0: corruption {objective.corruption!r} needs one above 0")
    if objective.corruption in ("masking", "salt_and_pepper"):
        check_range("config.objective.corruption_level", objective.corruption_level, 0, 1)
    if config.model.network == "conv" and not config.model.channels:
        raise InputError("config.model.channels = (): must have at least one entry with config.model.network 'conv'")
    if objective.beta_schedule != "constant" and objective.beta_steps < 1:
        raise InputError(
            f"config.objective.beta_steps = {objective.beta_steps}: must be at least 1 with beta_schedule "
            f"{objective.beta_schedule!r}"
        )
    if objective.beta_schedule == "cyclical" and objective.beta_steps * objective.beta_cycles > LARGEST_INT:
        raise InputError(
            f"config.objective.beta_cycles = {objective.beta_cycles}: times config.objective.beta_steps = "
            f"{objective.beta_steps}, must be at most {LARGEST_INT}"
        )
    if config.optimizer.warmup_steps >= config.train.num_steps:
        raise InputError(
            f"config.optimizer.warmup_steps = {config.optimizer.warmup_steps}: must be below config.train.num_steps = "
            f"{config.train.num_steps}"
        )
