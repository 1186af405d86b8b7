"""Shared by the metrics: validation of codes and factors, and random draws of examples."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from vae_jax.errors import InputError

Seed = int | np.random.Generator


def validate_codes(
    codes: np.ndarray, factors: np.ndarray, *, per_value: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The codes as float64 [N, D] and the factors as classes 0..S_k - 1, int64 [N, F].

    Args:
      codes: numbers [N, D]; a representation, usually the posterior mean.
      factors: integers [N, F], any labels; they become their ranks among the values that occur.
      per_value: minimum number of examples of each value of each factor.

    Raises:
      InputError: shapes don't match, there are fewer than two examples, no codes or no factors, a
        code isn't finite, a factor isn't an integer or is constant, or a value has fewer than
        `per_value` examples.
    """
    codes = finite("codes", codes)
    factors = np.asarray(factors)
    if factors.ndim != 2 or len(factors) != len(codes) or not factors.shape[1]:
        raise InputError(
            f"factors: shape {factors.shape}, must be [N, F] with the N = {len(codes)} of the codes"
        )
    if not np.issubdtype(factors.dtype, np.integer):
        raise InputError(
            f"factors: dtype {factors.dtype}, must be integers, the class of each factor"
        )
    columns = [_ranks(k, column, per_value) for k, column in enumerate(factors.T)]
    return codes, np.stack(columns, axis=1)


def finite(name: str, values: np.ndarray) -> np.ndarray:
    """The values as float64 [N, D]; raises InputError unless finite, N >= 2 and D >= 1."""
    values = np.asarray(values)
    # By jnp, since numpy doesn't know bfloat16.
    is_real = any(jnp.issubdtype(values.dtype, kind) for kind in (jnp.floating, jnp.integer))
    if values.ndim != 2 or not values.shape[1] or not is_real:
        raise InputError(f"{name}: shape {values.shape} of {values.dtype}, must be numbers [N, D]")
    if len(values) < 2:
        raise InputError(f"{name}: {len(values)} examples, must be at least 2")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            f"{name}: {np.sum(~np.isfinite(values))} of {values.size} numbers are not finite"
        )
    return values


def sample_indices(n: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    """At most `limit` [M] of the examples 0..n - 1, drawn without replacement."""
    return rng.permutation(n)[:limit]


def split(
    n: int, num_train: int, num_eval: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint random examples [num_train] and [num_eval] for training and evaluation.

    If there are fewer than num_train + num_eval, they are split in proportion.
    """
    order = rng.permutation(n)
    if n < num_train + num_eval:
        num_train = max(1, n * num_train // (num_train + num_eval))
    return order[:num_train], order[num_train : num_train + num_eval]


def sklearn_seed(rng: np.random.Generator) -> int:
    """A seed for scikit-learn, which accepts no Generator."""
    return int(rng.integers(2**31))


@dataclasses.dataclass(frozen=True)
class ByValue:
    """An index of examples by the values of their factors."""

    factors: np.ndarray  # [N, F] classes
    order: np.ndarray  # [F, N] examples, sorted by the value of factor k
    start: np.ndarray  # [F, S] position of the first example with value v in row k of `order`
    count: np.ndarray  # [F, S] number of examples with value v

    @classmethod
    def from_factors(cls, factors: np.ndarray) -> "ByValue":
        """The index of the classes [N, F]."""
        size = factors.max() + 1
        order = np.argsort(factors.T, axis=1, kind="stable")
        count = np.stack([np.bincount(column, minlength=size) for column in factors.T])
        return cls(factors, order, np.cumsum(count, axis=1) - count, count)

    def sample_alike(
        self, example: np.ndarray, factor: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """For each of examples [...], a random one with the same value of its factor [...].

        It is drawn with replacement. The factors broadcast against the examples.
        """
        value = self.factors[example, factor]
        within = (rng.random(example.shape) * self.count[factor, value]).astype(np.int64)
        return self.order[factor, self.start[factor, value] + within]


def _ranks(k: int, column: np.ndarray, per_value: int) -> np.ndarray:
    values, ranks, counts = np.unique(column, return_inverse=True, return_counts=True)
    if len(values) == 1:
        raise InputError(f"factors: factor {k} is constant ({values[0]}); omit it")
    if counts.min() < per_value:
        rare = values[counts.argmin()]
        raise InputError(
            f"factors: {counts.min()} examples have {rare} for factor {k}, must be at least "
            f"{per_value}; use more examples"
        )
    return ranks.reshape(-1)
