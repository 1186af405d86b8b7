"""What a config can't mean, whatever the data are."""

import re
from collections.abc import Callable, Collection

from vae_jax.config import Config, check_types, flatten, value_of
from vae_jax.errors import InputError, check_range, format_value

LARGEST_INT, LARGEST = (
    2**31 - 1,
    1e30,
)  # steps, sizes and seeds are int32 on the device, everything else float32
AT_LEAST_ONE = (
    *(
        "model.latent_dim",
        "model.num_classes",
        "model.posterior_flows",
        "model.posterior_width",
        "model.prior_components",
    ),
    *(
        "model.prior_flows",
        "model.prior_width",
        "model.mixtures",
        "model.masked_features",
        "model.masked_layers",
    ),
    *("codes.code_dim", "codes.prior_features", "codes.prior_layers", "hierarchy.blocks"),
    *("objective.num_samples", "objective.beta_cycles", "objective.num_groups"),
    *(
        "train.num_steps",
        "train.batch_size",
        "train.log_every",
        "train.eval_every",
        "train.keep_checkpoints",
    ),
    *("train.max_skipped_in_a_row", "evaluation.batch_size", "evaluation.num_samples"),
    *(
        "evaluation.likelihood_samples",
        "evaluation.gap_steps",
        "evaluation.annealed_chains",
        "evaluation.feature_steps",
    ),
    *("evaluation.augmentation_updates",),
)
AT_LEAST_TWO = (
    *("model.categories", "model.levels", "codes.num_codes", "evaluation.annealed_examples"),
    *(
        "evaluation.annealed_temperatures",
        "evaluation.decomposition_samples",
        "evaluation.gap_examples",
    ),
    *("evaluation.population", "evaluation.anomaly_examples", "evaluation.compression_examples"),
    *("evaluation.augmentation_examples",),
)
AT_LEAST_ZERO = (
    *("seed", "data.workers", "data.num_labels", "codes.prior_steps", "codes.revive_below"),
    *(
        "objective.beta",
        "objective.beta_start",
        "objective.beta_steps",
        "objective.free_bits",
        "objective.layer_free_bits",
        "objective.capacity",
    ),
    *(
        "objective.capacity_steps",
        "objective.corruption_level",
        "objective.renyi_alpha",
        "objective.mi_weight",
    ),
    *(
        "objective.tc_weight",
        "objective.dim_weight",
        "objective.off_diagonal_weight",
        "objective.diagonal_weight",
    ),
    *(
        "objective.mmd_weight",
        "objective.commitment",
        "objective.codebook_weight",
        "objective.classifier_weight",
    ),
    *("optimizer.warmup_steps", "optimizer.weight_decay", "optimizer.clip_norm", "evaluation.seed"),
)
ABOVE_ZERO = (
    "optimizer.learning_rate",
    "optimizer.critic_rate",
    "model.init_sigma",
    "model.temperature",
)
SIZES = (
    "model.hidden",
    "model.channels",
    "objective.critic_hidden",
    "hierarchy.latents",
    "hierarchy.widths",
    "codes.grid",
)  # tuples of numbers from 1 up
RANGES = {
    "optimizer.ema_decay": (0, 1 - 1e-7),
    "codes.decay": (0, 1 - 1e-7),
    "objective.ciwae_weight": (0, 1),
    "objective.info_alpha": (-LARGEST, 1),
    "objective.dip_kind": (1, 2),
    "objective.kl_balancing": (0, 1),
    "data.leave_out": (-1, LARGEST_INT),
    "evaluation.anomaly_quantile": (0, 1),
    "evaluation.num_generated": (20, LARGEST_INT),
}

Used = tuple[
    Collection[str], str, Callable[[Config], bool]
]  # fields, what uses them in words, whether it is there


def _objective(*names: str) -> tuple[str, Callable[[Config], bool]]:
    return "objective " + " or ".join(
        repr(name) for name in names
    ), lambda c: c.objective.name in names


def _part(field: str, *names: str) -> tuple[str, Callable[[Config], bool]]:
    return f"{field} " + " or ".join(
        repr(name) for name in names
    ), lambda c: value_of(c, field) in names


