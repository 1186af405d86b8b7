"""Contracts of likelihood heads: what models and data checks read and call."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from flax import linen as nn

from vae_jax.distributions import Distribution
from vae_jax.errors import InputError, check_range
from vae_jax.nets.attributes import REALS, read_attribute
from vae_jax.nets.units import Units
from vae_jax.types import Array


class Likelihood(nn.Module):
    """A map from features h [N, ...] to p(x | z) over [*lead, *E], N = prod(lead).

    `lead` is (N,) by default. The class attributes describe the values that have density or mass;
    data are checked against them.

    Any other Flax module is a likelihood too: ``likelihood(h)`` returns a distribution over
    [N, *E]. Only modules with `takes_lead` are given `lead`.
    """

    event_shape: Sequence[int]
    takes_lead: ClassVar[bool] = True  # a head without it is called with h alone
    support: ClassVar[tuple[float, float]] = REALS  # smallest and largest value
    binary: ClassVar[bool] = False  # only the two ends of the support
    levels: ClassVar[int] = 0  # number of equidistant values in [0, 1]; 0 if not a grid
    integers: ClassVar[bool] = False  # only integers
    positive: ClassVar[bool] = False  # the smallest value of the support has no density
    autoregressive: ClassVar[bool] = False  # entries depend on each other given z
    shared_scale: ClassVar[tuple[int, ...] | None] = None  # shape of a scale that all x share
    batch_scale: ClassVar[bool] = False  # the scale is optimal for the batch, not a parameter

    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        raise NotImplementedError

    @nn.nowrap
    def real_columns(self) -> bool | Sequence[bool]:
        """True for columns or channels with a density of real numbers; see `vae_jax.nets.units`."""
        return self.support == REALS

    @nn.nowrap
    def count_columns(self) -> bool | Sequence[bool]:
        """True for columns or channels of counts."""
        return self.integers

    @nn.nowrap
    def positive_columns(self) -> bool | Sequence[bool]:
        """True for columns or channels with a density of positive numbers."""
        return self.positive

    @nn.nowrap
    def category_columns(self) -> int | Sequence[int]:
        """The number of categories of each column of codes without an order, 0 for others."""
        return 0


class GridLikelihood(Likelihood):
    """A head with masses on k / (levels - 1), k = 0 .. levels - 1.

    Values in between are scored as the nearest.
    """

    levels: int = 256  # type: ignore[misc]
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_range("levels", self.levels, 2)
        super().__post_init__()

    @property
    def binary(self) -> bool:  # type: ignore[override]
        """True if only the two ends of the support have mass."""
        return self.levels == 2


def column_masks(likelihood: nn.Module) -> dict[str, Any]:
    """The values of the columns or channels of a likelihood, as keywords of `Units.fit`.

    Those of a likelihood of other origin than this library follow from its attributes `support`,
    `integers` and `positive`.
    """
    if isinstance(likelihood, Likelihood):
        return {
            "real": likelihood.real_columns(),
            "counts": likelihood.count_columns(),
            "positive": likelihood.positive_columns(),
            "categories": likelihood.category_columns(),
        }
    return {
        "real": read_attribute(likelihood, "support") == REALS,
        "counts": read_attribute(likelihood, "integers"),
        "positive": read_attribute(likelihood, "positive"),
    }


def fit_units(likelihood: nn.Module, x: np.ndarray) -> Units:
    """The units of a training set x [N, C] or [N, H, W, C] for a model with this likelihood.

    Networks then see standardized values, of log x for positive numbers and of log(1 + x) for
    counts. The likelihood is a density of x in units of its standard deviation or, for positive
    numbers, of its geometric mean; the model adds the change of variables. NaN are missing values.

    >>> import numpy as np
    >>> from vae_jax import likelihoods
    >>> x = np.array([[1e6], [4e6]])
    >>> round(likelihoods.fit_units(likelihoods.LogNormal((1,)), x).density.scale[0])
    2000000

    Raises:
      InputError: x has values on which the likelihood has no density or mass, or a column is empty.
    """
    check_support(likelihood, np.asarray(x), ~np.isnan(x))
    return Units.fit(x, **column_masks(likelihood))


def check_support(likelihood: nn.Module, x: np.ndarray, observed: np.ndarray | None = None) -> None:
    """Raises InputError if x [B, *E] has values on which the likelihood has no density or mass.

    Only the `observed` values of x, if given, are checked. A likelihood of other origin than this
    library may have the attributes `support`, `integers` and `positive`.
    """
    low, high = read_attribute(likelihood, "support")
    name = type(likelihood).__name__
    values = x if observed is None else x[observed]
    if not values.size:
        return
    smallest, largest = float(values.min()), float(values.max())
    if not (low <= smallest and largest <= high):  # never with NaN
        raise InputError(
            f"x has values from {smallest:g} to {largest:g}: the likelihood {name} allows {low:g} "
            f"to {high:g}"
        )
    if read_attribute(likelihood, "positive") and smallest <= low:
        at_low = (x <= low) & (True if observed is None else observed)
        column = f" in column {np.argwhere(at_low)[0, 1]}" if x.ndim == 2 else ""
        raise InputError(
            f"x has values of {smallest:g}{column}: the likelihood {name} needs values above "
            f"{low:g}"
        )
    if read_attribute(likelihood, "integers") and (values != np.round(values)).any():
        raise InputError(f"x has values that are not counts, which the likelihood {name} needs")
