"""Student-t posteriors: heavier tails than a Gaussian's."""

from flax import linen as nn

from vae_jax.distributions import Distribution, StudentT, bounded_df, bounded_logvar
from vae_jax.nets.dense import Dense
from vae_jax.types import Array, Scalar


class StudentTHead(nn.Module):
    """q(z | x) is a product of Student-t distributions, as in MIWAE.

    Mattei and Frellsen, 2019, arXiv:1812.02633. Location, log scale^2 and degrees of freedom are
    affine in the features and bounded; the degrees of freedom start at `init_df` and stay in
    (2, 1000). There is no KL to a Gaussian in closed form.
    """

    latent_dim: int
    init_df: Scalar = 5.0

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        loc, logvar, df = (
            Dense(self.latent_dim, dtype=h.dtype, wide=True, name=name)(h)
            for name in ("loc", "logvar", "df")
        )
        return StudentT(loc, bounded_logvar(logvar) / 2, bounded_df(df, self.init_df))