def _metric(*names: str) -> tuple[str, Callable[[Config], bool]]:
    words = " or ".join(repr(name) for name in names)
    return f"{words} in config.evaluation.metrics", lambda c: any(
        name in c.evaluation.metric_names for name in names
    )


DOES_NOTHING_WITHOUT: tuple[Used, ...] = (
    (("objective.corruption_level",), "a corruption", lambda c: c.objective.corruption != "none"),
    (
        ("objective.beta_steps", "objective.beta_start"),
        "a beta_schedule that is not constant",
        lambda c: c.objective.beta_schedule != "constant",
    ),
    (("objective.capacity_steps",), "a capacity above 0", lambda c: c.objective.capacity > 0),
    (
        ("objective.beta", "objective.beta_schedule", "objective.free_bits", "objective.capacity"),
        *_objective("elbo"),
    ),
    (("objective.beta_cycles",), *_part("objective.beta_schedule", "cyclical")),
    (
        ("objective.kl_balancing", "objective.layer_free_bits"),
        "model.kind 'hierarchical' and objective 'elbo'",
        lambda c: c.model.kind == "hierarchical" and c.objective.name == "elbo",
    ),
    (("objective.num_groups",), *_objective("miwae", "piwae")),
    (("objective.ciwae_weight",), *_objective("ciwae")),
    (("objective.renyi_alpha",), *_objective("renyi")),
    (
        ("objective.mi_weight", "objective.dim_weight", "objective.stratified"),
        *_objective("beta_tc"),
    ),
    (("objective.tc_weight",), *_objective("beta_tc", "factor")),
    (("objective.critic_hidden", "optimizer.critic_rate"), *_objective("factor")),
    (
        ("objective.dip_kind", "objective.off_diagonal_weight", "objective.diagonal_weight"),
        *_objective("dip"),
    ),
    (("objective.info_alpha",), *_objective("info")),
    (("objective.mmd_weight", "objective.kernel"), *_objective("info", "wae")),
    (
        ("objective.num_samples",),
        "draws of z, which codes don't have",
        lambda c: c.model.kind != "vq",
    ),
    (
        ("objective.commitment",),
        "objective 'vq' and codes.quantizer 'vq'",
        lambda c: c.objective.name == "vq" and c.codes.quantizer == "vq",
    ),
    (
        ("objective.codebook_weight",),
        "objective 'vq', codes.quantizer 'vq' and codes.ema = False",
        lambda c: c.objective.name == "vq" and c.codes.quantizer == "vq" and not c.codes.ema,
    ),
    (("objective.classifier_weight",), *_objective("m2")),
    (("data.num_labels",), *_objective("m2")),
    (
        ("model.num_classes", "model.condition_prior"),
        "conditioning",
        lambda c: c.model.conditioning != "none",
    ),
    (("model.posterior_flows",), *_part("model.posterior", "planar", "iaf", "sylvester")),
    (("model.posterior_width",), *_part("model.posterior", "iaf", "sylvester")),
    (("model.categories", "model.temperature"), *_part("model.posterior", "gumbel_softmax")),
    (("model.prior_components",), *_part("model.prior", "mixture", "vamp")),
    (
        ("model.prior_flows", "model.prior_width"),
        *_part("model.prior", "coupling", "autoregressive"),
    ),
    (("model.sigma",), *_part("model.likelihood", "gaussian", "laplace")),
    (
        ("model.init_sigma",),
        "a sigma of its own",
        lambda c: c.model.likelihood in ("gaussian", "laplace") and c.model.sigma != "predicted",
    ),
    (
        ("model.levels",),
        *_part(
            "model.likelihood",
            *(
                "discretized_logistic",
                "logistic_mixture",
                "categorical",
                "beta_binomial",
                "autoregressive",
            ),
        ),
    ),
    (("model.mixtures",), *_part("model.likelihood", "logistic_mixture")),
    (("model.columns",), *_part("model.likelihood", "mixed")),
    (
        ("model.masked_features", "model.masked_layers"),
        *_part("model.likelihood", "autoregressive"),
    ),
    (("codes.quantizer", "codes.prior"), *_part("model.kind", "vq")),
    (
        ("codes.grid",),
        "model.kind 'vq' and a network other than 'resnet'",
        lambda c: c.model.kind == "vq" and c.model.network != "resnet",
    ),
    (
        ("codes.num_codes", "codes.code_dim", "codes.ema"),
        "model.kind 'vq' and codes.quantizer 'vq'",
        lambda c: c.model.kind == "vq" and c.codes.quantizer == "vq",
    ),
    (
        ("codes.decay", "codes.revive_below"),
        "model.kind 'vq' and codes.quantizer 'vq'",
        lambda c: c.model.kind == "vq" and c.codes.quantizer == "vq",
    ),
    (
        ("codes.levels",),
        "model.kind 'vq' and codes.quantizer 'fsq'",
        lambda c: c.model.kind == "vq" and c.codes.quantizer == "fsq",
    ),
    (
        ("codes.prior_steps", "codes.prior_features", "codes.prior_layers"),
        *_part("codes.prior", "pixelcnn"),
    ),
    (
        ("hierarchy.latents", "hierarchy.widths", "hierarchy.blocks", "hierarchy.remat"),
        *_part("model.kind", "hierarchical"),
    ),
    (
        ("hierarchy.stack",),
        "model.kind 'hierarchical' and model.network 'conv'",
        lambda c: c.model.kind == "hierarchical" and c.model.network == "conv",
    ),
    (("model.latent_dim",), *_part("model.kind", "vae")),
    (("model.posterior_scale",), *_part("model.posterior", "diag_gaussian")),
    (("optimizer.weight_decay",), *_part("optimizer.name", "adamw")),
    (("data.path",), "the data set 'npz'", lambda c: c.data.name == "npz"),
    (("evaluation.likelihood_samples",), *_metric("likelihood", "annealed", "gap", "anomaly")),
    (
        (
            "evaluation.annealed_examples",
            "evaluation.annealed_chains",
            "evaluation.annealed_temperatures",
        ),
        *_metric("annealed"),
    ),
    (("evaluation.decomposition_samples",), *_metric("decomposition")),
    (("evaluation.gap_examples", "evaluation.gap_steps"), *_metric("gap")),
    (("evaluation.population",), *_metric("disentanglement", "representation")),
    (
        ("evaluation.num_generated", "evaluation.features", "evaluation.feature_steps"),
        *_metric("quality"),
    ),
    (
        ("evaluation.anomaly", "evaluation.anomaly_examples", "evaluation.anomaly_quantile"),
        *_metric("anomaly"),
    ),
    (
        ("evaluation.augmentation_examples", "evaluation.augmentation_updates"),
        *_metric("augmentation"),
    ),
    (("evaluation.compression_examples",), *_metric("compression")),
    (("data.workers",), "data.streaming", lambda c: c.data.streaming),
)


