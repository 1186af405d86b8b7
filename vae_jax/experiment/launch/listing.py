"""The names that a config may have, each with the first line of its documentation."""

import inspect
from collections.abc import Mapping
from typing import Any

from vae_jax import data
from vae_jax.config import Config, describe_fields
from vae_jax.experiment.builders import choices, loss, model, parts
from vae_jax.experiment.launch import config_files
from vae_jax.experiment.metrics import METRICS, UDR, agreement
from vae_jax.models import VAE, VQVAE, Hierarchical
from vae_jax.nets import BroadcastDecoder, ResNetEncoder, burgess_encoder

SHAPE = (16, 16, 1)  # event of the example parts that are described
GRID = (4, 4)  # grid of their codes
KINDS = {"vae": VAE, "vq": VQVAE, "hierarchical": Hierarchical}


def describe_all() -> str:
    """Return configs, data sets, parts, objectives and metrics, a line each."""
    files = config_files.packaged_configs()
    objectives = {name: _first_line(entry.objective) for name, entry in loss.OBJECTIVES.items()}
    tables = _collect_parts()
    sections = {
        "configs: --config=NAME": {
            name: config_files.first_line(path) for name, path in files.items()
        },
        "data sets: --config.data.name=NAME": data.DESCRIPTIONS,
        **{f"parts: --config.{field}=NAME": lines for field, lines in tables.items()},
        "objectives: --config.objective.name=NAME": objectives,
        "other names": {
            entry.path: f"{entry.allowed}: {entry.doc}"
            for entry in describe_fields(choices.TABLES)
            if entry.path in choices.TABLES and entry.path not in {*tables, "objective.name"}
        },
        "metrics: --config.evaluation.metrics=NAME,NAME": {
            **{name: _first_line(metric) for name, metric in METRICS.items()},
            UDR: _first_line(agreement),
        },
    }
    return "\n\n".join(_format(title, lines) for title, lines in sections.items() if lines)


def _collect_parts() -> dict[str, dict[str, str]]:
    """The lines about each part, by the field that selects it."""
    config = Config()
    config.model.columns = ("gaussian",)
    config.model.likelihood, config.model.sigma = "mixed", "fixed"  # the data choose others
    c, codes = config.model, config.codes
    make_network = {
        name: make(c, SHAPE, *parts.activation_and_dtype(c))[0]
        for name, make in parts.NETWORKS.items()
    }
    objects: dict[str, dict[str, Any]] = {
        "model.kind": {name: KINDS.get(name, make) for name, make in model.KINDS.items()},
        "model.network": make_network
        | {"broadcast": BroadcastDecoder, "burgess": burgess_encoder, "resnet": ResNetEncoder},
        "model.posterior": {name: make(c) for name, make in parts.POSTERIORS.items()},
        "model.prior": {name: make(c, SHAPE) for name, make in parts.PRIORS.items()},
        "model.likelihood": {name: make(c, SHAPE) for name, make in parts.LIKELIHOODS.items()},
        "codes.quantizer": {name: make(codes) for name, make in model.QUANTIZERS.items()},
        "codes.prior": {
            name: make(codes, GRID, codes.num_codes) for name, make in model.CODE_PRIORS.items()
        },
    }
    return {
        field: {name: _first_line(entry) for name, entry in table.items()}
        for field, table in objects.items()
    }


def _first_line(documented: Any) -> str:
    """Return the first line of the documentation of a class, a function or an instance."""
    is_definition = inspect.isclass(documented) or inspect.isroutine(documented)
    text = inspect.getdoc(documented if is_definition else type(documented)) or ""
    return text.partition("\n")[0]


def _format(title: str, lines: Mapping[str, str]) -> str:
    width = max(map(len, lines))
    rows = (f"  {name:{width}}  {line}".rstrip() for name, line in lines.items())
    return "\n".join([title, *rows])
