"""Types shared across the package: arrays, batches, metrics, losses and the outputs of a model.

Axes: K samples of z per example, B batch, *E event (pixels), D latent dimensions.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar, dataclass_transform

import jax
from flax import struct

T = TypeVar("T")
Array: TypeAlias = jax.Array
Scalar: TypeAlias = float | jax.Array
Params: TypeAlias = Any  # the tree that `model.init` returns
Batch: TypeAlias = Mapping[str, Array]
"""Keys "x" [B, *E]; optional "observed" [B, *E], "y" [B] or [B, C], "mask" [B], "index" [B].

Where "observed" is False a value is missing, and x is 0; without it all values are observed.
"""
Metrics: TypeAlias = dict[str, Array]
Schedule: TypeAlias = Callable[[Array], Array]  # step [] -> value []
LossFn: TypeAlias = Callable[[Params, Batch, Array, Array], tuple[Array, Metrics]]
"""(params, batch, key, step) -> (loss [], metrics): differentiated by a train step."""
PostUpdate: TypeAlias = Callable[[Params, Params, Any, Array, Array], Params]
"""(new params, old params, statistics, key, step) -> params: applied after the optimizer."""


def static(default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that is part of the compiled program, not an array."""
    return dataclasses.field(default=default, metadata={"static": True})


@dataclass_transform(frozen_default=True)
def pytree_dataclass(cls: type[T]) -> type[T]:
    """Make a class of fields a frozen dataclass and a pytree.

    Not by `jax.tree_util.register_dataclass`: in some versions of JAX the structures of two classes
    with as many arrays and equal static values compare equal, whatever the names of the fields, and
    `jax.jit` may run the program of the other class.

    Raises TypeError for a field that is no argument (``init=False``).
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    for field in fields:
        if not field.init:
            raise TypeError(f"{cls.__name__}.{field.name}: init=False is not supported")
    statics = tuple(field.name for field in fields if field.metadata.get("static"))
    arrays = tuple(field.name for field in fields if field.name not in statics)
    keys = tuple(jax.tree_util.GetAttrKey(name) for name in arrays)

    def flatten(node: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children = tuple(getattr(node, name) for name in arrays)
        return children, tuple(getattr(node, name) for name in statics)

    def flatten_with_keys(node: T) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
        children, aux = flatten(node)
        return tuple(zip(keys, children, strict=True)), aux

    def unflatten(aux: tuple[Any, ...], children: Iterable[Any]) -> T:
        return cls(**dict(zip((*arrays, *statics), (*children, *aux), strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


@struct.dataclass
class Outputs:
    """The terms of one stochastic pass, in nats per example; objectives reduce K and B.

    All latents of a model lie side by side on the axis D, one stochastic layer of a hierarchy after
    the other. A posterior or prior that depends on other samples, as in a hierarchy, is over
    [K, B, D]. A deterministic posterior has no density: its `log_qz_x` and `kl` are +inf, so its
    ELBO is -inf.

    >>> import jax.numpy as jnp
    >>> zeros = jnp.zeros((5, 8))  # K = 5 samples for B = 8 examples
    >>> z = jnp.zeros((5, 8, 2))
    >>> outputs = Outputs(zeros, zeros, zeros, None, z, posterior=None, prior=None, layers=(2,))
    >>> outputs.z.shape
    (5, 8, 2)
    """

    log_px_z: Array  # [K, B]     log p(x | z), summed over the event
    log_pz: Array  # [K, B]       log p(z)
    log_qz_x: Array  # [K, B]     log q(z | x)
    kl: Array | None  # [B]       KL(q(z | x) || p(z)) in closed form, None if unavailable
    z: Array  # [K, B, D]
    posterior: Any  # distribution over [B, D] or [K, B, D]
    prior: Any  # distribution over [D], [B, D] or [K, B, D]
    # sizes of the stochastic layers, sum D
    layers: tuple[int, ...] = struct.field(pytree_node=False, default=())
