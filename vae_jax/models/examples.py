"""Examples and labels given to a trained model, checked on the host."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.data.images import as_array
from vae_jax.data.inputs import GIVEN, Inputs
from vae_jax.data.missing import Names, separate
from vae_jax.data.tables import encode_frame
from vae_jax.errors import InputError, format_value, suggest
from vae_jax.likelihoods import Mixed, check_support, check_table
from vae_jax.nets import OneHot, SizeFactor, Vector
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array

MASK_REMEDY = "fill it, and pass `observed`, False at masked entries"
FILL_REMEDY = "fill its masked entries"
MAX_NAMES = 20  # limit for the names of classes in a message


def convert_observed(
    likelihood: nn.Module, x: Any, inputs: Inputs | None, observed: Any = None
) -> tuple[Array | np.ndarray, Array | np.ndarray | None]:
    """Examples x as the model needs them: float32 [B, *E] in the range of the data.

    And their observed entries [B, *E], bool, for a model of data with missing values, or if
    `observed` is given; else None. X is 0 at missing entries. Inside `jax.jit` a missing channel
    axis is added, integers are scaled and x is masked, without any check.

    Args:
      likelihood: whose support contains the values.
      x: examples in the form of the training data, or as the model needs them; for a model of a
        table also a data frame with its columns, for a model of lines also a list of texts.
      inputs: the form of the training data; if None, x has the event shape of the likelihood.
      observed: False at missing entries; NaN are missing if they were in the training data.

    Raises:
      InputError: another shape, values on another scale, or values outside the support.
    """
    if isinstance(x, jax.core.Tracer):
        if inputs is not None:
            x = x.reshape(inputs.with_channel(x.shape))
            is_float = jnp.issubdtype(x.dtype, jnp.floating)
            x = x if is_float else x.astype(jnp.float32) * inputs.scale
            if inputs.text is not None and observed is None:
                observed = x > 0
        if observed is None:
            return x, None
        observed = jnp.asarray(observed, bool)
        observed = observed[..., None] if observed.ndim < x.ndim else observed
        return jnp.where(observed, x, 0), jnp.broadcast_to(observed, x.shape)
    event = read_attribute(likelihood, "event_shape")
    if inputs is None and event is not None:
        inputs = Inputs(tuple(event), (-math.inf, math.inf))
    if hasattr(x, "columns") and inputs is not None and inputs.table is not None:
        x, observed = _encode_frame(x, inputs, observed)
    if inputs is None or inputs.text is None:
        x = as_array(x, "x", GIVEN, MASK_REMEDY)
    if observed is not None:
        observed = as_array(observed, "observed", GIVEN, FILL_REMEDY)
    if inputs is not None:
        x, observed = inputs.convert_observed(x, observed)
    elif observed is not None:
        x, observed = separate(x, observed, Names("x", "x", "observed"))
    if isinstance(likelihood, Mixed):
        check_table(likelihood.columns, x, observed)
    check_support(likelihood, x, observed)
    return x, observed


def _encode_frame(
    frame: Any, inputs: Inputs, observed: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows [B, C] of a data frame, and their observed entries if values may be missing."""
    if observed is not None:
        raise InputError("observed: omit it with a data frame, whose empty cells are missing")
    x, mask, _ = encode_frame(inputs.table, frame, missing=inputs.missing)
    return x, mask


def make_batch(x: Any, y: Any, observed: Any, *, conditioning: nn.Module | None) -> dict[str, Any]:
    """The batch of converted x [B, *E], with y [B] or [B, C] of a conditional model.

    Raises InputError if y is missing, of another number, or given to an unconditional model.
    """
    batch = {"x": x} if observed is None else {"x": x, "observed": observed}
    if conditioning is None:
        if y is not None:
            raise InputError("y was given to a model without conditioning; omit it")
        return batch
    if y is None:
        raise InputError("y = None: a conditional model needs y [B], what to condition on")
    leading = jnp.shape(y)[:1]
    if isinstance(conditioning, OneHot) and jnp.ndim(y) > 1:
        raise InputError(f"y has shape {jnp.shape(y)}: must be [{len(x)}], a class of each example")
    if leading not in ((), (1,), (len(x),)):
        raise InputError(f"y has {leading[0]} labels for {len(x)} examples: must have one each")
    return batch | {"y": jnp.broadcast_to(y, (len(x), *jnp.shape(y)[1:]))}


