"""The checkpoint of a run that is measured, with its parameters."""

import logging
import os
from collections.abc import Mapping
from typing import NamedTuple

from vae_jax.data.identity import data_identity
from vae_jax.errors import InputError
from vae_jax.evaluation import Terms
from vae_jax.experiment.load import restore_params
from vae_jax.experiment.measurement.evaluator import (
    evaluation_params,
)
from vae_jax.experiment.overrides import (
    check_same_run,
)
from vae_jax.experiment.run import Run
from vae_jax.experiment.selection import Selection, select_checkpoint
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import check_same_data
from vae_jax.types import Params

logger = logging.getLogger(__name__)


class Validated(NamedTuple):
    """A validation of a run: the evaluation parameters, and the terms with one draw of z.

    The terms are None if they are too large to be kept.
    """

    params: Params
    terms: Terms | None


class Best(NamedTuple):
    """The measured checkpoint of a run: its evaluation parameters, and the reason.

    Attributes:
      terms: of validation with one draw of z, if this process has validated the checkpoint.
    """

    params: Params
    selection: Selection
    terms: Terms | None = None


def load_best(run: Run) -> Best | InputError:
    """Load the best checkpoint of a run; returns the error if its checkpoints are unusable."""
    try:
        with Checkpoints(run.workdir, for_writing=False) as checkpoints:
            return find_best(run, checkpoints)
    except InputError as error:
        return error


def find_best(
    run: Run, checkpoints: Checkpoints, known: Mapping[int, Validated] | None = None
) -> Best | InputError:
    """Select the checkpoint to measure; returns the error if the checkpoints are unusable.

    Its parameters are restored unless `known` has the validation of its step.
    """
    try:
        selection = select_checkpoint(checkpoints, rule=run.config.train.select)
        saved = checkpoints.describe(selection.step)
        check_same_run(run.config, saved.config, run.workdir / "checkpoints")
        where = os.fspath(run.workdir / "checkpoints")
        check_same_data(data_identity(run.dataset), run.model.units, saved, where)
        validated = (known or {}).get(selection.step)
        params, terms = validated or (None, None)
        if params is None:
            restored = restore_params(checkpoints, selection.step, run.model, run.tx)
            params = evaluation_params(run, restored)
    except InputError as error:
        return error
    if selection.rule != run.config.train.select:
        logger.warning("%s: %s", run.label, selection)
    return Best(params, selection, terms)