def check(config: Config) -> None:
    """Raises InputError with the first field whose value can't be meant, whatever the data are."""
    check_types(config, "")
    if not re.fullmatch(r"(?=.*\w)[\w.+=,-]{1,100}", config.name):
        raise InputError(
            f"config.name = {format_value(config.name)}: must be letters, digits and any of _.+=,- (it names a folder), at most 100"
        )
    values, defaults = flatten(config), flatten(Config())
    _check_bounds(values, defaults)
    if config.model.sigma in ("scalar", "channel", "pixel"):
        check_range(
            "config.model.init_sigma", config.model.init_sigma, 1e-3, 50
        )  # a learned sigma is bounded there
    for fields, used_by, is_used in DOES_NOTHING_WITHOUT:
        for field in fields:
            if values[field] != defaults[field] and not is_used(config):
                raise InputError(
                    f"config.{field} = {values[field]!r}: does nothing without {used_by}; leave it out"
                )
    _check_together(config)


def _check_bounds(values: dict, defaults: dict) -> None:
    for fields, least in ((AT_LEAST_ONE, 1), (AT_LEAST_TWO, 2)):
        for field in fields:
            check_range(f"config.{field}", values[field], least)
    for field in AT_LEAST_ZERO:
        check_range(
            f"config.{field}",
            values[field],
            0,
            LARGEST_INT if isinstance(defaults[field], int) else LARGEST,
        )
    for field in ABOVE_ZERO:
        check_range(f"config.{field}", values[field], 0, LARGEST, open_low=True)
    for field in SIZES:
        for size in values[field]:
            check_range(f"config.{field}", size, 1)
    for size in values["codes.levels"]:
        check_range("config.codes.levels", size, 2)
    for field, (low, high) in RANGES.items():
        check_range(f"config.{field}", values[field], low, high)
    for field, value in values.items():
        for entry in value if isinstance(value, tuple | list) else (value,):
            if (
                isinstance(entry, int)
                and entry > LARGEST_INT
                and not isinstance(defaults[field], float)
            ):
                raise InputError(
                    f"config.{field} = {format_value(entry)}: must be at most {LARGEST_INT}"
                )


