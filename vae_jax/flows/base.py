"""What every flow is, and the flows that are made of flows."""

import dataclasses

import jax
import jax.numpy as jnp

from vae_jax.types import Array


class Flow:
    """An invertible map of [..., D], differentiable both ways."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        """f(z) [..., D] and log |det df/dz| [...]."""
        raise NotImplementedError

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """f^-1(y) [..., D] and log |det df^-1/dy| [...]."""
        raise NotImplementedError


def flow(cls: type) -> type:
    """Makes a class of fields into a frozen dataclass and a pytree."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


@flow
class Chain(Flow):
    """f = f_n o ... o f_1: the first flow is applied first."""

    flows: tuple[Flow, ...]

    def forward(self, z: Array) -> tuple[Array, Array]:
        total = jnp.zeros(z.shape[:-1], z.dtype)
        for one in self.flows:
            z, log_det = one.forward(z)
            total = total + log_det
        return z, total

    def inverse(self, y: Array) -> tuple[Array, Array]:
        total = jnp.zeros(y.shape[:-1], y.dtype)
        for one in reversed(self.flows):
            y, log_det = one.inverse(y)
            total = total + log_det
        return y, total


@flow
class Inverted(Flow):
    """f^-1: what is cheap one way becomes cheap the other way."""

    flow: Flow

    def forward(self, z: Array) -> tuple[Array, Array]:
        return self.flow.inverse(z)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        return self.flow.forward(y)


@flow
class Reversal(Flow):
    """The dimensions in reverse order, so that the next flow changes what the last one left as it was."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        return z[..., ::-1], jnp.zeros(z.shape[:-1], z.dtype)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        return self.forward(y)
