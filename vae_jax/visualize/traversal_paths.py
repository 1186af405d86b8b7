"""The paths of traversals: single latents that move through the range of their prior."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vae_jax.evaluation import Terms
from vae_jax.evaluation.terms import USED
from vae_jax.models.base import Model
from vae_jax.priors import StandardNormal
from vae_jax.visualize.model_arrays import choose

TRAVERSAL_RANGE = 2.5  # distance to each side, in units of z or standard deviations of the codes
MAX_CODES = 10_000  # examples for means over the data


@dataclasses.dataclass(frozen=True, eq=False)
class TraversalPaths:
    """Paths from the code of the first example, along which one latent moves.

    Without a finite KL (an autoencoder), order and range come from the spread of the codes.

    Attributes:
      code: code [D] of the first example.
      weight: mean KL of each latent [D] in nats, or standard deviation of its codes.
      has_kl: True if the weights are KL.
      center: value [D] at the middle of each path.
      scale: unit of the offsets [D].
      offsets: places [P] on a path, around 0.
      layers: number of latents in each layer of a hierarchy, the top first; empty without one.
    """

    code: np.ndarray
    weight: np.ndarray
    has_kl: bool
    center: np.ndarray
    scale: np.ndarray
    offsets: np.ndarray
    layers: tuple[int, ...] = ()

    @classmethod
    def of(cls, terms: Terms, num_points: int, layers: tuple[int, ...] = ()) -> "TraversalPaths":
        """The paths of a model by the terms of its test set."""
        index = choose(len(terms.code), MAX_CODES)
        codes = terms.code[index]
        kl = None if terms.kl is None else terms.kl[index]
        has_kl = kl is not None and bool(np.isfinite(kl).all())
        weight = codes.std(0) if kl is None or not has_kl else kl.mean(0, dtype=np.float64)
        scale = np.ones_like(weight) if has_kl else weight
        center = np.zeros_like(weight) if has_kl else codes.mean(0)
        offsets = np.linspace(-TRAVERSAL_RANGE, TRAVERSAL_RANGE, num_points, dtype=np.float32)
        return cls(terms.code[0], weight, has_kl, center, scale, offsets, layers)

    @property
    def order(self) -> list[int]:
        """The latents in decreasing order of their weight."""
        return np.argsort(-self.weight).tolist()

    @property
    def used(self) -> list[int]:
        """The latents in this order with a KL of at least `USED` nats; all if there is no KL."""
        return [d for d in self.order if not self.has_kl or self.weight[d] >= USED]

    @property
    def unused(self) -> dict[str, int]:
        """The number of the other latents, by the reason not to show them."""
        return count_unused(self.order, self.used)

    @property
    def points(self) -> list[str]:
        """The offsets on a path [P], three digits each."""
        return [format_offset(value) for value in self.offsets]

    def path(self, latent: int) -> np.ndarray:
        """The codes [P, D] as this latent moves."""
        codes = np.tile(self.code, (len(self.offsets), 1))
        codes[:, latent] = self.center[latent] + self.offsets * self.scale[latent]
        return codes

    def label(self, latent: int) -> str:
        """The number of a latent, its layer in a hierarchy, and its weight."""
        name = f"z{latent}"
        if len(self.layers) > 1:
            name += f", layer {np.searchsorted(np.cumsum(self.layers), latent, side='right')}"
        return f"{name}  {'KL' if self.has_kl else 'sd'} {self.weight[latent]:.2f}"

    def values(self, codes: np.ndarray, latents: Sequence[int]) -> np.ndarray:
        """The values of latents [N, L] in codes [N, D]."""
        return codes[:, list(latents)]

    def describe_range(self, model: Model) -> str:
        """The range of the paths, with a note if the prior is not the standard normal."""
        top = "; layer 0 is the top" if len(self.layers) > 1 else ""
        if not self.has_kl:
            return f"±{TRAVERSAL_RANGE} standard deviations of the codes{top}"
        prior, is_flat = model.prior, model.supports("flat_posterior")
        if isinstance(prior, StandardNormal) and is_flat:
            return f"±{TRAVERSAL_RANGE} prior standard deviations, KL in nats"
        name = type(prior).__name__ if is_flat else "of a hierarchy, learned"
        note = f"KL in nats; the prior ({name}) is not the standard normal{top}"
        return f"−{TRAVERSAL_RANGE} .. {TRAVERSAL_RANGE} in units of z,\n{note}"


def has_traversals(terms: Terms) -> bool:
    """True if the KL, if any, is one of single latents."""
    return terms.kl is None or terms.kl.shape == terms.code.shape


def count_unused(order: Sequence[int], used: Sequence[int]) -> dict[str, int]:
    """The number of unused latents, as a reason for `count_latents` not to show them."""
    return {f"with a KL below {USED:g} nats": len(order) - len(used)}


def format_offset(value: float) -> str:
    """A place on a path, three digits."""
    return f"{value:.3g}".replace("-", "−")