def _check_together(config: Config) -> None:
    """Values that are right alone."""
    objective = config.objective
    if objective.corruption != "none" and not objective.corruption_level:
        raise InputError(
            f"config.objective.corruption_level = 0.0: corruption {objective.corruption!r} needs one above 0"
        )
    if objective.corruption in ("masking", "salt_and_pepper"):
        check_range("config.objective.corruption_level", objective.corruption_level, 0, 1)
    _check_sizes(config)
    if objective.beta_schedule != "constant" and objective.beta_steps < 1:
        raise InputError(
            f"config.objective.beta_steps = {objective.beta_steps}: must be at least 1 with beta_schedule "
            f"{objective.beta_schedule!r}"
        )
    if (
        objective.beta_schedule == "cyclical"
        and objective.beta_steps * objective.beta_cycles > LARGEST_INT
    ):
        raise InputError(
            f"config.objective.beta_cycles = {objective.beta_cycles}: times config.objective.beta_steps = "
            f"{objective.beta_steps}, must be at most {LARGEST_INT}"
        )
    if objective.num_samples % objective.num_groups:
        raise InputError(
            f"config.objective.num_groups = {objective.num_groups}: must divide config.objective.num_samples = "
            f"{objective.num_samples}"
        )
    if config.model.likelihood == "mixed" and not config.model.columns:
        raise InputError(
            "config.model.columns = (): must name the type of each column with likelihood 'mixed'"
        )
    num_steps = config.train.num_steps - config.codes.prior_steps
    if num_steps < 1:
        raise InputError(
            f"config.codes.prior_steps = {config.codes.prior_steps}: must be below config.train.num_steps = "
            f"{config.train.num_steps}, of which they are the last"
        )
    if config.optimizer.warmup_steps >= num_steps:
        raise InputError(
            f"config.optimizer.warmup_steps = {config.optimizer.warmup_steps}: must be below config.train.num_steps = "
            f"{config.train.num_steps}"
        )
    if config.codes.prior == "pixelcnn" and not config.codes.prior_steps:
        raise InputError(
            "config.codes.prior_steps = 0: the prior 'pixelcnn' needs steps to be fitted in"
        )


def _check_sizes(config: Config) -> None:
    """What a network, or an objective that compares the examples of a batch, can't do with less of."""
    c = config.model
    if c.network in ("conv", "resnet") and c.kind != "hierarchical" and not c.channels:
        raise InputError(
            f"config.model.channels = (): must have at least one entry with config.model.network {c.network!r}"
        )
    if c.network == "resnet" and c.channels[-1] < 2:
        raise InputError(
            f"config.model.channels = {tuple(c.channels)}: the last must be at least 2 with network 'resnet'"
        )
    if (
        c.kind == "vq"
        and c.network != "resnet"
        and config.codes.prior == "pixelcnn"
        and len(config.codes.grid) != 2
    ):
        raise InputError(
            f"config.codes.grid = {tuple(config.codes.grid)}: must have two entries with codes.prior 'pixelcnn'"
        )
    if config.objective.name in ("beta_tc", "factor", "dip", "info", "wae"):
        check_range("config.train.batch_size", config.train.batch_size, 2)
