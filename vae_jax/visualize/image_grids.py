"""Image grids: reconstructions, samples, interpolations, traversals."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms
from vae_jax.interpolation import Kind
from vae_jax.models.trained import TrainedModel
from vae_jax.priors import StandardNormal
from vae_jax.types import Array
from vae_jax.visualize.factors import match_factors
from vae_jax.visualize.grids import image_rows

TRAVERSAL_RANGE = 2.5  # to each side, in units of z or standard deviations of the codes
MAX_ROWS = 16


def reconstructions(
    model: TrainedModel, x: Array, corrupted: Array | None = None, *, y: Array | None = None
) -> Figure:
    """Test images above their reconstructions, and the corrupted inputs of a denoising model."""
    rows = {"data": x}
    if corrupted is not None:
        rows["corrupted"] = corrupted
    rows["model"] = model.reconstruct(x if corrupted is None else corrupted, y=y)
    return image_rows(rows, "Reconstructions of test examples, from the posterior mean")


def samples(
    model: TrainedModel,
    key: Array,
    side: int = 8,
    *,
    y: Array | None = None,
    temperature: float | None = None,
) -> Figure:
    """Means of p(x | z) at draws of z from the prior.

    A conditional model gets a row for each class, or for each y if y is not a class label.
    A `temperature` below 1 narrows the prior; raises TypeError if the prior has none.
    """
    suffix = "" if temperature is None else f" at temperature {temperature:g}"
    if y is None:
        images = np.asarray(model.sample(key, side * side, temperature=temperature))
        rows = {str(i): row for i, row in enumerate(images.reshape(side, side, *images.shape[1:]))}
        title = f"Samples: mean of p(x | z) at z from the prior{suffix}"
        return image_rows(rows, title, names=False)
    num_classes = getattr(model.model.conditioning, "num_classes", None) if y.ndim == 1 else None
    y = y[:side] if num_classes is None else jnp.arange(min(num_classes, MAX_ROWS))
    repeated = jnp.repeat(y, side, axis=0)
    images = np.asarray(model.sample(key, len(y) * side, y=repeated, temperature=temperature))
    name = "y of example" if num_classes is None else "class"
    grid = images.reshape(len(y), side, *images.shape[1:])
    rows = {f"{name} {i}": row for i, row in enumerate(grid)}
    title = f"Samples: mean of p(x | z, y) at z from the prior{suffix}, a row for each y"
    return image_rows(rows, title)


def interpolations(
    model: TrainedModel,
    x: Array,
    num_pairs: int = 4,
    num_points: int = 10,
    *,
    y: Array | None = None,
) -> Figure:
    """Linear and spherical paths between the codes of pairs of images; y is that of the start."""
    num_pairs = min(num_pairs, len(x) // 2)
    start = x[:num_pairs]
    end = x[num_pairs : 2 * num_pairs]
    y = None if y is None else y[:num_pairs]
    kinds: tuple[Kind, ...] = ("linear", "spherical")
    paths = {
        kind: np.asarray(model.interpolate(start, end, num_points, kind=kind, y=y))
        for kind in kinds
    }
    rows = {
        f"{pair + 1} {kind}": path[:, pair]
        for pair in range(num_pairs)
        for kind, path in paths.items()
    }
    return image_rows(rows, "Interpolations between the codes of two test examples")


def traversals(
    model: TrainedModel,
    terms: Terms,
    num_points: int = 11,
    *,
    y: Array | None = None,
    factor_names: Sequence[str] = (),
) -> Figure:
    """Traversals of single latents from the code of the first test example, in order of their KL.

    All latents move over the same range around 0; the title says so if the prior is not the
    standard normal. Without a finite KL (an autoencoder), order and range come from the spread of
    the codes. If the labels are factors, a latent that clearly follows one shows its name.
    """
    codes = terms.code
    spread = codes.std(0)
    kl = terms.kl
    has_kl = kl is not None and bool(np.isfinite(kl).all())
    weight = spread if kl is None or not has_kl else kl.mean(0)
    scale = np.ones_like(spread) if has_kl else spread
    offsets = np.linspace(-TRAVERSAL_RANGE, TRAVERSAL_RANGE, num_points, dtype=np.float32)
    order = np.argsort(-weight)[:MAX_ROWS]
    rows = {}
    for d, factor in zip(order, match_factors(codes[:, order], terms.y, factor_names), strict=True):
        center = 0.0 if has_kl else codes[:, d].mean()
        label = f"z{d}  {'KL' if has_kl else 'sd'} {weight[d]:.2f}"
        label += f"\nfollows {factor}" if factor else ""
        path = np.tile(codes[0], (num_points, 1))
        path[:, d] = center + offsets * scale[d]
        rows[label] = model.image(jnp.asarray(path), y=y)
    title = "Traversals from the first test example: each latent over"
    return image_rows(rows, f"{title} {_describe_range(model, has_kl)}")


def _describe_range(model: TrainedModel, has_kl: bool) -> str:
    if not has_kl:
        return f"±{TRAVERSAL_RANGE} standard deviations of the codes"
    prior = getattr(model.model, "prior", None)
    if isinstance(prior, StandardNormal):
        return f"±{TRAVERSAL_RANGE} prior standard deviations, KL in nats"
    name = "of a hierarchy, learned" if prior is None else type(prior).__name__
    note = f"KL in nats; the prior ({name}) is not the standard normal"
    return f"−{TRAVERSAL_RANGE} .. {TRAVERSAL_RANGE} in units of z,\n{note}"
