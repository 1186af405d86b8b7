"""Models that are composed by hand, in place of one that a config describes."""

import numpy as np
from flax import linen as nn

from vae_jax.config import Config
from vae_jax.data import ArraySource, Dataset
from vae_jax.errors import InputError
from vae_jax.likelihoods import Mixed, check_support, check_table
from vae_jax.models import VQVAE, Hierarchical
from vae_jax.nets import OneHot, SizeFactor, Vector
from vae_jax.nets.attributes import read_attribute
from vae_jax.posteriors import DeterministicHead
from vae_jax.posteriors.quantizers import FiniteScalarQuantizer


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
    elif isinstance(model, Hierarchical):
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
    """Raises InputError if the training examples don't fit the likelihood of a model."""
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
