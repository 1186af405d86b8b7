"""Config fields that name a part, with the available names."""

from collections.abc import Iterable

from vae_jax import data, likelihoods
from vae_jax.config import AUTO, Config, value_of
from vae_jax.data.prepare import VALUES
from vae_jax.data.text.tokens import KINDS
from vae_jax.errors import check_choice
from vae_jax.evaluation.molecules import PROPERTIES
from vae_jax.evaluation.search import GOALS
from vae_jax.experiment.builders import loss, model, optimizer, parts
from vae_jax.experiment.storage.tracker import TRACKERS
from vae_jax.models.ladder_path import MERGES
from vae_jax.visualize.projections import PROJECTIONS

TABLES: dict[str, Iterable[str]] = {
    "data.binarization": (AUTO, *data.BINARIZATIONS),
    "data.alphabet": (AUTO, *KINDS),
    "data.values": VALUES,
    "data.property": ("", *PROPERTIES),
    "model.kind": model.KINDS,
    "model.network": (AUTO, *model.NETWORK_NAMES),
    "model.activation": parts.ACTIVATIONS,
    "model.dtype": parts.DTYPES,
    "model.conditioning": parts.CONDITIONINGS,
    "model.posterior": parts.POSTERIORS,
    "model.posterior_scale": parts.LOGVARS,
    "model.prior": parts.PRIORS,
    "model.likelihood": (AUTO, *parts.LIKELIHOODS),
    "model.sigma": (AUTO, *parts.GAUSSIANS),
    "model.df": likelihoods.DF_SOURCES,
    "hierarchy.networks": model.HIERARCHIES,
    "hierarchy.merge": MERGES,
    "codes.quantizer": model.QUANTIZERS,
    "codes.prior": model.CODE_PRIORS,
    "objective.name": loss.OBJECTIVES,
    "objective.beta_schedule": loss.BETAS,
    "objective.kernel": loss.KERNELS,
    "objective.corruption": loss.CORRUPTIONS,
    "optimizer.name": optimizer.OPTIMIZERS,
    "optimizer.schedule": optimizer.LEARNING_RATES,
    "train.order": ("random", "by_length"),
    "train.select": ("best", "last"),
    "train.tracker": TRACKERS,
    "evaluation.figures": ("png", "pdf", "svg"),
    "evaluation.projection": PROJECTIONS,
    "evaluation.search_property": PROPERTIES,
    "evaluation.search_goal": GOALS,
}


def check_names(config: Config) -> None:
    """Raises InputError for the first unknown name."""
    for field, table in TABLES.items():
        check_choice(f"config.{field}", value_of(config, field), table)
