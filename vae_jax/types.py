"""The types that cross files: batches, metrics, losses, and what one pass of any model yields.

Axes: K samples of z per example, B batch, *E event (pixels), D latent dimensions.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
from flax import struct

Array: TypeAlias = jax.Array
Scalar: TypeAlias = float | jax.Array
Params: TypeAlias = Any  # the tree that `model.init` returns
Batch: TypeAlias = Mapping[
    str, Array
]  # "x" [B, *E]; optional "y" [B] or [B, C], "mask" [B], "index" [B]
Metrics: TypeAlias = dict[str, Array]
Schedule: TypeAlias = Callable[[Array], Array]  # step [] -> value []
LossFn: TypeAlias = Callable[[Params, Batch, Array, Array], tuple[Array, Metrics]]
"""(params, batch, key, step) -> (loss [], metrics): what a train step differentiates."""


PostUpdate: TypeAlias = Callable[[Params, Params, Any, Array, Array], Params]
"""(new params, old params, statistics, key, step) -> params: what follows the optimizer, as the averages of a codebook."""


@struct.dataclass
class Outputs:
    """The terms of one stochastic pass, in nats per example; objectives reduce K and B.

    All latents of a model stand side by side in the one axis D, the stochastic layers of a hierarchy one after the other.
    A posterior that depends on the draws, as that of a layer on those above it, and a prior that does, are over [K, B, D].
    A deterministic posterior has no density: its `log_qz_x` and `kl` are +inf, and so its ELBO is -inf.
    """

    log_px_z: Array  # [K, B]     log p(x | z), summed over the event
    log_pz: Array  # [K, B]       log p(z)
    log_qz_x: Array  # [K, B]     log q(z | x)
    kl: Array | None  # [B]       KL(q(z | x) || p(z)) in closed form, None where there is none
    z: Array  # [K, B, D]
    posterior: Any  # distribution over [B, D] or [K, B, D]
    prior: Any  # distribution over [D], [B, D] or [K, B, D]
    layers: tuple[int, ...] = struct.field(
        pytree_node=False, default=()
    )  # sizes of the stochastic layers, sum D
