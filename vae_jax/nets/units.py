"""Units of the data: standardized values for networks, and densities in the units of the data.

>>> import numpy as np
>>> from vae_jax.nets.units import Units
>>> table = np.array([[20.0, 1e-6], [40.0, 3e-6]])  # ages and a signal
>>> units = Units.fit(table)
>>> np.asarray(units.standardize(np.float32(table))).round(3).tolist()
[[-1.0, -1.0], [1.0, 1.0]]
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Affine, Distribution, Scaled
from vae_jax.errors import InputError, format_value
from vae_jax.types import Array

Mask = bool | Sequence[bool]
Sizes = int | Sequence[int]
ROUNDING = 1e-12  # relative; below the resolution of a float32


@dataclasses.dataclass(frozen=True)
class Units:
    """The units of x [..., C] by column of a table or channel of an image, the same for all models.

    Networks see (t(x) - m) / s with t(x) = log(1 + x) for counts, log x for positive numbers and x
    otherwise; m and s are mean and standard deviation of t(x) over the training split. Codes of
    categories they see as one-hot vectors, in the place of their column. What a likelihood returns
    is a density of u in x = loc + scale u, with loc and scale the mean and standard deviation of x
    if it is one of real numbers, 0 and the geometric mean of x if it is one of positive numbers,
    else 0 and 1. A model is given them as its field `units`.
    """

    inputs: Affine  # t(x) = m + s u
    density: Affine
    counts: tuple[bool, ...]  # [C], entries that networks see as log(1 + x)
    categories: tuple[int, ...] = ()  # [C], number of categories of each column of codes, else 0
    positive: tuple[bool, ...] = ()  # [C], entries that networks see as log x; () if none

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        *,
        counts: Mask = False,
        real: Mask = True,
        categories: Sizes = 0,
        positive: Mask = False,
    ) -> "Units":
        """The units of a training set.

        Args:
          x: rows [N, C] or images [N, H, W, C]; NaN are missing values.
          counts: columns of counts; one value for all, or one each.
          real: columns whose likelihood is a density of real numbers, likewise.
          categories: numbers of categories of columns of codes, else 0, likewise.
          positive: columns whose likelihood is a density of positive numbers, likewise; they are
            neither counts nor real.

        Raises:
          InputError: all values of a column are missing.
        """
        rows = np.asarray(x, np.float64).reshape(-1, np.shape(x)[-1])
        empty = np.flatnonzero(np.isnan(rows).all(0))
        if len(empty):
            raise InputError(f"units: column {empty[0]} has no value")
        logs = np.log(np.where(rows > 0, rows, np.where(np.isnan(rows), np.nan, 1)))
        transformed = (rows, np.log1p(np.maximum(rows, 0)), logs)
        statistics = [(np.nanmean(values, 0), np.nanstd(values, 0)) for values in transformed]
        masks = {"counts": counts, "real": real, "categories": categories, "positive": positive}
        return cls.from_statistics(*statistics, **masks)  # type: ignore[arg-type]

    @classmethod
    def from_statistics(
        cls,
        values: tuple[np.ndarray, np.ndarray],
        logs: tuple[np.ndarray, np.ndarray],
        positive_logs: tuple[np.ndarray, np.ndarray],
        *,
        counts: Mask,
        real: Mask,
        categories: Sizes = 0,
        positive: Mask = False,
    ) -> "Units":
        """The units from mean and standard deviation [C] of x, log(1 + x) and log x; see `fit`."""
        size = values[0].shape
        is_positive = np.broadcast_to(positive, size)
        is_count = np.broadcast_to(counts, size) & ~is_positive
        num_categories = np.broadcast_to(categories, size)
        unit = np.array([np.zeros(size), np.ones(size)])
        inputs = np.where(num_categories > 0, unit, np.where(is_count, logs, values))
        density = np.where(np.broadcast_to(real, size), values, unit)
        inputs = np.where(is_positive, positive_logs, inputs)
        geometric = np.array([np.zeros(size), np.exp(np.where(is_positive, positive_logs[0], 0))])
        density = np.where(is_positive, geometric, density)
        codes = tuple(num_categories.tolist()) if num_categories.any() else ()
        above = tuple(is_positive.tolist()) if is_positive.any() else ()
        return cls(_affine(*inputs), _affine(*density), tuple(is_count.tolist()), codes, above)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Units":
        """The units of ``dataclasses.asdict(units)``, or of its JSON.

        Raises:
          TypeError, KeyError or ValueError: the values are none.
        """
        counts = tuple(map(bool, values["counts"]))
        affines = [_parse(values[name], len(counts)) for name in ("inputs", "density")]
        categories = tuple(map(int, values.get("categories", ())))
        positive = tuple(map(bool, values.get("positive", ())))
        for name, entries in (("categories", categories), ("positive", positive)):
            if entries and len(entries) != len(counts):
                raise ValueError(f"{name} of {len(entries)} columns, not {len(counts)}")
        return cls(affines[0], affines[1], counts, categories, positive)

    def encode(self, x: Array) -> Array:
        """The inputs of networks [..., C'] for x [..., C]: standardized, and one-hot for codes."""
        u = self.standardize(x)
        if not self.categories:
            return u
        columns = zip(jnp.split(u, len(self.categories), axis=-1), self.categories, strict=True)
        return jnp.concatenate([_one_hot(*c) if c[1] else c[0] for c in columns], axis=-1)

    def repeat(self, values: Array) -> Array:
        """Values [..., C] of the columns for each of their inputs, [..., C']."""
        if not self.categories:
            return values
        return jnp.repeat(values, np.maximum(self.categories, 1), axis=-1)

    @property
    def num_inputs(self) -> int:
        """C', the number of inputs of networks."""
        return sum(max(size, 1) for size in self.categories) or len(self.counts)

    def standardize(self, x: Array) -> Array:
        """Standardized values [..., C] of x [..., C]; codes of categories are unchanged."""
        self._check_size(x)
        x = _where(self.counts, jnp.log1p, x)
        return self.inputs.inverse(_where(self.positive, _log, x, fill=1))

    def restore(self, u: Array) -> Array:
        """Values x [..., C] of standardized ones u [..., C]: the inverse of `standardize`."""
        x = _where(self.counts, jnp.expm1, self.inputs.forward(u))
        return _where(self.positive, jnp.exp, x)

    def scale_density(self, p: Distribution) -> Distribution:
        """The distribution of x for one of u; unchanged without real numbers."""
        return p if self.density.is_identity else Scaled(p, self.density)

    def is_close(self, other: "Units | None") -> bool:
        """True if the units agree to rounding errors."""
        if other is None or self._masks != other._masks:
            return False
        pairs = zip((*self.inputs, *self.density), (*other.inputs, *other.density), strict=True)
        return all(np.shape(a) == np.shape(b) and np.allclose(a, b, 1e-6, 0) for a, b in pairs)

    @property
    def _masks(self) -> tuple[tuple, ...]:
        return self.counts, self.categories, self.positive

    def _check_size(self, x: Array) -> None:
        if x.shape[-1] != len(self.counts):
            raise InputError(
                f"units: of {len(self.counts)} columns or channels, but x has shape {x.shape}"
            )


def _one_hot(codes: Array, size: int) -> Array:
    """Codes [..., 1] as [..., size]."""
    return (jnp.round(codes) == np.arange(size)).astype(codes.dtype)


def _parse(value: Any, size: int) -> Affine:
    loc, scale = (tuple(map(float, column)) for column in value)
    if not len(loc) == len(scale) == size or not all(0 < s < np.inf for s in scale):
        raise ValueError(f"units of {format_value(value)}")
    return Affine(loc, scale)


def _affine(loc: np.ndarray, scale: np.ndarray) -> Affine:
    """Constant columns, whose deviation is at most a rounding error, have the scale 1."""
    scale = np.where(scale > ROUNDING * np.abs(loc), scale, 1.0)
    return Affine(tuple(loc.tolist()), tuple(scale.tolist()))


def _where(mask: tuple[bool, ...], function: Any, x: Array, *, fill: float = 0) -> Array:
    """The function at the masked columns only, whose gradient elsewhere would be NaN."""
    if not any(mask):
        return x
    columns = np.array(mask)
    return jnp.where(columns, function(jnp.where(columns, x, fill)), x)


def _log(x: Array) -> Array:
    """Log x; of zeros and less, such as missing values, 0."""
    return jnp.log(jnp.where(x > 0, x, 1))
