"""The hierarchical VAE with a network for each conditional, and a prior of the top layer."""

from collections.abc import Callable
from typing import Any, ClassVar

from flax import linen as nn

from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.models import common, parts
from vae_jax.models.layered import Layered
from vae_jax.models.stacked_path import BottomUp, DenseStyle, TopDown
from vae_jax.nets.units import Units
from vae_jax.posteriors import bounded_logvar
from vae_jax.types import Array


class Stacked(Layered):
    """p(x, z) = p(x | z) p(z_1) prod_l p(z_l | z_<l) with q(z | x) = prod_l q(z_l | z_<l, x).

    Tomczak and Welling, 2018, arXiv:1705.07120, with two layers. z_1 is the top, and p(z_1) any
    prior. The pseudo-inputs of a VampPrior pass through q(z_1 | x). Each conditional below it, and
    p(x | z), has its own dense network, which sees all latents above and shares no parameters.

    If KL(q(z_1 | x) || p(z_1)) has no closed form, as for a VampPrior, `Outputs.kl` is None, and
    the rate is the mean of log q(z | x) - log p(z) over all layers.

    y conditions all networks; `condition_prior` includes p(z_1).

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import likelihoods, priors
    >>> from vae_jax.models import Stacked
    >>> model = Stacked((2, 3), priors.VampPrior((5,), num_components=4),
    ...                 likelihoods.Bernoulli((5,)), hidden=(8, 8), gated=True)
    >>> x, key = jnp.zeros((4, 5)), jax.random.key(0)
    >>> outputs = model.apply(model.init(key, x, key), x, key, num_samples=6)
    >>> outputs.z.shape, outputs.log_pz.shape, outputs.layers
    ((6, 4, 5), (6, 4), (2, 3))
    """

    layers: tuple[int, ...]  # dimensions D_l of each stochastic layer, the top first
    prior: nn.Module  # () -> p(z_1)
    likelihood: nn.Module  # h -> p(x | z)
    hidden: tuple[int, ...] = (300, 300)  # dense widths; networks of p reverse them
    gated: bool = False  # gated layers instead of an activation, see `vae_jax.nets.MLP`
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`
    logvar_fn: Callable[[Array], Array] = bounded_logvar
    conditioning: nn.Module | None = None  # y [B] or [B, C] -> c [B, C]
    condition_prior: bool = False  # True if p(z_1) depends on c too
    classifier: nn.Module | None = None  # x [N, *E] -> h, for the semi-supervised M2
    units: Units | None = None  # scale of x; without units, networks see x unchanged
    mask_input: bool = False  # True if networks see the mask of observed values too
    posterior: ClassVar[None] = None  # one for each layer
    critic: ClassVar[None] = None
    regressor: ClassVar[None] = None

    def setup(self) -> None:
        if not self.layers:
            raise InputError("layers = (): must have at least one entry")
        style = DenseStyle(
            tuple(self.hidden), self.activation, self.dtype, self.gated, self.logvar_fn
        )
        self.bottom_up = BottomUp(len(self.layers), style)
        self.top_down = TopDown(tuple(self.layers), style)

    def _top_prior(self, c: Array | None) -> Distribution:
        c = common.network_condition(self, c) if self.condition_prior else None
        p = parts.prior_distribution(self.prior, c, self._from_pseudo_input)
        parts.check_distribution(self.prior, p, "prior")
        if p.event_shape != self.layers[:1]:
            raise InputError(
                f"the prior {type(self.prior).__name__} has latents of shape {p.event_shape}: "
                f"must be {self.layers[:1]}, the size of the top layer"
            )
        return p

    def _from_pseudo_input(self, inputs: Array, c: Array | None) -> Distribution:
        """q(z_1 | u) of pseudo-inputs u, network inputs of which all values are observed."""
        features = self.bottom_up(common.pseudo_input(self, inputs), c)
        return self.top_down.posterior([], c, features)
