"""Affine flows with shift and scale from a network: coupling layers and autoregressive maps."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.errors import check_range
from vae_jax.flows.base import Chain, Flow, Inverse, Reversal
from vae_jax.flows.conditioner import Conditioner, check_width
from vae_jax.types import Array, pytree_dataclass, static

LOG_SCALE_BOUND = 2.0  # each step scales a dimension by exp(-2) to exp(2)


@pytree_dataclass
class _Affine(Flow):
    """Base class of affine flows: a network, its parameters and its condition."""

    params: Any
    context: Array | None  # [..., C]
    network: Conditioner = static()

    def _affine(self, x: Array) -> tuple[Array, Array]:
        """Shift and log-scale, each [..., features]."""
        shift, raw = self.network.apply({"params": self.params}, x, self.context)
        return shift, LOG_SCALE_BOUND * jnp.tanh(raw / LOG_SCALE_BOUND)

    def _over_context(self, z: Array) -> Array:
        """Broadcast z to the common leading axes of z and the context."""
        lead = () if self.context is None else self.context.shape[:-1]
        return jnp.broadcast_to(z, (*jnp.broadcast_shapes(z.shape[:-1], lead), z.shape[-1]))


@pytree_dataclass
class AffineCoupling(_Affine):
    """(a, b) -> (a, b exp(s(a)) + m(a)): RealNVP, Dinh et al., 2017, arXiv:1605.08803.

    The second half of the dimensions is transformed given the first. Both directions take one pass
    of the network.
    """

    def forward(self, z: Array) -> tuple[Array, Array]:
        fixed, moved = self._halves(z)
        shift, log_scale = self._affine(fixed)
        return jnp.concatenate([fixed, moved * jnp.exp(log_scale) + shift], -1), log_scale.sum(-1)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        fixed, moved = self._halves(y)
        shift, log_scale = self._affine(fixed)
        z = jnp.concatenate([fixed, (moved - shift) * jnp.exp(-log_scale)], -1)
        return z, -log_scale.sum(-1)

    def _halves(self, z: Array) -> tuple[Array, Array]:
        z = self._over_context(z)
        return z[..., : -self.network.features], z[..., -self.network.features :]


@pytree_dataclass
class AffineAutoregressive(_Affine):
    """z_d -> z_d exp(s_d(z_<d)) + m_d(z_<d): one network pass forward, D passes for the inverse.

    An inverse autoregressive flow (Kingma et al., 2016, arXiv:1606.04934) with a bounded scale in
    place of its gate. Its `Inverse` is a masked autoregressive flow (Papamakarios et al., 2017,
    arXiv:1705.07057).
    """

    def forward(self, z: Array) -> tuple[Array, Array]:
        shift, log_scale = self._affine(z)
        return z * jnp.exp(log_scale) + shift, log_scale.sum(-1)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        y = self._over_context(y)
        number = jnp.arange(y.shape[-1])

        def invert_dimension(d: Array, z: Array) -> Array:
            shift, log_scale = self._affine(z)
            return jnp.where(number == d, (y - shift) * jnp.exp(-log_scale), z)

        z = jax.lax.fori_loop(0, y.shape[-1], invert_dimension, jnp.zeros_like(y))
        return z, -self._affine(z)[1].sum(-1)


def coupling_flow(
    module: nn.Module, dim: int, num_flows: int, width: int, context: Array | None = None
) -> Chain:
    """`num_flows` coupling layers over [..., dim] with reversals in between.

    Their parameters belong to `module`; call it in a compact method. All networks see the context
    [..., C].

    Raises:
      InputError: fewer than two dimensions, so that a half would be empty.
    """
    check_range("latent_dim", dim, 2)
    network = Conditioner(dim - dim // 2, width, parent=None)
    all_params = _parameters(module, network, dim // 2, num_flows, context)
    return _alternate([AffineCoupling(params, context, network) for params in all_params])


def autoregressive_flow(
    module: nn.Module,
    dim: int,
    num_flows: int,
    width: int,
    context: Array | None = None,
    *,
    inverted: bool = False,
) -> Chain:
    """`num_flows` autoregressive maps over [..., dim] with reversals in between.

    Sampling is parallel and the density of a given value sequential; with `inverted` it is the
    other way around. Parameters and context are as in `coupling_flow`.

    Raises:
      InputError: a width below the number of dimensions, with which some would not be read.
    """
    check_width(dim, width)
    network = Conditioner(dim, width, autoregressive=True, parent=None)
    all_params = _parameters(module, network, dim, num_flows, context)
    flows = [AffineAutoregressive(params, context, network) for params in all_params]
    return _alternate([Inverse(flow) for flow in flows] if inverted else flows)


def _parameters(
    module: nn.Module, network: Conditioner, inputs: int, num_flows: int, context: Array | None
) -> list[Any]:
    """The network parameters of each flow, owned by `module` as flow_0, flow_1, ..."""
    example = None if context is None else jnp.zeros(context.shape[-1], jnp.float32)

    def init(key: Array) -> Any:
        return network.init(key, jnp.zeros(inputs, jnp.float32), example)["params"]

    return [module.param(f"flow_{number}", init) for number in range(num_flows)]


def _alternate(flows: Sequence[Flow]) -> Chain:
    parts = [part for flow in flows for part in (flow, Reversal())]
    return Chain(tuple(parts[:-1]))
