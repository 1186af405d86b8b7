"""Kinds of columns of a table: one entry each, with its values and its distribution."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, soft_clip
from vae_jax.likelihoods.counts import LOG_MEAN_RANGE, log_inverse_dispersion_param
from vae_jax.likelihoods.event import bounded_param
from vae_jax.likelihoods.laplace import LOG_SCALE_RANGE
from vae_jax.likelihoods.log_normal import LOG_RANGE, log_sigma_param
from vae_jax.likelihoods.student_t import df_param
from vae_jax.types import Array

Values: TypeAlias = Literal["reals", "positive", "counts", "codes"]
LOG_GAP_RANGE = (-7.0, 4.0)  # of the thresholds of ordinal columns, in units of a logistic


class ColumnKind(NamedTuple):
    """A kind of column.

    `make` gets the head, which owns the learned parameters, the decoder's outputs
    [*lead, n, num_params] for n columns of the kind, and their number of codes.
    """

    values: Values
    make: Callable[[nn.Module, Array, int], Distribution]  # over [*lead, n]
    num_params: int = 1  # decoder outputs for each column; 0: one for each code
    num_codes: int = 0  # codes 0 .. num_codes - 1; 0: written after the kind, if values are codes

    @property
    def has_categories(self) -> bool:
        """True if the number of codes is written after the kind, as in 'categorical:5'."""
        return self.values == "codes" and not self.num_codes


def _gaussian(head: nn.Module, numbers: Array, _: int) -> Distribution:
    mean = numbers[..., 0]
    logvar = bounded_param(
        head, "logvar", mean.shape[-1:], jnp.zeros((), jnp.float32), LOGVAR_RANGE
    )
    return distributions.DiagGaussian(mean, logvar)


def _student_t(head: nn.Module, numbers: Array, _: int) -> Distribution:
    loc = numbers[..., 0]
    shape, init = loc.shape[-1:], jnp.zeros((), jnp.float32)
    log_scale = bounded_param(head, "student_t_log_scale", shape, init, LOG_SCALE_RANGE)
    return distributions.StudentT(loc, log_scale, df_param(head, "student_t_log_df", shape))


def _positive(head: nn.Module, numbers: Array, _: int) -> Distribution:
    loc = soft_clip(numbers[..., 0], *LOG_RANGE)
    return distributions.LogNormal(loc, log_sigma_param(head, "log_sigma", loc.shape[-1:]))


def _counts(head: nn.Module, numbers: Array, _: int) -> Distribution:
    log_mean = soft_clip(numbers[..., 0], *LOG_MEAN_RANGE)
    log_r = log_inverse_dispersion_param(head, log_mean.shape[-1:])
    return distributions.NegativeBinomial(log_mean, log_r)


def _poisson(head: nn.Module, numbers: Array, _: int) -> Distribution:
    return distributions.Poisson(soft_clip(numbers[..., 0], *LOG_MEAN_RANGE))


def _zero_inflated(head: nn.Module, numbers: Array, _: int) -> Distribution:
    log_mean = soft_clip(numbers[..., 0], *LOG_MEAN_RANGE)
    name = "zero_inflated_log_inverse_dispersion"
    log_r = log_inverse_dispersion_param(head, log_mean.shape[-1:], name=name)
    return distributions.ZeroInflatedNegativeBinomial(log_mean, log_r, numbers[..., 1])


def _bernoulli(head: nn.Module, numbers: Array, _: int) -> Distribution:
    return distributions.Bernoulli(numbers[..., 0])


def _categorical(head: nn.Module, numbers: Array, _: int) -> Distribution:
    return distributions.Categorical(numbers)


def _ordinal(head: nn.Module, numbers: Array, num_codes: int) -> Distribution:
    """Learned gaps between thresholds, from equal masses of all codes at an output of 0."""
    loc = numbers[..., 0]
    if num_codes == 2:  # one threshold, and no gap to learn
        return distributions.Ordinal(loc, jnp.zeros((0,), jnp.float32))
    below = np.arange(1, num_codes) / num_codes
    gaps = np.diff(np.log(below / (1 - below)))
    shape = (*loc.shape[-1:], num_codes - 2)
    init = jnp.broadcast_to(jnp.log(jnp.float32(gaps)), shape)
    log_gaps = bounded_param(head, f"ordinal_{num_codes}_log_gaps", shape, init, LOG_GAP_RANGE)
    return distributions.Ordinal(loc, log_gaps)


KINDS = {
    "gaussian": ColumnKind("reals", _gaussian),
    "student_t": ColumnKind("reals", _student_t),
    "positive": ColumnKind("positive", _positive),
    "bernoulli": ColumnKind("codes", _bernoulli, num_codes=2),
    "categorical": ColumnKind("codes", _categorical, num_params=0),
    "ordinal": ColumnKind("codes", _ordinal),
    "counts": ColumnKind("counts", _counts),
    "poisson": ColumnKind("counts", _poisson),
    "zero_inflated": ColumnKind("counts", _zero_inflated, num_params=2),
}
