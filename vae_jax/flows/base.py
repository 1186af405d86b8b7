"""The interface of flows, and flows composed of flows."""

import jax.numpy as jnp

from vae_jax.types import Array, pytree_dataclass


class Flow:
    """An invertible map of [..., D], differentiable in both directions."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        """Return f(z) [..., D] and log |det df/dz| [...]."""
        raise NotImplementedError

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """Return f^-1(y) [..., D] and log |det df^-1/dy| [...]."""
        raise NotImplementedError


@pytree_dataclass
class Chain(Flow):
    """f = f_n o ... o f_1: the first flow is applied first."""

    flows: tuple[Flow, ...]

    def forward(self, z: Array) -> tuple[Array, Array]:
        total = jnp.zeros(z.shape[:-1], z.dtype)
        for flow in self.flows:
            z, log_det = flow.forward(z)
            total = total + log_det
        return z, total

    def inverse(self, y: Array) -> tuple[Array, Array]:
        total = jnp.zeros(y.shape[:-1], y.dtype)
        for flow in reversed(self.flows):
            y, log_det = flow.inverse(y)
            total = total + log_det
        return y, total


@pytree_dataclass
class Inverse(Flow):
    """f^-1, with the costs of the two directions swapped."""

    flow: Flow

    def forward(self, z: Array) -> tuple[Array, Array]:
        return self.flow.inverse(z)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        return self.flow.forward(y)


@pytree_dataclass
class Reversal(Flow):
    """Reverse the order of dimensions, so that the next flow transforms the rest."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        return z[..., ::-1], jnp.zeros(z.shape[:-1], z.dtype)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        return self.forward(y)
