"""The paths of traversals of categorical latents: one of them takes each of its categories."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vae_jax.evaluation import Terms
from vae_jax.evaluation.terms import USED
from vae_jax.models.base import Model
from vae_jax.visualize.model_arrays import choose
from vae_jax.visualize.traversal_paths import MAX_CODES, count_unused

NUM_CHECKED = 16  # codes that must be probabilities


@dataclasses.dataclass(frozen=True, eq=False)
class CategoryPaths:
    """Paths from the likeliest code of the first example, along which one category changes.

    Attributes:
      code: likeliest categories [V] of the first example.
      weight: mean KL of each categorical variable [V] in nats.
      num_classes: number of categories M of each variable; a code is one-hot, [V * M].
      num_points: number of categories on a path, the first ones.
    """

    code: np.ndarray
    weight: np.ndarray
    num_classes: int
    num_points: int

    @classmethod
    def of(cls, terms: Terms, num_points: int) -> "CategoryPaths":
        """The paths of a model with a categorical posterior by the terms of its test set."""
        assert terms.kl is not None
        weight = terms.kl[choose(len(terms.kl), MAX_CODES)].mean(0, dtype=np.float64)
        num_classes = terms.code.shape[1] // len(weight)
        code = terms.code[0].reshape(-1, num_classes).argmax(1)
        return cls(code, weight, num_classes, min(num_points, num_classes))

    @property
    def order(self) -> list[int]:
        return np.argsort(-self.weight).tolist()

    @property
    def used(self) -> list[int]:
        return [v for v in self.order if self.weight[v] >= USED]

    @property
    def unused(self) -> dict[str, int]:
        return count_unused(self.order, self.used)

    @property
    def has_kl(self) -> bool:
        return True

    @property
    def points(self) -> list[str]:
        return [str(category) for category in range(self.num_points)]

    def path(self, latent: int) -> np.ndarray:
        categories = np.tile(self.code, (self.num_points, 1))
        categories[:, latent] = np.arange(self.num_points)
        return np.eye(self.num_classes, dtype=np.float32)[categories].reshape(self.num_points, -1)

    def label(self, latent: int) -> str:
        return f"z{latent} = {self.code[latent]}  KL {self.weight[latent]:.2f}"

    def values(self, codes: np.ndarray, latents: Sequence[int]) -> np.ndarray:
        return codes.reshape(len(codes), -1, self.num_classes).argmax(-1)[:, list(latents)]

    def describe_range(self, model: Model) -> str:
        del model
        which = "" if self.num_points == self.num_classes else f"the first {self.num_points} of "
        return (
            f"{which}their {self.num_classes} categories,\n"
            "beside each latent its likeliest category of that example; KL in nats"
        )


def has_categories(terms: Terms) -> bool:
    """True if a code consists of probabilities, which sum to one for each latent with a KL."""
    if terms.kl is None or terms.kl.ndim != 2 or terms.code.shape[1] % terms.kl.shape[1]:
        return False
    if terms.code.shape == terms.kl.shape:  # a number for each latent
        return False
    blocks = terms.code[:NUM_CHECKED].reshape(-1, terms.code.shape[1] // terms.kl.shape[1])
    return bool(np.isfinite(terms.kl).all() and np.allclose(blocks.sum(1), 1, atol=1e-3))