def convert_labels(
    conditioning: nn.Module | None, y: Any, classes: Sequence[str] = (), *, is_flat: bool = False
) -> Any:
    """Labels y [...] of classes as int32, or vectors [..., C] as float32.

    Args:
      conditioning: the model's; y is unchanged for one that is not of `vae_jax.nets`.
      y: numbers, or names of `classes`.
      classes: names, in the order of their numbers.
      is_flat: True if y may be [B, 1] for classes [B].

    Raises:
      InputError: a class that does not exist, or a vector of another size.
    """
    if not isinstance(conditioning, OneHot | Vector | SizeFactor):
        return y
    y = as_array(y, "y", GIVEN, FILL_REMEDY)
    if isinstance(conditioning, SizeFactor):
        is_valid = y.shape[-1:] == (2,) and y.dtype.kind in "biuf" and bool((y[..., 0] > 0).all())
        if not is_valid:
            raise InputError(
                f"y has shape {y.shape} and dtype {y.dtype}: must be [B, 2], a size above 0 and a "
                "group"
            )
        _check_groups(y, conditioning.num_groups)
        return y.astype(np.float32)
    if isinstance(conditioning, Vector):
        if y.shape[-1:] != (conditioning.size,) or y.dtype.kind not in "biuf":
            raise InputError(
                f"y has shape {y.shape} and dtype {y.dtype}: must be [B, {conditioning.size}] "
                "numbers, what to condition on"
            )
        if not np.isfinite(y).all():
            first = tuple(map(int, np.argwhere(~np.isfinite(y))[0]))
            raise InputError(f"y is {y[first]} at {first}: all of it must be finite")
        return y.astype(np.float32)
    if y.dtype.kind in "US":
        y = _numbers(y.astype(str), classes)
    number = conditioning.num_classes
    is_class = np.zeros(y.shape, bool)
    if y.dtype.kind in "biuf":
        is_class = (y == np.round(y)) & (y >= 0) & (y < number)
    if not is_class.all():
        wrong = y[~is_class].reshape(-1)[0].item()
        names = f", {', '.join(classes)}" if 0 < len(classes) <= MAX_NAMES else ""
        raise InputError(
            f"y = {format_value(wrong)}: no such class; must be 0 to {number - 1}{names}"
        )
    y = y[:, 0] if is_flat and y.ndim == 2 and y.shape[1] == 1 else y
    return y.astype(np.int32)


def _check_groups(y: np.ndarray, num_groups: int) -> None:
    """Raises InputError unless y [..., 2] has finite sizes and groups from 0."""
    sizes, groups = y[..., 0], y[..., 1]
    is_group = (groups == np.round(groups)) & (groups >= 0) & (groups < num_groups)
    if not np.isfinite(sizes).all() or not is_group.all():
        raise InputError(
            f"y has sizes up to {sizes.max():g} and groups from {groups.min():g} to "
            f"{groups.max():g}: sizes must be finite, groups whole numbers from 0 to "
            f"{num_groups - 1}"
        )


def _numbers(y: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    number = {name: i for i, name in enumerate(classes)}
    unknown = [name for name in np.unique(y).tolist() if name not in number]
    if unknown:
        hint = "; they are numbers"
        if classes:
            hint = suggest(unknown[0], classes) or "; allowed are " + ", ".join(classes[:MAX_NAMES])
        raise InputError(f"y = {format_value(unknown[0])}: no such class{hint}")
    return np.vectorize(number.__getitem__, otypes=[np.int32])(y)
