"""Models that are composed by hand, in place of one that a config describes."""

import logging

import numpy as np
from flax import linen as nn

from vae_jax.config import Config
from vae_jax.data import ArraySource, Dataset
from vae_jax.errors import InputError
from vae_jax.experiment.builders.units import is_plain
from vae_jax.likelihoods import Mixed, check_support, check_table, column_masks
from vae_jax.models import VQVAE
from vae_jax.models.layered import Layered
from vae_jax.nets import OneHot, SizeFactor, Vector
from vae_jax.nets.attributes import read_attribute
from vae_jax.posteriors import DeterministicHead
from vae_jax.posteriors.quantizers import FiniteScalarQuantizer

logger = logging.getLogger(__name__)

UNITS = "units=vae_jax.likelihoods.fit_units(likelihood, x)"
PLAIN_SIZES = (0.1, 10.0)  # root mean squares of columns that need no units


def describe_model(model: nn.Module) -> Config:
    """The config of a run of a model, as far as the objective and the data depend on it.

    The objective is that of the kind of model: 'elbo', 'vq' for codes, and 'reconstruction' for an
    autoencoder.

    Raises:
      InputError: no model of this package's protocol, or a field of it holds a list.
    """
    if not (hasattr(model, "supports") and hasattr(model, "likelihood")):
        raise InputError(
            f"config: a {type(model).__name__} is no model; compose one, such as vae_jax.VAE(...)"
        )
    try:
        hash(model)
    except TypeError as error:
        raise InputError(f"config: a field of the model holds a list ({error}); use tuples") from (
            error
        )
    config = Config(name="fit")
    if isinstance(model, VQVAE):
        config.model.kind = config.objective.name = "vq"
        config.codes.quantizer = (
            "fsq" if isinstance(model.quantizer, FiniteScalarQuantizer) else "vq"
        )
    elif isinstance(model, Layered):
        config.model.kind = "hierarchical"
    elif isinstance(model.posterior, DeterministicHead):
        config.model.posterior, config.objective.name = "deterministic", "reconstruction"
    if isinstance(model.conditioning, OneHot):
        config.model.conditioning = "label"
        config.model.num_classes = model.conditioning.num_classes
    elif isinstance(model.conditioning, Vector):
        config.model.conditioning = "vector"
        config.model.num_classes = model.conditioning.size
    elif isinstance(model.conditioning, SizeFactor):
        config.model.conditioning = "size"
        config.model.num_classes = model.conditioning.num_groups
    return config


def check_model(model: nn.Module, dataset: Dataset) -> None:
    """Check that the training examples fit the likelihood and the units of a model.

    Warns of columns of very small or large values that the networks would see unchanged.

    Raises:
      InputError: they don't fit.
    """
    event = read_attribute(model.likelihood, "event_shape")
    if event is not None and tuple(event) != tuple(dataset.shape):
        raise InputError(
            f"x has examples of shape {tuple(dataset.shape)}, and the likelihood of the model has "
            f"event_shape {tuple(event)}; must be equal"
        )
    source = dataset.train
    assert isinstance(source, ArraySource)
    observed = None if source.observed is None else np.asarray(source.observed)
    x = np.asarray(source.images) * np.float32(source.scale)
    if source.dynamic:  # the model sees zeros and ones
        x = np.round(x)
    if isinstance(model.likelihood, Mixed):
        check_table(model.likelihood.columns, x, observed)
    check_support(model.likelihood, x, observed)
    if model.units is not None:
        _check_units(model, x, observed)
    elif not is_plain(dataset):
        _warn_of_sizes(model, dataset)


def _check_units(model: nn.Module, x: np.ndarray, observed: np.ndarray | None) -> None:
    """Raises InputError if the likelihood has no density or mass on x in the units of the model."""
    try:
        check_support(model.likelihood, np.asarray(model.units.density.inverse(x)), observed)
    except InputError as error:
        raise InputError(f"units: in the units of the model {error}; use {UNITS}") from error


def _warn_of_sizes(model: nn.Module, dataset: Dataset) -> None:
    """Warn of the first column or channel of numbers far from 1, or of large counts."""
    sizes = np.hypot(dataset.moments.mean, dataset.moments.stddev)
    low, high = PLAIN_SIZES
    masks = column_masks(model.likelihood)
    is_number = np.broadcast_to(masks["real"], sizes.shape) | masks["positive"]
    is_small = is_number & (sizes < low) & (sizes > 0)
    is_large = (is_number | masks["counts"]) & (sizes > high)
    far = np.flatnonzero(is_small | is_large)
    if len(far):
        entry = "channel" if len(dataset.shape) == 3 else "column"
        logger.warning(
            "x: %s %d has values of about %.2g, and the networks of a model without units see them "
            "unchanged; give it %s",
            entry,
            far[0],
            sizes[far[0]],
            UNITS,
        )
