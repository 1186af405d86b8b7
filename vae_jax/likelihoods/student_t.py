"""Student-t likelihoods: real numbers with outliers."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOG_DF_RANGE, Distribution, bounded_df, soft_clip
from vae_jax.errors import check_choice
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.event import EventLayer, bounded_param
from vae_jax.likelihoods.laplace import LOG_SCALE_RANGE
from vae_jax.types import Array, Scalar

DF_SOURCES = ("fixed", "learned", "predicted")


class StudentT(Likelihood):
    """Student-t with predicted location and scale, for real numbers with outliers.

    `df` says where the degrees of freedom come from. fixed: `init_df`, above 0. learned: one for
    each dimension, the same for all x. predicted: by the decoder, as in MIWAE (Mattei and
    Frellsen, 2019, arXiv:1812.02633). The latter two start at `init_df` and stay in (2, 1000).
    """

    df: str = "learned"  # one of DF_SOURCES
    init_df: Scalar = 5.0

    def __post_init__(self) -> None:
        check_choice("df", self.df, DF_SOURCES)
        super().__post_init__()

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        num_params = 3 if self.df == "predicted" else 2
        numbers = EventLayer(self.event_shape, num_params)(h, lead)
        loc, log_scale, *rest = jnp.moveaxis(numbers, -1, 0)
        log_scale = soft_clip(log_scale, *LOG_SCALE_RANGE)
        if self.df == "predicted":
            df = bounded_df(rest[0], self.init_df)
        elif self.df == "learned":
            df = df_param(self, "log_df", self.event_shape, self.init_df)
        else:
            df = jnp.asarray(self.init_df, jnp.float32)
        return distributions.StudentT(loc, log_scale, df, len(self.event_shape))


def df_param(head: nn.Module, name: str, shape: Sequence[int], init: Scalar = 5.0) -> Array:
    """Degrees of freedom in (2, 1000), a parameter of the head in the given shape."""
    return jnp.exp(bounded_param(head, name, shape, jnp.log(init), LOG_DF_RANGE))
