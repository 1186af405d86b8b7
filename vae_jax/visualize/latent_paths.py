"""The paths along which figures move single latents, for numbers and for categories."""

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np

from vae_jax.errors import InputError
from vae_jax.evaluation import Terms
from vae_jax.models.base import HierarchicalModel, Model
from vae_jax.models.trained import TrainedModel
from vae_jax.visualize.category_paths import CategoryPaths, has_categories
from vae_jax.visualize.traversal_paths import TraversalPaths, has_traversals


class Paths(Protocol):
    """Codes along which one latent moves, and how figures name them."""

    @property
    def order(self) -> list[int]:
        """The latents in decreasing order of their weight."""

    @property
    def used(self) -> list[int]:
        """The latents in this order with a KL of at least `USED` nats; all if there is no KL."""

    @property
    def unused(self) -> dict[str, int]:
        """The number of the other latents, as a reason for `count_latents` not to show them."""

    @property
    def has_kl(self) -> bool:
        """True if the weight of a latent is its mean KL."""

    @property
    def points(self) -> list[str]:
        """The places on a path [P]."""

    def path(self, latent: int) -> np.ndarray:
        """The codes [P, D] as this latent moves."""

    def label(self, latent: int) -> str:
        """The name and the weight of a latent."""

    def values(self, codes: np.ndarray, latents: Sequence[int]) -> np.ndarray:
        """The values of latents [N, L] in codes [N, D]."""

    def describe_range(self, model: Model) -> str:
        """The range of the paths, with a note if the prior is not the standard normal."""


def has_paths(model: TrainedModel, terms: Terms) -> bool:
    """True if single latents have a meaning, as numbers or as categories."""
    return model.supports("traversals") and (has_traversals(terms) or has_categories(terms))


def make_paths(model: Model, terms: Terms, num_points: int) -> Paths:
    """The paths of a model by the terms of its test set, with at most P = `num_points` places.

    Raises:
      InputError: the KL is not one of single latents, as numbers or as categories.
    """
    if not has_traversals(terms):
        if not has_categories(terms):
            shape = None if terms.kl is None else terms.kl.shape
            raise InputError.of(
                "terms.kl.shape",
                shape,
                "traversals need a KL of each latent, or a finite KL of each categorical variable "
                f"whose probabilities are the code; codes have the shape {terms.code.shape}",
            )
        return CategoryPaths.of(terms, num_points)
    layers = () if model.supports("flat_posterior") else cast(HierarchicalModel, model).layers
    return TraversalPaths.of(terms, num_points, layers)


def count_latents(num: int, num_shown: int, hidden: Mapping[str, int]) -> str:
    """The number of latents that are shown, and of those that are not by the reason.

    >>> count_latents(9, 4, {"with a KL below 0.1 nats": 5, "not examined": 0})
    '4 of 9 latents shown; not shown: 5 with a KL below 0.1 nats'
    """
    parts = [f"{count} {reason}" for reason, count in hidden.items() if count]
    text = f"{num_shown} of {num} latents shown"
    return text + (f"; not shown: {', '.join(parts)}" if parts else "")
